#include "services/leat/sending.h"

#include "services/leat/commands.h"
#include "services/leat/sending_private.h"
#include "services/runtime/service.h"

#include <string.h>
#include <sys/stat.h>

bool sending_trouble(struct sending *self, const struct leat_error *err)
{
    progress_clear(&self->progress);
    render_complain("leat send", "%s", err->text);
    if (!self->trouble.text[0]) {
        self->trouble = *err;
        draft_mend(self->trouble.text); /* files' names are in it */
    }
    return false;
}

/* --- what the client tells --- */

static void on_reject(void *arg, const struct leat_reject *reject)
{
    struct sending *self = arg;
    struct position at = {.rows = 1};
    positions_find(&self->positions, reject->record, &at);
    rejects_add(&self->rejects, at.file, at.line, at.rows, reject->code, reject->reason);
}

/* Nothing, when no ingest let it in. */
static struct leat_progress progress_of(const struct sending *self)
{
    return self->sender ? sender_progress(self->sender) : (struct leat_progress){0};
}

/* What became of the rows that the sender took. */
struct counts {
    uint64_t accepted, committed, dead;
};

/* The part of `rows` that `part` of `all` records are: exact when it is none or all of them, or
 * when records are rows. */
static uint64_t share_of(uint64_t rows, uint64_t part, uint64_t all)
{
    if (part == all)
        return rows;
    return all ? (uint64_t)((double)rows * (double)part / (double)all) : 0;
}

static struct counts count(const struct sending *self)
{
    struct leat_progress now = progress_of(self);
    struct counts out = {now.accepted, now.committed, now.dead};
    if (self->taken == now.sent)
        return out;
    uint64_t left = self->taken - (self->rejects.count - self->refused);
    out.accepted = share_of(left, now.accepted, now.sent - now.rejected);
    out.committed = share_of(out.accepted, now.committed, now.accepted);
    out.dead = share_of(out.accepted, now.dead, now.accepted);
    if (now.committed + now.dead == now.accepted)
        out.dead = out.accepted - out.committed;
    return out;
}

static double share_read(const struct sending *self)
{
    if (self->all_bytes == 0)
        return -1;
    uint64_t done = self->past_bytes + (self->input ? input_taken(self->input) : 0);
    return done < self->all_bytes ? (double)done / (double)self->all_bytes : 1;
}

static void on_turn(void *arg)
{
    struct sending *self = arg;
    struct progress_state state = {"sending", self->rows, self->rejects.count, share_read(self)};
    if (!self->reading) {
        struct counts now = count(self);
        bool committed = self->options->how.until == LEAT_UNTIL_COMMITTED;
        uint64_t done = committed ? now.committed + now.dead : now.accepted;
        uint64_t all = committed ? now.accepted : self->taken;
        state = (struct progress_state){committed ? "committing" : "waiting", done,
                                        self->rejects.count, all ? (double)done / (double)all : -1};
    }
    progress_show(&self->progress, &state);
}

static bool on_idle(void *arg)
{
    struct sending *self = arg;
    struct leat_error err;
    return sender_turn(self->sender, &err);
}

struct input_idle sending_idle(struct sending *self)
{
    return (struct input_idle){on_idle, self};
}

/* --- reading --- */

void sending_refuse(struct sending *self, uint32_t file, uint64_t line, uint64_t rows,
                    const char *code, const char *reason)
{
    self->refused += rows;
    rejects_add(&self->rejects, file, line, rows, code, reason);
}

bool sending_put(struct sending *self, uint32_t file, uint64_t line, uint64_t rows,
                 struct leat_span key, struct leat_span record, struct leat_error *err)
{
    if (positions_full(&self->positions)) {
        if (!sender_settle(self->sender, err)) {
            self->rows -= rows;
            return false;
        }
        positions_forget(&self->positions);
    }
    struct positions before = self->positions;
    positions_add(&self->positions, file, line, rows);
    switch (sender_put(self->sender, self->options->kind, key, record, err)) {
    case SENDER_TAKEN:
        self->taken += rows;
        return true;
    case SENDER_NOT_TAKEN:
        self->positions = before;
        sending_refuse(self, file, line, rows, "record_refused", err->text);
        return true;
    case SENDER_ENDED:
        break;
    }
    self->positions = before;
    self->rows -= rows; /* read, but neither accepted nor rejected: not counted */
    return false;
}

/* An input cannot be read on: the others may be fine, unless it was the client that stopped the
 * reading; then its reason is the one to tell. */
bool sending_unreadable(struct sending *self, struct leat_error *err)
{
    bool go_on = sender_end(self->sender) == SENDER_FINE || sender_turn(self->sender, err);
    sending_trouble(self, err);
    return go_on;
}

/* Looks at every file before anything is sent, and adds their sizes up. A pipe cannot be looked at
 * twice; a series that cannot be read is refused by itself, and the others go in. */
static bool inspect(struct sending *self, struct leat_error *err)
{
    bool known = true;
    for (size_t i = 0; i < self->options->n_inputs; i++) {
        const char *path = self->options->inputs[i];
        struct stat st;
        bool standard = strcmp(path, "-") == 0;
        int rc = standard ? fstat(0, &st) : stat(path, &st);
        if (rc == 0 && S_ISREG(st.st_mode))
            self->all_bytes += (uint64_t)st.st_size;
        else
            known = false;
        if (self->options->series || standard ||
            (rc == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
            continue;
        struct input *input = input_open(path, NULL, err);
        struct reader *reader = input ? reader_open(input, &self->options->reading, err) : NULL;
        if (!reader)
            return false;
        reader_close(&reader);
    }
    if (!known)
        self->all_bytes = 0;
    return true;
}

/* --- telling --- */

static void say_outcome(const struct sending *self, const struct counts *now, double seconds)
{
    char count[32], rate[32], time[32];
    struct render to;
    render_init(&to, stdout);
    render_print(&to, RENDER_BOLD, "%s %ssent", render_count(self->rows, count),
                 self->options->series ? "rows " : "");
    printf(" in %s (%s/s): ", render_duration(seconds, time),
           render_count((uint64_t)((double)self->rows / seconds + 0.5), rate));
    printf("%s accepted, ", render_count(now->accepted, count));
    render_print(&to, self->rejects.count ? RENDER_YELLOW : RENDER_PLAIN, "%s rejected",
                 render_count(self->rejects.count, count));
    bool all = now->committed == now->accepted;
    if (self->options->how.until == LEAT_UNTIL_COMMITTED || now->committed > 0) {
        fputs(", ", stdout);
        render_print(&to, all ? RENDER_GREEN : RENDER_PLAIN, "%s committed",
                     render_count(now->committed, count));
    }
    if (now->dead > 0) {
        fputs(", ", stdout);
        render_print(&to, RENDER_RED, "%s dead", render_count(now->dead, count));
        printf("\n'leat dead list' says why");
    }
    putchar('\n');
}

/* The blocks that rows of series travelled in. */
static void add_blocks(const struct sending *self, json_t *out)
{
    struct leat_progress now = progress_of(self);
    json_object_set_new(out, "passed", json_integer((json_int_t)self->passed));
    json_object_set_new(out, "blocks",
                        json_pack("{s:I, s:I, s:I, s:I, s:I}", "sent", (json_int_t)now.sent,
                                  "accepted", (json_int_t)now.accepted, "rejected",
                                  (json_int_t)now.rejected, "committed", (json_int_t)now.committed,
                                  "dead", (json_int_t)now.dead));
}

static void print_json(struct sending *self, const struct counts *now, double seconds)
{
    json_t *out = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:s?, s:o}", "sent", (json_int_t)self->rows,
        "accepted", (json_int_t)now->accepted, "rejected", (json_int_t)self->rejects.count,
        "committed", (json_int_t)now->committed, "dead", (json_int_t)now->dead, "resent",
        (json_int_t)progress_of(self).resent, "seconds", seconds, "rate",
        seconds > 0 ? (double)self->rows / seconds : 0.0, "error",
        self->trouble.text[0] ? self->trouble.text : NULL, "rejects", rejects_json(&self->rejects));
    if (self->options->series)
        add_blocks(self, out);
    json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(out);
}

/* What is not as one wants it, and what becomes of it. */
static void say_open_ends(struct sending *self, const struct counts *now)
{
    char count[32];
    uint64_t unanswered = self->rows - now->accepted - self->rejects.count;
    uint64_t waiting = now->accepted - now->committed - now->dead;
    if (unanswered > 0)
        render_complain("leat send",
                        "sent without an answer: %s (they may or may not have been taken; sending "
                        "them again is safe)",
                        render_count(unanswered, count));
    if (waiting > 0 && self->options->how.until == LEAT_UNTIL_COMMITTED)
        render_complain("leat send", "accepted and not committed yet: %s (%s)",
                        render_count(waiting, count),
                        sender_rolled_back(self->sender)
                            ? "ingest came back with an older journal, where they may be missing; "
                              "sending them again is safe"
                            : "they are safe in the journal, and will be");
}

static int tell(struct sending *self)
{
    struct counts now = count(self);
    double seconds = progress_seconds(&self->progress);
    struct render to;
    progress_clear(&self->progress);
    fflush(stdout);
    render_init(&to, stderr);
    if (!self->options->quiet)
        rejects_print(&self->rejects, &to);
    say_open_ends(self, &now);
    struct leat_error err;
    if (self->options->json)
        print_json(self, &now, seconds);
    else if (!self->options->quiet)
        say_outcome(self, &now, seconds);
    if (!rejects_end(&self->rejects, &err))
        sending_trouble(self, &err);
    if (sender_end(self->sender) == SENDER_INTERRUPTED)
        return COMMAND_INTERRUPTED;
    if (self->trouble.text[0] || now.dead > 0)
        return LEAT_EXIT_FAILED;
    return LEAT_EXIT_OK;
}

static int send_all(struct sending *self)
{
    struct leat_error err;
    bool go_on = true;
    self->reading = true;
    for (uint32_t i = 0; i < self->options->n_inputs && go_on; i++)
        go_on = self->options->series ? sending_series(self, i) : sending_text(self, i);
    self->reading = false;
    if (go_on && !sender_finish(self->sender, &err))
        sending_trouble(self, &err);
    if (sender_end(self->sender) != SENDER_FINE)
        sender_linger(self->sender);
    return tell(self);
}

/* Nothing of any input was sent. */
static int give_up(struct sending *self, const struct leat_error *err)
{
    sending_trouble(self, err);
    if (self->options->json)
        print_json(self, &(struct counts){0}, progress_seconds(&self->progress));
    return LEAT_EXIT_FAILED;
}

int sending_run(const struct sending_options *options)
{
    struct leat_error err = {"out of memory"};
    struct sending self = {.options = options};
    struct sender_options how = options->how;
    how.on_reject = on_reject;
    how.on_turn = on_turn;
    how.arg = &self;
    progress_init(&self.progress, options->quiet);
    if (inspect(&self, &err) && positions_init(&self.positions) &&
        rejects_init(&self.rejects, options->inputs, options->shown, options->rejects_path, &err))
        self.sender = sender_open(&how, &err);
    int status = self.sender ? send_all(&self) : give_up(&self, &err);
    sender_close(&self.sender);
    rejects_end(&self.rejects, NULL);
    positions_end(&self.positions);
    return status;
}
