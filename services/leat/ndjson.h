/* NDJSON: one JSON object a line. */
#ifndef LEAT_CLI_NDJSON_H
#define LEAT_CLI_NDJSON_H

#include "services/leat/draft.h"

/* Reads a line into a draft that has been begun: the values of the fields that the kind has; others
 * are passed over. JSON strings live in *tree, which the caller gives back with json_decref after
 * draft_finish (NULL on failure). Refused, with codes: not_utf8, nul, json_broken (not JSON, a key
 * twice, a number that is too big), not_object, too_deep. */
bool ndjson_read(struct draft *draft, struct leat_span line, json_t **tree, struct draft_why *why);

#endif
