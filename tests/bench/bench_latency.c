/* One text alone, from leat_send to committed: prints the milliseconds of each, one a line. */
#include "proto/leat.h"
#include "proto/wire.h"
#include "services/runtime/clock.h"

#include <stdio.h>
#include <stdlib.h>

static void pack(msgpack_sbuffer *record, const char *id, int i)
{
    char text[80];
    snprintf(text, sizeof text, "I really enjoyed the concert in the park tonight, number %d", i);
    msgpack_packer pk;
    msgpack_sbuffer_clear(record);
    msgpack_packer_init(&pk, record, msgpack_sbuffer_write);
    leat_pack_map(&pk, 2);
    leat_pack_cstr(&pk, "id");
    leat_pack_cstr(&pk, id);
    leat_pack_cstr(&pk, "text");
    leat_pack_cstr(&pk, text);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_latency ENDPOINT TEXTS\n");
        return 2;
    }
    struct leat_error err;
    struct leat_options options = {.endpoints = argv[1]};
    struct leat_client *client = leat_connect(&options, &err);
    msgpack_sbuffer record;
    msgpack_sbuffer_init(&record);
    for (int i = 0; client && i < atoi(argv[2]); i++) {
        char id[32];
        int size = snprintf(id, sizeof id, "latency-%d", i);
        pack(&record, id, i);
        int64_t begin = leat_monotonic_us();
        if (!leat_send(client, "text", id, (size_t)size, record.data, record.size, &err) ||
            !leat_flush(client, LEAT_UNTIL_COMMITTED, 60000, &err)) {
            fprintf(stderr, "bench_latency: %s\n", err.text);
            return 1;
        }
        printf("%.3f\n", (double)(leat_monotonic_us() - begin) / 1000);
    }
    if (!client)
        fprintf(stderr, "bench_latency: %s\n", err.text);
    msgpack_sbuffer_destroy(&record);
    int status = client ? 0 : 1;
    leat_disconnect(&client);
    return status;
}
