/* The child's side: a stage without sockets, its batches read from descriptor 3. */
#include "services/runtime/child.h"
#include "services/runtime/child_pipe.h"
#include "services/runtime/log.h"
#include "services/runtime/stage_context.h"
#include "services/runtime/stage_counts.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct child_side {
    const struct leat_stage *stage;
    void *self;
    struct leat_settings *settings;
    struct leat_metrics *metrics;
    struct leat_stage_context ctx;
    struct leat_metric *errors;
};

static struct leat_span span_of(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

/* --- what the stage asks for ---------------------------------------------------------------- */

static void side_ready(void *owner, bool ready, const char *reason)
{
    char text[512];
    (void)owner;
    int n = snprintf(text + 1, sizeof text - 1, "%s", reason ? reason : "");
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text - 1 ? (size_t)n : sizeof text - 2;
    text[0] = ready;
    child_write(CHILD_FD_PIPE, CHILD_READY, (struct leat_span){(const uint8_t *)text, size + 1});
}

static void side_ack(void *owner, const struct leat_batch_head *head, uint32_t committed,
                     uint32_t dead)
{
    /* Isolated stages publish nothing (stage.h). */
    (void)owner, (void)head, (void)committed, (void)dead;
}

static void side_side(void *owner, struct leat_span bytes)
{
    (void)owner;
    child_write(CHILD_FD_PIPE, CHILD_SIDE, bytes);
}

static bool side_stopping(void *owner)
{
    (void)owner;
    return false; /* the parent does not ask: it kills */
}

/* The parent has shut the socket when it wants an end. */
static bool side_waits(void *owner)
{
    (void)owner;
    return child_write(CHILD_FD_PIPE, CHILD_WAITS, (struct leat_span){0});
}

/* --- fault injection, in builds for tests only ---------------------------------------------- */

#ifdef LEAT_TEST_HOOKS
static bool live_record_has(const struct leat_batch *batch, const char *bytes)
{
    for (uint32_t i = 0; bytes[0] && i < batch->head.count; i++)
        if (batch->items[i].error.size == 0 &&
            memmem(batch->items[i].record.data, batch->items[i].record.size, bytes, strlen(bytes)))
            return true;
    return false;
}

static void inject(const struct child_side *self, const struct leat_batch *batch)
{
    if (live_record_has(batch, leat_settings_str(self->settings, "test.crash_on")))
        raise(SIGKILL);
    while (live_record_has(batch, leat_settings_str(self->settings, "test.hang_on")))
        pause();
}
#else
static void inject(const struct child_side *self, const struct leat_batch *batch)
{
    (void)self, (void)batch;
}
#endif

/* --- batches -------------------------------------------------------------------------------- */

static bool answer(struct child_side *self, enum leat_verdict verdict,
                   const struct leat_batch *batch)
{
    msgpack_sbuffer buffer;
    uint8_t first = (uint8_t)verdict;
    (void)self;
    msgpack_sbuffer_init(&buffer);
    leat_pack_raw(&buffer, (struct leat_span){&first, 1});
    for (uint32_t i = 0; batch && verdict == LEAT_FORWARD && i < batch->head.count; i++)
        leat_batch_write_item(&batch->items[i], &buffer);
    bool ok = child_write(CHILD_FD_PIPE, CHILD_ANSWER,
                          (struct leat_span){(const uint8_t *)buffer.data, buffer.size});
    msgpack_sbuffer_destroy(&buffer);
    return ok;
}

static uint32_t errors_in(const struct leat_batch *batch)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < batch->head.count; i++)
        n += batch->items[i].error.size > 0;
    return n;
}

/* Batches that are worked on together. */
struct gathered {
    struct leat_batch *batches[CHILD_GATHERED];
    size_t n, bytes;
    bool malformed; /* behind them came one that is none */
};

/* Takes the memory over. */
static void gather(struct gathered *self, uint8_t *memory, size_t size)
{
    struct leat_batch *batch =
        leat_batch_read((struct leat_span){memory, size}, memory, free, NULL);
    self->malformed = !batch;
    if (batch)
        self->batches[self->n++] = batch;
    self->bytes += size;
}

static void judge(struct child_side *self, const struct gathered *in, enum leat_verdict *verdicts)
{
    for (size_t i = 0; i < in->n; i++)
        inject(self, in->batches[i]);
    if (self->stage->batches)
        self->stage->batches(self->self, in->batches, in->n, verdicts);
    else
        for (size_t i = 0; i < in->n; i++)
            verdicts[i] = self->stage->batch(self->self, in->batches[i]);
    for (size_t i = 0; i < in->n; i++)
        if (verdicts[i] == LEAT_TAKEN) {
            leat_log(LEAT_ERR, self->stage->name, "isolated_stage_kept_a_batch");
            _exit(LEAT_EXIT_FAILED);
        }
}

/* Works through all of them and answers in their order. */
static bool work(struct child_side *self, struct gathered *in)
{
    enum leat_verdict verdicts[CHILD_GATHERED];
    uint32_t before = 0, after = 0;
    bool ok = true;
    for (size_t i = 0; i < in->n; i++)
        before += errors_in(in->batches[i]);
    judge(self, in, verdicts);
    for (size_t i = 0; i < in->n; i++)
        after += errors_in(in->batches[i]);
    leat_metric_inc(self->errors, after - before);
    for (size_t i = 0; i < in->n; i++)
        ok = ok && answer(self, verdicts[i], in->batches[i]);
    for (size_t i = 0; i < in->n; i++)
        leat_batch_destroy(&in->batches[i]);
    return ok && (!in->malformed || answer(self, LEAT_DROP, NULL));
}

/* --- settings ------------------------------------------------------------------------------- */

static bool assign_lines(struct leat_settings *to, char *lines, struct leat_error *err)
{
    bool ok = true;
    for (char *line = strtok_r(lines, "\n", &lines); ok && line;
         line = strtok_r(NULL, "\n", &lines))
        ok = leat_settings_assign(to, line, LEAT_FROM_PROGRAM, err);
    return ok;
}

static void log_level(const struct leat_settings *settings)
{
    enum leat_log_level level;
    if (leat_log_level_parse(leat_settings_str(settings, "log.level"), &level))
        leat_log_set_level(level);
}

static void reload(struct child_side *self, char *lines)
{
    if (assign_lines(self->settings, lines, NULL) && self->stage->reload)
        self->stage->reload(self->self, self->settings);
    log_level(self->settings);
}

/* --- the walk ------------------------------------------------------------------------------- */

static bool waits_already(void)
{
    struct pollfd input = {.fd = CHILD_FD_PIPE, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static bool wants_more(const struct child_side *self, const struct gathered *in)
{
    return in->n > 0 && in->n < CHILD_GATHERED && !in->malformed && self->stage->gathers &&
           self->stage->gathers(self->self, in->n, in->bytes) && waits_already();
}

/* Reads a frame, and behind a batch those that the stage wants at once with it. False when the
 * parent is gone, or wants us to end. */
static bool take_frames(struct child_side *self)
{
    struct gathered in = {.n = 0};
    do {
        enum child_frame type;
        size_t size;
        uint8_t *payload = child_read(CHILD_FD_PIPE, &type, &size);
        if (!payload) {
            for (size_t i = 0; i < in.n; i++)
                leat_batch_destroy(&in.batches[i]);
            return false;
        }
        if (type == CHILD_BATCH) {
            gather(&in, payload, size);
            continue;
        }
        if (type == CHILD_RELOAD)
            reload(self, (char *)payload);
        free(payload);
    } while (wants_more(self, &in));
    return (in.n == 0 && !in.malformed) || work(self, &in);
}

/* False when the parent is gone, or wants us to end. */
static bool turn(struct child_side *self)
{
    struct pollfd input = {.fd = CHILD_FD_PIPE, .events = POLLIN};
    if (self->stage->tick) {
        bool idle = poll(&input, 1, 0) == 0;
        int wish = self->stage->tick(self->self, idle);
        if (idle && poll(&input, 1, wish) == 0)
            return true;
    }
    return take_frames(self);
}

static const struct leat_stage *find_stage(const struct leat_program *program, const char *name)
{
    for (const struct leat_service *const *s = program->services; *s; s++)
        if ((*s)->stage && strcmp((*s)->stage->name, name) == 0)
            return (*s)->stage;
    return NULL;
}

/* A child dies with its parent, and by its parent's hand only: signals from a terminal or a service
 * manager go to all processes of a group, but the parent drains. */
static void bind_life_to_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

static bool prepare(struct child_side *self, const struct leat_program *program,
                    struct leat_error *err)
{
    enum child_frame type;
    size_t size;
    uint8_t *lines = child_read(CHILD_FD_PIPE, &type, &size);
    self->settings = leat_settings_new(program->tables);
    bool ok = lines && type == CHILD_SETTINGS && assign_lines(self->settings, (char *)lines, err);
    free(lines);
    self->metrics = ok ? leat_metrics_attach(CHILD_FD_METRICS, err) : NULL;
    if (!self->metrics)
        return false;
    log_level(self->settings);
    struct stage_counts counts;
    stage_counts_open(&counts, self->metrics, self->stage->name);
    self->errors = counts.errors;
    self->ctx = (struct leat_stage_context){.settings = self->settings,
                                            .metrics = self->metrics,
                                            .owner = self,
                                            .ready = side_ready,
                                            .ack = side_ack,
                                            .side = side_side,
                                            .stopping = side_stopping,
                                            .waits = side_waits};
    return self->stage->open(&self->self, &self->ctx, err);
}

int leat_child_main(const struct leat_program *program, const char *name)
{
    struct child_side self = {.stage = find_stage(program, name)};
    struct leat_error err = {.text = "the parent is gone"};
    if (!self.stage) {
        fprintf(stderr, "%s: --child is how the program starts itself; there is no stage \"%s\"\n",
                program->name, name);
        return LEAT_EXIT_USAGE;
    }
    bind_life_to_parent();
    bool ok = prepare(&self, program, &err);
    if (ok) {
        child_write(CHILD_FD_PIPE, CHILD_OPENED, span_of(""));
        while (turn(&self))
            ;
        if (self.stage->drain)
            self.stage->drain(self.self);
        self.stage->close(&self.self);
    } else
        child_write(CHILD_FD_PIPE, CHILD_FAILED, span_of(err.text));
    leat_metrics_destroy(&self.metrics);
    leat_settings_destroy(&self.settings);
    return ok ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
}
