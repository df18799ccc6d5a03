/* Files that hold one JSON object: cards, configurations, maps. */
#ifndef LEAT_CLASSIFY_JSON_FILE_H
#define LEAT_CLASSIFY_JSON_FILE_H

#include "proto/error.h"

#include <jansson.h>
#include <stdint.h>

enum { JSON_FILE_BYTES_MOST = 1 << 20 };

/* The object, in which no key is twice; to be given back with json_decref. `hash`: gets XXH3-128 of
 * the file's bytes, low half first; NULL: not wanted. NULL with the reason, which has the line but
 * not the path. */
json_t *json_file_read(const char *path, uint64_t hash[2], struct leat_error *err);

#endif
