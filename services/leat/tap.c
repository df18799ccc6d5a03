/* leat tap: a sampled look at the records that pass a stage. */
#include "proto/batch.h"
#include "services/flows/flow.h"
#include "services/leat/commands.h"
#include "services/leat/options.h"
#include "services/leat/payload.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"
#include "services/runtime/tap.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { TURN_MS = 500, TAPS_MAX = 64, FRAME_MAX = 1 << 30 };

static const struct manual_option tap_options[] = {
    {"--limit", "N", "End after N records. Default: 0, go on."},
    {"--interval", "SECONDS", "Show one at most every so often. Default: 0.5; 0: all that come."},
    {"--json", NULL,
     "Print one JSON object a line: stage, kind, seq, index, attempt, record, and result, derived "
     "and error as far as there are any."},
    {"--data", "DIR",
     "The data folder of the 'leat run' to look at. Default: ./leat-data, unless "
     "the setting tap.dir names a folder."},
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section tap_sections[] = {
    {"What is seen",
     "Each stage offers up to ten batches a second while somebody looks, and drops them where they "
     "are not taken at once: records are never held up, and most are never seen. One record of "
     "each batch is shown, chosen at random.\n"
     "\n"
     "It works on the machine (in the container) that the stage runs on, as the user that it runs "
     "as, through a socket file in the folder of the setting tap.dir; 'leat run' has it in its "
     "data "
     "folder. Other programs set tap.dir to switch it on."},
    {"Exit status", "  0  ended, or the limit was reached\n"
                    "  1  no such stage runs here, or it has no tap\n"
                    "  2  the command line or a setting is wrong"},
    {"Examples", "  leat tap classify\n"
                 "  leat tap --json --limit 100 persist | jq .result\n"
                 "  leat tap --set tap.dir=/run/leat/tap classify"},
    {NULL, NULL},
};

const struct manual tap_manual = {
    .name = "tap",
    .summary = "look at some of the records that pass a stage",
    .synopsis = "[--limit N] [--interval SECONDS] [--json] [--data DIR] STAGE",
    .description = "Shows records as they leave a stage (cache, classify, regress), or as they "
                   "come to persist, "
                   "with what has been found in them so far.",
    .options = tap_options,
    .sections = tap_sections,
};

struct look {
    const char *stage, *dir;
    bool json;
    int64_t interval_us, next_us;
    uint64_t limit, shown;
    void *socket;
    char known[TAPS_MAX][64]; /* socket files that are connected */
    size_t n;
    struct render to;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static bool is_known(const struct look *self, const char *name)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->known[i], name) == 0)
            return true;
    return false;
}

/* Instances come and go: libzmq keeps trying those that went, which does no harm. */
static void connect_all(struct look *self)
{
    char address[TAP_PATH + 8];
    DIR *folder = opendir(self->dir);
    size_t size = strlen(self->stage);
    for (struct dirent *entry; folder && self->n < TAPS_MAX && (entry = readdir(folder));) {
        const char *name = entry->d_name;
        if (strncmp(name, self->stage, size) != 0 || name[size] != '.' || is_known(self, name) ||
            strlen(name) >= sizeof self->known[0])
            continue;
        snprintf(address, sizeof address, "ipc://%s/%s", self->dir, name);
        if (zmq_connect(self->socket, address) == 0)
            strcpy(self->known[self->n++], name);
    }
    if (folder)
        closedir(folder);
}

static json_t *object_of(const struct look *self, const struct leat_batch *batch, uint32_t index)
{
    const struct leat_item *item = &batch->items[index];
    json_t *object =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "stage", self->stage, "kind", batch->head.kind,
                  "seq", (json_int_t)batch->head.seq, "index", (json_int_t)index, "attempt",
                  (json_int_t)batch->head.attempt, "record", payload_json(item->record));
    if (item->result.size > 0)
        json_object_set_new(object, "result", payload_json(item->result));
    if (item->derived.size > 0)
        json_object_set_new(object, "derived", payload_json(item->derived));
    if (item->error.size > 0)
        json_object_set_new(object, "error", payload_json(item->error));
    return object;
}

static void show_part(const struct look *self, const json_t *object, const char *name,
                      enum render_style style)
{
    const json_t *part = json_object_get(object, name);
    char *text =
        part ? json_dumps(part, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
    if (!text)
        return;
    render_print(&self->to, style, "  %-8s", name);
    render_line(&self->to, render_span(text), self->to.width - 10, false);
    fputc('\n', self->to.out);
    free(text);
}

static void show(struct look *self, const struct leat_batch *batch, uint32_t index)
{
    json_t *object = object_of(self, batch, index);
    if (!object)
        return;
    if (self->json) {
        json_dumpf(object, self->to.out, JSON_COMPACT | JSON_REAL_PRECISION(12));
        fputc('\n', self->to.out);
    } else {
        render_print(&self->to, RENDER_BOLD, "%s %llu:%u", batch->head.kind,
                     (unsigned long long)batch->head.seq, index);
        fprintf(self->to.out, "%s\n", batch->head.attempt > 1 ? " (sent again)" : "");
        show_part(self, object, "record", RENDER_CYAN);
        show_part(self, object, "result", RENDER_GREEN);
        show_part(self, object, "derived", RENDER_DIM);
        show_part(self, object, "error", RENDER_RED);
    }
    fflush(self->to.out);
    json_decref(object);
    self->shown++;
}

static void take(struct look *self, zmq_msg_t *frame)
{
    struct leat_error err;
    int64_t now = leat_monotonic_us();
    if (now < self->next_us)
        return;
    struct leat_batch *batch = leat_batch_read(
        (struct leat_span){zmq_msg_data(frame), zmq_msg_size(frame)}, NULL, NULL, &err);
    if (!batch)
        return;
    if (batch->head.count > 0) {
        self->next_us = now + self->interval_us;
        show(self, batch, (uint32_t)random() % batch->head.count);
    }
    leat_batch_destroy(&batch);
}

static int run(struct look *self)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    connect_all(self);
    if (self->n == 0) {
        render_complain("leat tap",
                        "no tap of a stage %s in %s: does it run here, as this user? Say where "
                        "with --data DIR, of a 'leat run', or with --set tap.dir=DIR, of others",
                        self->stage, self->dir);
        return LEAT_EXIT_FAILED;
    }
    while (!ended && !ferror(self->to.out) && (self->limit == 0 || self->shown < self->limit)) {
        zmq_pollitem_t item = {.socket = self->socket, .events = ZMQ_POLLIN};
        if (zmq_poll(&item, 1, TURN_MS) == 0)
            connect_all(self);
        if (zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) >= 0)
            take(self, &frame);
    }
    zmq_msg_close(&frame);
    return LEAT_EXIT_OK;
}

static int look_at(struct look *self)
{
    void *zmq = zmq_ctx_new();
    struct sigaction action = {.sa_handler = on_signal};
    int hwm = 1, none = 0, status = LEAT_EXIT_FAILED;
    int64_t most = FRAME_MAX;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    srandom((unsigned)leat_now_us());
    self->socket = zmq ? zmq_socket(zmq, ZMQ_SUB) : NULL;
    if (self->socket) {
        zmq_setsockopt(self->socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
        zmq_setsockopt(self->socket, ZMQ_LINGER, &none, sizeof none);
        zmq_setsockopt(self->socket, ZMQ_MAXMSGSIZE, &most, sizeof most);
        zmq_setsockopt(self->socket, ZMQ_SUBSCRIBE, "", 0);
        status = run(self);
        zmq_close(self->socket);
    } else {
        render_complain("leat tap", "no ZeroMQ: %s", zmq_strerror(zmq_errno()));
    }
    if (zmq)
        zmq_ctx_term(zmq);
    return status;
}

/* The folder, the caller's. */
static char *find_dir(const struct options *options, struct leat_error *err)
{
    const char *data = options_value(options, "--data");
    struct leat_settings *settings = options_settings(options, err);
    char *dir = NULL;
    if (!settings)
        return NULL;
    const char *said = leat_settings_str(settings, "tap.dir");
    if (!data && said[0])
        dir = strdup(said);
    else if (asprintf(&dir, "%s/tap", data ? data : options_default_data) < 0)
        dir = NULL;
    if (!dir)
        leat_fail(err, "out of memory");
    leat_settings_destroy(&settings);
    return dir;
}

static bool is_stage(const char *name)
{
    for (size_t i = 0; leat_flows[i]; i++)
        for (const char *const *stage = leat_flows[i]->stages; *stage; stage++)
            if (strcmp(*stage, name) == 0)
                return true;
    return false;
}

static bool read_words(struct look *self, const struct options *options, struct leat_error *err)
{
    double interval = 0.5;
    uint64_t limit = 0;
    if (!options_number(options, "--interval", 0, 3600, &interval, err) ||
        !options_count(options, "--limit", 0, OPTIONS_COUNT_MOST, &limit, err))
        return false;
    if (options->n_operands != 1 || !is_stage(options->operands[0]))
        return leat_fail(err, "name one stage: cache, classify, regress or persist");
    self->stage = options->operands[0];
    self->json = options_has(options, "--json");
    self->interval_us = (int64_t)(interval * 1e6);
    self->limit = limit;
    render_init(&self->to, stdout);
    return true;
}

int command_tap(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    struct look self = {.n = 0};
    if (!options_parse(&options, &tap_manual, argc, argv, &err)) {
        render_complain("leat tap", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = LEAT_EXIT_USAGE;
    char *dir = NULL;
    if (read_words(&self, &options, &err) && (dir = find_dir(&options, &err))) {
        self.dir = dir;
        status = look_at(&self);
    } else {
        render_complain("leat tap", "%s", err.text);
    }
    free(dir);
    options_end(&options);
    return status;
}
