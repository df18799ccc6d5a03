/* Sends a file of NDJSON to Leat and waits until it is committed: example ENDPOINT FILE
 *
 * The least that a program does with leat.h: connect, send, flush, see how it went. JSON is read
 * with jansson and packed with msgpack-c; a program with data of its own packs that and needs no
 * JSON. Where ingest has keys, LEAT_SECURITY_KEYS names the folder of this client's.
 *
 *     cc -I. proto/examples/example.c build/libservices.a \
 *         $(pkg-config --cflags --libs libzmq msgpack jansson) */
#include "proto/leat.h"

#include <jansson.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The line that each record came from: leat_send numbers records from 0, in the order given. */
struct lines {
    const char *path;
    unsigned *of_record;
    size_t count, room;
};

static void add_line(struct lines *self, unsigned line)
{
    if (self->count == self->room) {
        self->room = self->room ? self->room * 2 : 1024;
        self->of_record = realloc(self->of_record, self->room * sizeof self->of_record[0]);
        if (!self->of_record)
            abort();
    }
    self->of_record[self->count++] = line;
}

static void on_reject(void *arg, const struct leat_reject *reject)
{
    const struct lines *lines = arg;
    fprintf(stderr, "%s:%u: %s: %s\n", lines->path, lines->of_record[reject->record], reject->code,
            reject->reason);
}

static void on_event(void *arg, const char *event)
{
    (void)arg;
    fprintf(stderr, "%s\n", event);
}

static void pack(msgpack_packer *to, const json_t *value)
{
    const char *key;
    const json_t *inner;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        msgpack_pack_map(to, json_object_size(value));
        json_object_foreach((json_t *)value, key, inner)
        {
            msgpack_pack_str_with_body(to, key, strlen(key));
            pack(to, inner);
        }
        break;
    case JSON_ARRAY:
        msgpack_pack_array(to, json_array_size(value));
        json_array_foreach(value, i, inner) pack(to, inner);
        break;
    case JSON_STRING:
        msgpack_pack_str_with_body(to, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        msgpack_pack_int64(to, json_integer_value(value));
        break;
    case JSON_REAL:
        msgpack_pack_double(to, json_real_value(value));
        break;
    case JSON_TRUE:
        msgpack_pack_true(to);
        break;
    case JSON_FALSE:
        msgpack_pack_false(to);
        break;
    case JSON_NULL:
        msgpack_pack_nil(to);
        break;
    }
}

/* Sends one record. A text's id is the key: with several endpoints it chooses among them. */
static bool send_record(struct leat_client *client, const json_t *record, msgpack_sbuffer *buffer,
                        struct leat_error *err)
{
    const json_t *id = json_object_get(record, "id");
    const char *key = json_is_string(id) ? json_string_value(id) : "";
    msgpack_packer packer;
    msgpack_packer_init(&packer, buffer, msgpack_sbuffer_write);
    msgpack_sbuffer_clear(buffer);
    pack(&packer, record);
    return leat_send(client, "text", key, strlen(key), buffer->data, buffer->size, err);
}

static bool send_file(struct leat_client *client, FILE *file, struct lines *lines,
                      struct leat_error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    bool good = true;
    msgpack_sbuffer buffer;
    msgpack_sbuffer_init(&buffer);
    for (unsigned number = 1; good && (size = getline(&line, &room, file)) >= 0; number++) {
        if (strspn(line, " \t\r\n") == (size_t)size)
            continue;
        json_error_t wrong;
        json_t *record = json_loadb(line, (size_t)size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &wrong);
        if (!record) {
            fprintf(stderr, "%s:%u: %s\n", lines->path, number, wrong.text);
            continue;
        }
        if (send_record(client, record, &buffer, err)) {
            add_line(lines, number);
        } else {
            /* This record alone was not taken, or nothing can be sent any more. */
            fprintf(stderr, "%s:%u: %s\n", lines->path, number, err->text);
            good = leat_poll(client, 0, err);
        }
        json_decref(record);
    }
    msgpack_sbuffer_destroy(&buffer);
    free(line);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: example ENDPOINT FILE.ndjson\n");
        return 2;
    }
    struct lines lines = {.path = argv[2]};
    struct leat_error err;
    FILE *file = fopen(argv[2], "rb");
    if (!file) {
        perror(argv[2]);
        return 1;
    }
    struct leat_client *client =
        leat_connect(&(struct leat_options){.endpoints = argv[1],
                                            .keys = getenv("LEAT_SECURITY_KEYS"),
                                            .on_reject = on_reject,
                                            .on_event = on_event,
                                            .arg = &lines},
                     &err);
    bool good = client && send_file(client, file, &lines, &err) &&
                leat_flush(client, LEAT_UNTIL_COMMITTED, 60000, &err);
    if (!good)
        fprintf(stderr, "%s\n", err.text);
    if (client) {
        struct leat_progress p;
        leat_progress(client, &p);
        printf("accepted %llu rejected %llu committed %llu dead %llu\n",
               (unsigned long long)p.accepted, (unsigned long long)p.rejected,
               (unsigned long long)p.committed, (unsigned long long)p.dead);
    }
    leat_disconnect(&client);
    fclose(file);
    free(lines.of_record);
    return good ? 0 : 1;
}
