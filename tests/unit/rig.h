/* What tests of the runtime share: batches whose records are plain strings, and waiting. */
#ifndef RIG_H
#define RIG_H

#include "proto/batch.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum { RIG_DEADLINE_MS = 20000 };

/* Waits for a condition; fails the test when it does not come true in time. */
#define rig_await(condition)                                                                       \
    do {                                                                                           \
        int64_t until_us = leat_monotonic_us() + RIG_DEADLINE_MS * INT64_C(1000);                  \
        while (!(condition)) {                                                                     \
            if (leat_monotonic_us() > until_us)                                                    \
                fail_msg("never came true: %s", #condition);                                       \
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);                               \
        }                                                                                          \
    } while (0)

/* The frame of a batch with `n` string records. */
static inline msgpack_sbuffer rig_frame(const char *stage, const char *kind, uint64_t seq,
                                        const char *const *records, uint32_t n)
{
    struct leat_batch_head head = {.seq = seq, .stamp = 1000000, .attempt = 1, .count = n};
    msgpack_sbuffer frame;
    snprintf(head.stage, sizeof head.stage, "%s", stage);
    snprintf(head.kind, sizeof head.kind, "%s", kind);
    memset(head.origin, 'o', sizeof head.origin);
    memset(head.run, 'r', sizeof head.run);
    msgpack_sbuffer_init(&frame);
    leat_batch_write_head(&head, &frame);
    for (uint32_t i = 0; i < n; i++) {
        msgpack_sbuffer record;
        msgpack_packer pack;
        msgpack_sbuffer_init(&record);
        leat_pack_init(&pack, &record);
        leat_pack_cstr(&pack, records[i]);
        struct leat_item item = {.record = {(const uint8_t *)record.data, record.size}};
        leat_batch_write_item(&item, &frame);
        msgpack_sbuffer_destroy(&record);
    }
    return frame;
}

/* The same, decoded. *bytes: the frame, which is the batch's. */
static inline struct leat_batch *rig_batch(const char *stage, const char *kind, uint64_t seq,
                                           const char *const *records, uint32_t n,
                                           struct leat_span *bytes)
{
    msgpack_sbuffer frame = rig_frame(stage, kind, seq, records, n);
    struct leat_error err = {.text = ""};
    *bytes = (struct leat_span){(const uint8_t *)frame.data, frame.size};
    struct leat_batch *batch = leat_batch_read(*bytes, frame.data, free, &err);
    assert_string_equal(err.text, "");
    assert_non_null(batch);
    return batch;
}

/* A packed string as a C string, in one of a few static places. */
static inline const char *rig_text(struct leat_span packed)
{
    static char texts[8][600];
    static int next;
    struct leat_span text = {NULL, 0};
    char *out = texts[next++ % 8];
    if (packed.size == 0 || !leat_wire_text(packed, &text))
        return "";
    snprintf(out, sizeof texts[0], "%.*s", (int)text.size, (const char *)text.data);
    return out;
}

/* An item's error as "code: message"; "" when it has none. */
static inline const char *rig_error(const struct leat_item *item)
{
    static char texts[8][700];
    static int next;
    char *out = texts[next++ % 8];
    struct leat_span stage, code, message;
    msgpack_zone *zone = msgpack_zone_new(1024);
    out[0] = '\0';
    if (leat_item_error(item, zone, &stage, &code, &message))
        snprintf(out, sizeof texts[0], "%.*s: %.*s", (int)code.size, (const char *)code.data,
                 (int)message.size, (const char *)message.data);
    msgpack_zone_free(zone);
    return out;
}

/* A folder for the test's files; to be removed by rig_folder_remove. */
static inline char *rig_folder(void)
{
    char template[] = "/tmp/leat-test-XXXXXX";
    assert_non_null(mkdtemp(template));
    return strdup(template);
}

/* One of the last 16 texts, of both functions below. */
static inline const char *rig_place(const char *scheme, const char *folder, const char *name)
{
    static char places[16][300];
    static int next;
    char *out = places[next++ % 16];
    snprintf(out, sizeof places[0], "%s%s/%s", scheme, folder, name);
    return out;
}

static inline const char *rig_path(const char *folder, const char *name)
{
    return rig_place("", folder, name);
}

/* An address of a socket file in the folder. */
static inline const char *rig_ipc(const char *folder, const char *name)
{
    return rig_place("ipc://", folder, name);
}

/* What a socket was bound to in place of "tcp://127.0.0.1:*". */
static inline void rig_endpoint(void *socket, char out[64])
{
    size_t size = 64;
    assert_int_equal(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, out, &size), 0);
}

static inline void rig_write(const char *path, const char *text, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

#endif
