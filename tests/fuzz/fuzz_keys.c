/* A file of keys: refused with its name, or each key it gives is one; and the public one of a pair
 * is that which the file gives without its secret. */
#include "proto/keys.h"
#include "tests/fuzz/targets.h"

#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

static bool is_key(const char key[LEAT_KEY_TEXT])
{
    uint8_t bytes[32];
    char again[LEAT_KEY_TEXT];
    return strnlen(key, LEAT_KEY_TEXT) == LEAT_KEY_TEXT - 1 && zmq_z85_decode(bytes, key) &&
           zmq_z85_encode(again, bytes, sizeof bytes) && strcmp(key, again) == 0;
}

void fuzz_keys(struct leat_span input)
{
    struct leat_error err = {.text = ""};
    struct leat_key_pair pair;
    char key[LEAT_KEY_TEXT], derived[LEAT_KEY_TEXT];
    const char *path = fuzz_file(0, input);
    FUZZ_CHECK(chmod(path, 0600) == 0);
    bool public = leat_key_read(path, key, &err);
    FUZZ_CHECK(public ? is_key(key) : strstr(err.text, path) != NULL);
    if (!leat_key_pair_read(path, &pair, &err)) {
        FUZZ_CHECK(strstr(err.text, path));
        return;
    }
    FUZZ_CHECK(public && strcmp(pair.public_key, key) == 0 && is_key(pair.secret_key));
    FUZZ_CHECK(zmq_curve_public(derived, pair.secret_key) == 0 && strcmp(derived, key) == 0);
    FUZZ_CHECK(chmod(path, 0604) == 0 && !leat_key_pair_read(path, &pair, &err));
}
