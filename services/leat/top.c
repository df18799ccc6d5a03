/* leat top: what all stages are doing now. */
#include "services/leat/commands.h"
#include "services/leat/cut.h"
#include "services/leat/http_get.h"
#include "services/leat/options.h"
#include "services/leat/top_screen.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { ADDRESSES_MAX = 64, ADDRESS_TEXT = 300, ASK_US = 1000 * 1000 };

static const struct manual_option top_options[] = {
    {"--interval", "SECONDS", "How often to look. Default: 1."},
    {"--each", NULL, "A row for every instance instead of one for every stage."},
    {"--once", NULL,
     "Look twice, one interval apart, print one table without colours, and end: for scripts."},
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section top_sections[] = {
    {"Columns", "  ready    instances; of how many, when not all are ready\n"
                "  in/s     records taken in a second\n"
                "  out/s    records sent on a second; persist: stored; ingest: batches that\n"
                "           came to their end (marked b)\n"
                "  batch    records a batch\n"
                "  open     batches at work; ingest: on their way, not yet stored\n"
                "  oldest   how long the oldest batch has been waiting to be stored\n"
                "  work wait full\n"
                "           of the time: working, waiting for batches, waiting for the\n"
                "           next stage to take one. A stage that always works is the one to\n"
                "           start more of\n"
                "  errors   records that got an error and frames that were dropped, since\n"
                "           the start; + when there are new ones"},
    {"Keys", "q or Ctrl-C ends it."},
    {"Exit status", "  0  ended\n"
                    "  1  --once, and no process of Leat answered\n"
                    "  2  the command line or a setting is wrong"},
    {"Examples", "  leat top\n"
                 "  leat top ingest:9550 cache:9551 classify:9552 persist:9554\n"
                 "  leat top --once --interval 5 127.0.0.1:9550"},
    {NULL, NULL},
};

const struct manual top_manual = {
    .name = "top",
    .summary = "watch all stages at work",
    .synopsis = "[--interval SECONDS] [--each] [--once] [HOST:PORT]...",
    .description =
        "Shows, once a second, what the stages take in and send on, what is on its way, and where "
        "the time goes. It asks /metrics of each process; of a name with several addresses, all "
        "of them. Without a HOST:PORT it asks where the settings run.http, ingest.http, cache.http "
        "and so on say.",
    .options = top_options,
    .sections = top_sections,
};

/* Where to ask. */
struct place {
    char address[ADDRESS_TEXT];
    char stage[TOP_STAGE]; /* "" when it was named: silence is told. Else whose setting it is */
    struct leat_error trouble;
};

struct top {
    struct place places[ADDRESSES_MAX];
    size_t n;
    struct top_sample samples[2], *now, *before;
    struct top_screen screen;
    double interval;
    bool once, live;
    struct termios cooked;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
    ended |= number != SIGWINCH;
}

/* --- where to ask --------------------------------------------------------------------------- */

static void add_place(struct top *self, const char *address, const char *stage)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->places[i].address, address) == 0)
            return;
    if (self->n == ADDRESSES_MAX || strlen(address) >= ADDRESS_TEXT)
        return;
    struct place *place = &self->places[self->n++];
    snprintf(place->address, sizeof place->address, "%s", address);
    snprintf(place->stage, sizeof place->stage, "%s", stage);
}

/* A setting says where a process listens; listening everywhere, it is here as well. */
static void add_setting(void *arg, const struct leat_setting *row, const char *value,
                        const char *where)
{
    (void)where;
    char address[ADDRESS_TEXT];
    const char *dot = strstr(row->name, ".http"), *colon = strrchr(value, ':');
    if (!dot || dot[5] || !colon)
        return;
    char stage[TOP_STAGE];
    snprintf(stage, sizeof stage, "%.*s", (int)(dot - row->name), row->name);
    bool everywhere = strncmp(value, "0.0.0.0:", 8) == 0 || strncmp(value, "*:", 2) == 0 ||
                      strncmp(value, "[::]:", 5) == 0;
    snprintf(address, sizeof address, "%s%s", everywhere ? "127.0.0.1" : "",
             everywhere ? colon : value);
    add_place(arg, address, stage);
}

static bool find_places(struct top *self, const struct options *options, struct leat_error *err)
{
    if (options->n_operands > ADDRESSES_MAX)
        return leat_fail(err, "at most %d addresses", ADDRESSES_MAX);
    for (size_t i = 0; i < options->n_operands; i++) {
        if (!http_address(options->operands[i], err))
            return false;
        add_place(self, options->operands[i], "");
    }
    if (options->n_operands > 0)
        return true;
    struct leat_settings *settings = options_settings(options, err);
    if (!settings)
        return false;
    leat_settings_each(settings, add_setting, self);
    leat_settings_destroy(&settings);
    return true;
}

/* --- looking -------------------------------------------------------------------------------- */

static void look(struct top *self)
{
    struct top_sample *older = self->before;
    self->before = self->now;
    self->now = older;
    self->now->n = 0;
    for (size_t i = 0; i < self->n && !ended; i++) {
        self->places[i].trouble.text[0] = '\0';
        top_sample_ask(self->now, self->places[i].address, leat_monotonic_us() + ASK_US,
                       &self->places[i].trouble);
    }
}

static bool runs(const struct top *self, const char *stage)
{
    for (size_t i = 0; i < self->now->n; i++)
        if (strcmp(self->now->stages[i].name, stage) == 0)
            return true;
    return false;
}

/* Who was named and is silent; of the settings' places those whose stage is nowhere else. */
static bool is_missing(const struct top *self, const struct place *place)
{
    if (!place->trouble.text[0])
        return false;
    return !place->stage[0] || self->now->n == 0 ||
           (strcmp(place->stage, "run") != 0 && !runs(self, place->stage));
}

/* Scripts read the table, so they are told beside it. */
static void tell(const struct top *self, const struct place *place)
{
    char who[TOP_STAGE + 8] = "";
    if (place->stage[0])
        snprintf(who, sizeof who, "%s%s: ", strcmp(place->stage, "run") == 0 ? "leat " : "",
                 place->stage);
    if (self->once) {
        render_complain("leat top", "%s%s", who, place->trouble.text);
        return;
    }
    render_print(&self->screen.to, RENDER_YELLOW, "%s%.78s", who, place->trouble.text);
    fputc('\n', self->screen.to.out);
}

static void draw(const struct top *self)
{
    if (self->now->n > 0)
        top_screen_draw(&self->screen, self->before->n > 0 ? self->before : NULL, self->now);
    for (size_t i = 0; i < self->n; i++)
        if (is_missing(self, &self->places[i]))
            tell(self, &self->places[i]);
}

/* As much as the terminal has room for. */
static void draw_live(struct top *self)
{
    char *text = NULL;
    size_t size;
    struct winsize at = {0};
    FILE *out = self->screen.to.out, *drawn = open_memstream(&text, &size);
    if (!drawn)
        return;
    self->screen.to.out = drawn;
    draw(self);
    self->screen.to.out = out;
    fclose(drawn);
    if (ioctl(fileno(out), TIOCGWINSZ, &at) != 0 || at.ws_col == 0 || at.ws_row == 0)
        at = (struct winsize){.ws_col = 80, .ws_row = 24};
    cut_screen(out, text, at.ws_col, at.ws_row);
    free(text);
}

static void show(struct top *self)
{
    if (self->live)
        draw_live(self);
    else
        draw(self);
    fflush(self->screen.to.out);
}

/* Until the next look; false: end. */
static bool wait_next(struct top *self, int64_t until_us)
{
    int64_t left;
    while (!ended && (left = until_us - leat_monotonic_us()) > 0) {
        struct pollfd keys = {.fd = self->live ? STDIN_FILENO : -1, .events = POLLIN};
        char key;
        if (poll(&keys, 1, (int)(left / 1000) + 1) <= 0)
            continue;
        ssize_t n = read(STDIN_FILENO, &key, 1);
        if (n == 0 || (n == 1 && (key == 'q' || key == 'Q')) || (n < 0 && errno != EINTR))
            return false;
    }
    return !ended;
}

/* --- the terminal --------------------------------------------------------------------------- */

static void enter(struct top *self)
{
    struct sigaction action = {.sa_handler = on_signal};
    ended = 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    self->live =
        !self->once && isatty(STDOUT_FILENO) && tcgetattr(STDIN_FILENO, &self->cooked) == 0;
    if (!self->live)
        return;
    struct termios raw = self->cooked;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs("\x1b[?1049h\x1b[?25l", stdout); /* another screen, no cursor */
}

static void leave(struct top *self)
{
    if (!self->live)
        return;
    fputs("\x1b[?25h\x1b[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &self->cooked);
}

static int run(struct top *self)
{
    int64_t next = leat_monotonic_us();
    bool more = true;
    enter(self);
    look(self);
    if (!self->once)
        show(self);
    while (more) {
        next += (int64_t)(self->interval * 1e6);
        more = wait_next(self, next) && !self->once;
        if (!more && !self->once)
            break;
        look(self);
        show(self);
    }
    leave(self);
    return self->once && self->now->n == 0 ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

int command_top(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &top_manual, argc, argv, &err)) {
        render_complain("leat top", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct top *self = calloc(1, sizeof *self);
    int status = LEAT_EXIT_USAGE;
    if (self) {
        self->now = &self->samples[0];
        self->before = &self->samples[1];
        self->interval = 1;
        self->once = options_has(&options, "--once");
        self->screen = (struct top_screen){.each = options_has(&options, "--each")};
        render_init(&self->screen.to, stdout);
        if (self->once)
            self->screen.to.colour = false;
    }
    if (!self)
        render_complain("leat top", "out of memory");
    else if (options_number(&options, "--interval", 0.05, 3600, &self->interval, &err) &&
             find_places(self, &options, &err))
        status = run(self);
    else
        render_complain("leat top", "%s", err.text);
    free(self);
    options_end(&options);
    return status;
}
