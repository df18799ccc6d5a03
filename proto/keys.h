/* Keys of CURVE in files, as `leat keys` makes them and czmq and pyzmq read them too.
 *
 * A key pair is what one side of a connection proves itself by. A connecting side needs its own
 * pair and the public key of the other; nothing is sent before both have been proved. */
#ifndef LEAT_PROTO_KEYS_H
#define LEAT_PROTO_KEYS_H

#include "proto/error.h"

/* Z85: 40 characters for 32 bytes. */
enum { LEAT_KEY_TEXT = 41 };

struct leat_key_pair {
    char public_key[LEAT_KEY_TEXT];
    char secret_key[LEAT_KEY_TEXT];
};

/* What a socket that connects is given. */
struct leat_keys {
    char server[LEAT_KEY_TEXT]; /* public */
    struct leat_key_pair own;
};

/* Reads the public key of a file. */
bool leat_key_read(const char *path, char out[LEAT_KEY_TEXT], struct leat_error *err);

/* Reads both; refuses a file that anybody may read, or whose two keys do not belong together. */
bool leat_key_pair_read(const char *path, struct leat_key_pair *out, struct leat_error *err);

/* A client's: NULL `server_key` is DIR/server.pub; its own pair is DIR/client.key. */
bool leat_keys_read(const char *dir, const char *server_key, struct leat_keys *out,
                    struct leat_error *err);

/* Makes a socket that has not connected yet speak CURVE and nothing else. */
bool leat_keys_apply(const struct leat_keys *self, void *socket, struct leat_error *err);

#endif
