#include "services/classify/json_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The whole file, to be freed; NULL with the reason. */
static char *read_bytes(const char *path, size_t *size, struct leat_error *err)
{
    FILE *file = fopen(path, "rbe");
    char *bytes = file ? malloc(JSON_FILE_BYTES_MOST + 1) : NULL;
    if (!bytes) {
        leat_fail(err, "%s", strerror(errno));
    } else {
        *size = fread(bytes, 1, JSON_FILE_BYTES_MOST + 1, file);
        if (ferror(file) || *size > JSON_FILE_BYTES_MOST) {
            leat_fail(err, ferror(file) ? "it cannot be read" : "expected a file of at most 1 MiB");
            free(bytes);
            bytes = NULL;
        }
    }
    if (file)
        fclose(file);
    return bytes;
}

json_t *json_file_read(const char *path, uint64_t hash[2], struct leat_error *err)
{
    size_t size = 0;
    char *bytes = read_bytes(path, &size, err);
    if (!bytes)
        return NULL;
    json_error_t where;
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &where);
    if (hash) {
        XXH128_hash_t of = XXH3_128bits(bytes, size);
        hash[0] = of.low64;
        hash[1] = of.high64;
    }
    free(bytes);
    if (!root)
        leat_fail(err, "line %d, column %d: %s", where.line, where.column, where.text);
    else if (!json_is_object(root))
        leat_fail(err, "expected a JSON object");
    else
        return root;
    json_decref(root);
    return NULL;
}
