#include "services/leat/dead_replay.h"

#include "services/leat/commands.h"
#include "services/leat/payload.h"
#include "services/leat/progress.h"
#include "services/leat/sender.h"
#include "services/runtime/service.h"

#include <stdlib.h>
#include <string.h>

enum {
    KEYS = 4096, /* whose answers may be outstanding; a power of two */
    SHOWN = 20,
};

struct replay {
    struct sender *sender;
    struct progress progress;
    msgpack_sbuffer record;
    uint64_t matched, sent, unfit, refused;
    char (*keys)[64]; /* of the last KEYS records, by number */
    struct leat_error trouble;
};

static void complain(struct replay *self, const char *key, const char *reason)
{
    if (self->unfit + self->refused <= SHOWN) {
        progress_clear(&self->progress);
        render_complain("leat dead", "%s: %s", key, reason);
    }
}

static void on_reject(void *arg, const struct leat_reject *reject)
{
    struct replay *self = arg;
    self->refused++;
    complain(self, self->keys[reject->record % KEYS], reject->reason);
}

static void on_turn(void *arg)
{
    struct replay *self = arg;
    struct leat_progress now = sender_progress(self->sender);
    uint64_t done = now.committed + now.dead + now.rejected + self->unfit;
    struct progress_state state = {"replaying", done, self->refused,
                                   (double)done / (double)self->matched};
    progress_show(&self->progress, &state);
}

static bool count(void *arg, const struct query_row *row)
{
    *(uint64_t *)arg += stored_count(row, 2);
    return true;
}

/* One dead letter; false ends it. */
static bool send_row(void *arg, const struct query_row *row)
{
    struct replay *self = arg;
    struct leat_error err;
    char key[64];
    struct payload_replay of = {.seq = stored_count(row, DEAD_SEQ),
                                .record = stored_count(row, DEAD_RECORD),
                                .version = (int64_t)stored_count(row, DEAD_VERSION)};
    struct leat_span payload = {(const uint8_t *)row->values[DEAD_PAYLOAD],
                                row->sizes[DEAD_PAYLOAD]};
    dead_find_key(row, key);
    msgpack_sbuffer_clear(&self->record);
    if (!payload_uuid(stored_text(row, DEAD_ORIGIN), of.origin) ||
        !payload_replay(payload, &of, &self->record, &err)) {
        self->unfit++;
        complain(self, key, err.text);
        return true;
    }
    if (self->sent % KEYS == KEYS - 1 && !sender_settle(self->sender, &self->trouble))
        return false;
    memcpy(self->keys[self->sent % KEYS], key, sizeof key);
    struct leat_span id = {(const uint8_t *)stored_text(row, DEAD_ID), row->sizes[DEAD_ID]};
    struct leat_span record = {(const uint8_t *)self->record.data, self->record.size};
    switch (sender_put(self->sender, stored_text(row, DEAD_KIND), id, record, &err)) {
    case SENDER_TAKEN:
        self->sent++;
        return true;
    case SENDER_NOT_TAKEN:
        self->unfit++;
        complain(self, key, err.text);
        return true;
    case SENDER_ENDED:
        break;
    }
    self->trouble = err;
    return false;
}

static void say_outcome(const struct replay *self, const struct leat_progress *now)
{
    char text[32];
    struct render to;
    render_init(&to, stdout);
    render_print(&to, RENDER_BOLD, "%s replayed", render_count(self->sent, text));
    printf(" of %s", render_count(self->matched, text));
    printf(": %s stored", render_count(now->committed, text));
    printf(", %s dead again", render_count(now->dead, text));
    printf(", %s not taken\n", render_count(self->unfit + self->refused, text));
}

static void print_json(const struct replay *self, const struct leat_progress *now)
{
    json_t *out =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:s?}", "matched", (json_int_t)self->matched, "sent",
                  (json_int_t)self->sent, "stored", (json_int_t)now->committed, "dead",
                  (json_int_t)now->dead, "rejected", (json_int_t)(self->unfit + self->refused),
                  "error", self->trouble.text[0] ? self->trouble.text : NULL);
    json_dumpf(out, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(out);
}

static int tell(struct replay *self, const struct options *options)
{
    struct leat_progress now = {0};
    if (self->sender)
        now = sender_progress(self->sender);
    progress_clear(&self->progress);
    if (self->trouble.text[0])
        render_complain("leat dead", "%s", self->trouble.text);
    if (options_has(options, "--json"))
        print_json(self, &now);
    else
        say_outcome(self, &now);
    if (self->sender && sender_end(self->sender) == SENDER_INTERRUPTED)
        return COMMAND_INTERRUPTED;
    return now.committed == self->matched && !self->trouble.text[0] ? LEAT_EXIT_OK
                                                                    : LEAT_EXIT_FAILED;
}

static bool read_words(struct sender_options *how, const struct options *options,
                       struct leat_error *err)
{
    how->keys = options_value(options, "--keys");
    how->timeout = 60;
    return sender_to(options, &how->to, err) &&
           options_number(options, "--timeout", 0, 1e9, &how->timeout, err);
}

static int send_all(struct replay *self, const struct dead_find *find, struct query *query,
                    const struct options *options, const struct sender_options *how)
{
    struct leat_error err = {""};
    self->sender = sender_open(how, &err);
    if (!self->sender) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    if (!dead_find_rows(find, query, 0, send_row, self, &err))
        self->trouble = err;
    else if (!self->trouble.text[0])
        self->matched = self->sent + self->unfit; /* some came or went since they were counted */
    if (!self->trouble.text[0])
        sender_finish(self->sender, &self->trouble);
    if (sender_end(self->sender) != SENDER_FINE)
        sender_linger(self->sender);
    int status = tell(self, options);
    sender_close(&self->sender);
    return status;
}

int dead_replay(const struct dead_find *find, struct query *query, const struct options *options)
{
    struct leat_error err;
    struct replay self = {.trouble = {""}};
    struct sender_options how = {
        .until = LEAT_UNTIL_COMMITTED, .on_reject = on_reject, .on_turn = on_turn, .arg = &self};
    if (!read_words(&how, options, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    if (!dead_find_counts(find, query, count, &self.matched, &err)) {
        render_complain("leat dead", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    progress_init(&self.progress, false);
    if (self.matched == 0)
        return tell(&self, options);
    self.keys = calloc(KEYS, sizeof *self.keys);
    if (!self.keys) {
        render_complain("leat dead", "out of memory");
        return LEAT_EXIT_FAILED;
    }
    msgpack_sbuffer_init(&self.record);
    int status = send_all(&self, find, query, options, &how);
    msgpack_sbuffer_destroy(&self.record);
    free(self.keys);
    return status;
}
