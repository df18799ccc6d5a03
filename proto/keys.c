#include "proto/keys.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

enum { LINE = 256, LINES_MOST = 100 };

/* Takes `NAME = "VALUE"` with a value of the right length. */
static bool take(const char *line, const char *name, char out[LEAT_KEY_TEXT])
{
    line += strspn(line, " \t");
    size_t size = strlen(name);
    if (strncmp(line, name, size) != 0)
        return false;
    line += size;
    line += strspn(line, " \t");
    if (*line++ != '=')
        return false;
    line += strspn(line, " \t");
    if (*line++ != '"' || strcspn(line, "\"\n") != LEAT_KEY_TEXT - 1 ||
        line[LEAT_KEY_TEXT - 1] != '"')
        return false;
    memcpy(out, line, LEAT_KEY_TEXT - 1);
    out[LEAT_KEY_TEXT - 1] = '\0';
    return true;
}

/* Both keys of a file; what it does not have is empty. */
static bool read_file(const char *path, struct leat_key_pair *out, struct stat *st,
                      struct leat_error *err)
{
    char line[LINE];
    *out = (struct leat_key_pair){.public_key = ""};
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), st) != 0) {
        int code = errno;
        if (file)
            fclose(file);
        return leat_fail(err, "cannot read the key %s: %s", path, strerror(code));
    }
    for (int i = 0; i < LINES_MOST && fgets(line, sizeof line, file); i++)
        if (!take(line, "public-key", out->public_key))
            take(line, "secret-key", out->secret_key);
    fclose(file);
    return true;
}

/* Z85 that stands for 32 bytes. */
static bool is_key(const char *text)
{
    uint8_t bytes[32];
    return strlen(text) == LEAT_KEY_TEXT - 1 && zmq_z85_decode(bytes, text) != NULL;
}

bool leat_key_read(const char *path, char out[LEAT_KEY_TEXT], struct leat_error *err)
{
    struct leat_key_pair pair;
    struct stat st;
    if (!read_file(path, &pair, &st, err))
        return false;
    if (!is_key(pair.public_key))
        return leat_fail(err, "%s holds no public key; expected a line public-key = \"...\"", path);
    memcpy(out, pair.public_key, LEAT_KEY_TEXT);
    return true;
}

bool leat_key_pair_read(const char *path, struct leat_key_pair *out, struct leat_error *err)
{
    char derived[LEAT_KEY_TEXT];
    struct stat st;
    if (!read_file(path, out, &st, err))
        return false;
    if (!is_key(out->public_key) || !is_key(out->secret_key))
        return leat_fail(err,
                         "%s holds no key pair; expected lines public-key = \"...\" and "
                         "secret-key = \"...\"",
                         path);
    if (st.st_mode & S_IRWXO)
        return leat_fail(err, "%s may be read by everybody on this machine; chmod 600 it", path);
    if (zmq_curve_public(derived, out->secret_key) != 0)
        return leat_fail(err, "this libzmq knows no CURVE");
    if (strcmp(derived, out->public_key) != 0)
        return leat_fail(err, "%s: its public key does not belong to its secret key", path);
    return true;
}

bool leat_keys_read(const char *dir, const char *server_key, struct leat_keys *out,
                    struct leat_error *err)
{
    char path[4096];
    if (!server_key) {
        snprintf(path, sizeof path, "%s/server.pub", dir);
        server_key = path;
    }
    if (!leat_key_read(server_key, out->server, err))
        return false;
    snprintf(path, sizeof path, "%s/client.key", dir);
    return leat_key_pair_read(path, &out->own, err);
}

bool leat_keys_apply(const struct leat_keys *self, void *socket, struct leat_error *err)
{
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, self->server, LEAT_KEY_TEXT) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, self->own.public_key, LEAT_KEY_TEXT) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->own.secret_key, LEAT_KEY_TEXT) == 0)
        return true;
    return leat_fail(err, "cannot use the keys: %s", zmq_strerror(zmq_errno()));
}
