/* A dead letter's payload: the record as the client sent it, in msgpack. */
#ifndef LEAT_CLI_PAYLOAD_H
#define LEAT_CLI_PAYLOAD_H

#include "proto/wire.h"

#include <jansson.h>

/* The payload as JSON, the caller's. What JSON cannot say becomes {"bytes": "hex"}: binary data,
 * strings that are not UTF-8, extension types, and a payload that is not msgpack. Keys that are not
 * strings are written as their JSON text. */
json_t *payload_json(struct leat_span payload);

/* The dead letter that a record was. */
struct payload_replay {
    uint8_t origin[LEAT_ID_SIZE];
    uint64_t seq, record;
    int64_t version; /* of the record when it failed */
};

/* The payload as a record to be sent again: with its version, and with the mark that lets persist
 * take the dead letter away when the record is stored (services/persist/letters.h). Appended to
 * `to`. False: the payload is not a map, no ingest would take it. */
bool payload_replay(struct leat_span payload, const struct payload_replay *of, msgpack_sbuffer *to,
                    struct leat_error *err);

/* "8-4-4-4-12" to 16 bytes. */
bool payload_uuid(const char *text, uint8_t out[LEAT_ID_SIZE]);

#endif
