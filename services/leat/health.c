/* leat health: asks a process whether it is ready, as schedulers do that cannot speak HTTP, from an
 * image that has no other program. */
#include "services/leat/commands.h"
#include "services/leat/http_get.h"
#include "services/leat/options.h"
#include "services/leat/render.h"
#include "services/runtime/clock.h"
#include "services/runtime/service.h"

#include <string.h>

enum { ANSWER = 8192 };

static const double default_timeout = 5;

static const struct manual_option health_options[] = {
    {"--timeout", "SECONDS", "How long all of it may take. Default: 5."},
    {NULL, NULL, NULL},
};

static const struct manual_section health_sections[] = {
    {"Exit status", "  0  every process is ready\n"
                    "  1  one is not, or did not answer\n"
                    "  2  the command line is wrong"},
    {"Examples", "  leat health 127.0.0.1:9550\n"
                 "  leat health --timeout 2 127.0.0.1:9551 127.0.0.1:9552"},
    {NULL, NULL},
};

const struct manual health_manual = {
    .name = "health",
    .summary = "ask running processes whether they are ready",
    .synopsis = "[--timeout SECONDS] HOST:PORT...",
    .description =
        "Asks /readyz at each HOST:PORT (settings ingest.http, cache.http and so on; run.http of "
        "'leat run') and prints the answer: a line for each service, with the reason when it is "
        "not ready.",
    .options = health_options,
    .sections = health_sections,
};

struct health {
    const char *address;
    int64_t until_us; /* monotonic */
};

/* "SERVICE: STATE", and perhaps ": REASON". */
static bool is_state(const char *line)
{
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz");
    return name > 0 && strncmp(line + name, ": ", 2) == 0;
}

/* Prints an answer's lines. False at one that no process of Leat gives. */
static bool print_states(const char *body)
{
    struct render render;
    render_init(&render, stdout);
    for (const char *line = body; *line;) {
        size_t size = strcspn(line, "\n");
        if (!is_state(line))
            return false;
        render_line(&render, (struct leat_span){(const uint8_t *)line, size}, ANSWER, false);
        fputc('\n', stdout);
        line += size + (line[size] == '\n');
    }
    return *body;
}

/* Prints what the process says of itself. False: it is not ready. */
static bool health_check(const struct health *self, struct leat_error *err)
{
    char answer[ANSWER];
    const char *body;
    int status =
        http_get(self->address, "/readyz", self->until_us, answer, sizeof answer, &body, err);
    if (status == 0)
        return false;
    if ((status != 200 && status != 503) || !print_states(body))
        return leat_fail(err, "%s: answered %d: is this a process of Leat?", self->address, status);
    return status == 200 || leat_fail(err, "%s: not ready", self->address);
}

static bool are_addresses(const struct options *options, struct leat_error *err)
{
    for (size_t i = 0; i < options->n_operands; i++)
        if (!http_address(options->operands[i], err))
            return false;
    return options->n_operands > 0 || leat_fail(err, "name a HOST:PORT; see 'leat help health'");
}

static bool read_options(struct options *self, double *timeout, int argc, char **argv,
                         struct leat_error *err)
{
    if (!options_parse(self, &health_manual, argc, argv, err))
        return false;
    if (!options_number(self, "--timeout", 0.01, 86400, timeout, err) ||
        !are_addresses(self, err)) {
        options_end(self);
        return false;
    }
    return true;
}

int command_health(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    double timeout = default_timeout;
    int status = LEAT_EXIT_OK;
    if (!read_options(&options, &timeout, argc, argv, &err)) {
        render_complain("leat health", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    struct health self = {.until_us = leat_monotonic_us() + (int64_t)(timeout * 1e6)};
    for (size_t i = 0; i < options.n_operands; i++) {
        self.address = options.operands[i];
        if (health_check(&self, &err))
            continue;
        render_complain("leat health", "%s", err.text);
        status = LEAT_EXIT_FAILED;
    }
    options_end(&options);
    return status;
}
