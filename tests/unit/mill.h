/* A stage for tests: its result for a record is the record with a mark behind it. Some records make
 * it do bad things. One program of it alone: `mill`, whose kind "grain" goes mill → store. */
#ifndef MILL_H
#define MILL_H

#include "services/runtime/service.h"
#include "services/runtime/child.h"
#include "tests/unit/rig.h"

#include <signal.h>

struct mill {
    struct leat_stage_context *ctx;
    char mark[32];
};

static bool mill_open(void **self, struct leat_stage_context *ctx, struct leat_error *err)
{
    const struct leat_settings *settings = leat_stage_settings(ctx);
    const char *refuse = leat_settings_str(settings, "mill.refuse_while");
    if (refuse[0] && access(refuse, F_OK) == 0)
        return leat_fail(err, "the mill's stone is broken");
    if (leat_settings_bool(settings, "mill.dies_at_start"))
        _exit(9);
    const char *awaited = leat_settings_str(settings, "mill.opens_when");
    leat_log(LEAT_INFO, "mill", "opening");
    while (awaited[0] && access(awaited, F_OK) != 0)
        usleep(2000);
    struct mill *mill = calloc(1, sizeof *mill);
    mill->ctx = ctx;
    snprintf(mill->mark, sizeof mill->mark, "%s", leat_settings_str(settings, "mill.mark"));
    *self = mill;
    return true;
}

/* "once:PATH" dies only while there is no such file, and leaves it behind. */
static void mill_die_once(const char *path)
{
    if (access(path, F_OK) != 0) {
        rig_write(path, "", 0);
        raise(SIGKILL);
    }
}

static void mill_wait(struct mill *self)
{
    int64_t ms = leat_settings_int(leat_stage_settings(self->ctx), "mill.waits");
    for (; ms > 0 && leat_stage_waits(self->ctx); ms -= 50)
        usleep(50000);
}

static void mill_grind(struct mill *self, struct leat_batch *batch, uint32_t i)
{
    struct leat_item *item = &batch->items[i];
    const char *text = rig_text(item->record);
    char result[700];
    if (strcmp(text, "crash") == 0)
        raise(SIGKILL);
    if (strcmp(text, "exit") == 0)
        _exit(7);
    if (strcmp(text, "hang") == 0)
        leat_log(LEAT_INFO, "mill", "hanging");
    while (strcmp(text, "hang") == 0)
        pause();
    if (strcmp(text, "wait") == 0)
        mill_wait(self);
    if (strcmp(text, "slow") == 0)
        usleep(1800000);
    if (strncmp(text, "once:", 5) == 0)
        mill_die_once(text + 5);
    if (strcmp(text, "bad") == 0) {
        leat_batch_fail(batch, i, "mill", "bad", "not grain");
        return;
    }
    if (strcmp(text, "side") == 0)
        leat_stage_side(self->ctx, (struct leat_span){(const uint8_t *)"aside", 5});
    if (strcmp(text, "pid") == 0) {
        char pid[16];
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        leat_stage_side(self->ctx, (struct leat_span){(const uint8_t *)pid, strlen(pid)});
    }
    if (strcmp(text, "tired") == 0)
        leat_stage_ready(self->ctx, false, "the miller sleeps");
    msgpack_object none = {.type = MSGPACK_OBJECT_NIL};
    snprintf(result, sizeof result, "%.500s%s@%d", text, self->mark,
             (int)(leat_batch_version(batch, i, &none) - batch->head.stamp));
    msgpack_sbuffer packed;
    msgpack_packer pack;
    msgpack_sbuffer_init(&packed);
    leat_pack_init(&pack, &packed);
    leat_pack_cstr(&pack, result);
    item->result = leat_batch_keep(batch, packed.data, packed.size);
    msgpack_sbuffer_destroy(&packed);
}

static enum leat_verdict mill_batch(void *self, struct leat_batch *batch)
{
    for (uint32_t i = 0; i < batch->head.count; i++)
        if (batch->items[i].error.size == 0) {
            if (strcmp(rig_text(batch->items[i].record), "drop") == 0)
                return LEAT_DROP;
            mill_grind(self, batch, i);
        }
    return LEAT_FORWARD;
}

/* Tells by the side how many came at once, and lets more come before it begins. */
static bool mill_gathers(void *self, size_t n, size_t bytes)
{
    const struct leat_settings *settings = leat_stage_settings(((struct mill *)self)->ctx);
    (void)bytes;
    return (int64_t)n < leat_settings_int(settings, "mill.gathers");
}

static void mill_batches(void *self, struct leat_batch *const *batches, size_t n,
                         enum leat_verdict *verdicts)
{
    for (size_t i = 0; i < n; i++)
        verdicts[i] = mill_batch(self, batches[i]);
    char told[24];
    snprintf(told, sizeof told, "%zu", n);
    if (n > 1)
        leat_stage_side(((struct mill *)self)->ctx,
                        (struct leat_span){(const uint8_t *)told, strlen(told)});
}

static void mill_reload(void *self, const struct leat_settings *fresh)
{
    struct mill *mill = self;
    snprintf(mill->mark, sizeof mill->mark, "%s", leat_settings_str(fresh, "mill.mark"));
}

static void mill_close(void **self)
{
    free(*self);
    *self = NULL;
}

static const struct leat_setting mill_settings[] = {
    {.name = "mill.mark", .type = LEAT_SET_STRING, .value = "!", .reloadable = true, .help = "."},
    {.name = "mill.refuse_while", .type = LEAT_SET_STRING, .value = "", .help = "."},
    {.name = "mill.opens_when", .type = LEAT_SET_STRING, .value = "", .help = "."},
    {.name = "mill.waits", .type = LEAT_SET_DURATION, .value = "1s", .help = "."},
    {.name = "mill.gathers", .type = LEAT_SET_INT, .value = "1", .help = "."},
    {.name = "mill.dies_at_start", .type = LEAT_SET_BOOL, .value = "no", .help = "."},
    {.name = "mill.inbox", .type = LEAT_SET_STRING, .value = "inproc://mill", .help = "."},
    {.name = "mill.side", .type = LEAT_SET_STRING, .value = "inproc://mill.side", .help = "."},
    {.name = "mill.http", .type = LEAT_SET_STRING, .value = "", .help = "."},
    {.name = "store.address", .type = LEAT_SET_STRING, .value = "inproc://store", .help = "."},
    {0},
};

static const struct leat_stage mill_stage = {
    .name = "mill",
    .help = "grinds",
    .settings = mill_settings,
    .isolated = true,
    .side_out = "mill.side",
    .open = mill_open,
    .batch = mill_batch,
    .gathers = mill_gathers,
    .batches = mill_batches,
    .reload = mill_reload,
    .close = mill_close,
};

static const char *mill_kind(size_t i)
{
    return i == 0 ? "grain" : NULL;
}

static bool mill_next(const char *kind, const char *stage, const char **next)
{
    *next = strcmp(stage, "mill") == 0 ? "store" : NULL;
    return strcmp(kind, "grain") == 0 &&
           (strcmp(stage, "mill") == 0 || strcmp(stage, "store") == 0);
}

static size_t mill_max_frame(const char *kind, const struct leat_settings *settings)
{
    (void)kind, (void)settings;
    return 1 << 20;
}

static const struct leat_routes mill_routes = {mill_kind, mill_next, mill_max_frame};
static const struct leat_service mill_service = {
    .name = "mill", .help = "grinds", .settings = mill_settings, .stage = &mill_stage};
static const struct leat_service *const mill_services[] = {&mill_service, NULL};
static const struct leat_setting *const mill_tables[] = {leat_runtime_settings, mill_settings,
                                                         NULL};
static const struct leat_program mill_program = {
    .name = "test-mill",
    .version = "0",
    .services = mill_services,
    .routes = &mill_routes,
    .tables = mill_tables,
};

#endif
