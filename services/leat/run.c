/* leat run: all of Leat in one process. */
#include "services/leat/commands.h"
#include "services/leat/embedded.h"
#include "services/leat/mask.h"
#include "services/leat/options.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct manual_option run_options[] = {
    {"--data", "DIR",
     "The folder for everything that is kept: the journal in DIR/journal, the store in "
     "DIR/leat.db. "
     "It is made if it is not there. Default: ./leat-data."},
    {"--listen", "ENDPOINT",
     "Where clients connect; the same as --set ingest.listen=ENDPOINT. tcp://*:5550 takes them "
     "from everywhere, which needs keys ('leat help keys'). Default: tcp://127.0.0.1:5550."},
    {"--oneway", "ENDPOINT",
     "Open the one-way port, which takes records by plain PUSH and answers nothing; the same as "
     "--set ingest.oneway=ENDPOINT. Without it there is none."},
    {"--store", "URL",
     "Store in another place: sqlite:PATH, postgresql://USER@HOST/DATABASE, or any connection text "
     "of libpq; the same as --set store.url=URL."},
    {"--cache", "URL",
     "Keep results in Redis instead of this process: redis://HOST:PORT/DB, unix:PATH; the same as "
     "--set cache.url=URL."},
    OPTIONS_SETTINGS,
    {NULL, NULL, NULL},
};

static const struct manual_section run_sections[] = {
    {"Signals",
     "SIGTERM and SIGINT (Ctrl-C) end it well: it takes nothing new, finishes what is in flight, "
     "and leaves. A second one ends it at once; what was not finished is in the journal and goes "
     "on at the next start. SIGHUP reads the settings file again; 'leat config' marks the settings "
     "that take effect then."},
    {"Health",
     "http://127.0.0.1:9550 (setting run.http) answers /metrics for Prometheus, /healthz and "
     "/readyz. Logs are lines of key=value on standard error."},
    {"Exit status", "  0  ended by a signal, nothing left in flight\n"
                    "  1  it could not start, or something is not safe: the last lines say what\n"
                    "  2  the command line or a setting is wrong\n"
                    "  3  ended by a signal, but drain.timeout passed, or a second signal came,\n"
                    "     before all was finished; what is left is safe in the journal"},
    {"Examples", "  leat run\n"
                 "  leat run --data /var/lib/leat --listen tcp://*:5550 \\\n"
                 "      --set security.keys=/etc/leat/keys\n"
                 "  leat run --store postgresql://leat@db/leat --cache redis://cache:6379/0\n"
                 "  leat run --set log.level=debug --set child.enabled=no"},
    {NULL, NULL},
};

const struct manual run_manual = {
    .name = "run",
    .summary = "run everything in one process",
    .synopsis = "[--data DIR] [--listen ENDPOINT] [--oneway ENDPOINT] [--store URL] [--cache URL] "
                "[--config FILE] [--set NAME=VALUE]...",
    .description =
        "Starts ingest, cache, classify, regress and persist as threads of one process. It needs "
        "no server "
        "and no configuration: the store is an SQLite database, the cache is in memory. What was "
        "accepted before a crash or a power cut is taken up again at the next start.\n"
        "\n"
        "The same services are leat-ingest, leat-cache, leat-classify, leat-regress and "
        "leat-persist, for more than one process or machine; they read the same settings.",
    .options = run_options,
    .sections = run_sections,
};

/* Makes the folder, and those above it. */
static bool make_folder(const char *path, struct leat_error *err)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return leat_fail(err, "--data needs a folder's name of at most %zu bytes", sizeof part - 1);
    for (size_t at = 1; at <= length; at++) {
        if (path[at] != '/' && path[at] != '\0')
            continue;
        memcpy(part, path, at);
        part[at] = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return leat_fail(err, "cannot make the data folder %s: %s", part, strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) != 0)
        return leat_fail(err, "cannot use the data folder %s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return leat_fail(err, "the data folder %s is a file", path);
    if (access(path, R_OK | W_OK | X_OK) != 0)
        return leat_fail(err, "cannot write to the data folder %s: %s", path, strerror(errno));
    return true;
}

static bool apply(const struct options *options, struct leat_settings *settings,
                  struct leat_error *err)
{
    static const char *const names[][2] = {
        {"--listen", "ingest.listen"},
        {"--oneway", "ingest.oneway"},
        {"--store", "store.url"},
        {"--cache", "cache.url"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = options_value(options, names[i][0]);
        if (value && !leat_settings_set(settings, names[i][1], value, LEAT_FROM_COMMAND_LINE,
                                        names[i][0], err))
            return false;
    }
    const char *data = options_value(options, "--data");
    return embedded_settings(settings, data ? data : options_default_data, err);
}

/* Once clients can connect: whoever reads this may send at once. */
static void say_where(const struct leat_settings *settings)
{
    char store[4096], cache[4096];
    const char *oneway = leat_settings_str(settings, "ingest.oneway");
    struct render to;
    render_init(&to, stdout);
    render_print(&to, RENDER_BOLD, "leat " LEAT_VERSION);
    printf(": clients at %s%s%s; store %s; cache %s\n",
           leat_settings_str(settings, "ingest.listen"), *oneway ? ", one-way at " : "", oneway,
           mask_address(leat_settings_str(settings, "store.url"), store, sizeof store),
           mask_address(leat_settings_str(settings, "cache.url"), cache, sizeof cache));
    printf("send texts with: leat send --to %s FILE; end with Ctrl-C\n",
           leat_settings_str(settings, "ingest.listen"));
    fflush(stdout);
}

static int start(const struct options *options)
{
    struct leat_error err;
    const char *data = options_value(options, "--data");
    struct leat_settings *settings = options_settings(options, &err);
    if (!settings || !apply(options, settings, &err)) {
        leat_settings_destroy(&settings);
        render_complain("leat run", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    if (!make_folder(data ? data : options_default_data, &err)) {
        leat_settings_destroy(&settings);
        render_complain("leat run", "%s", err.text);
        return LEAT_EXIT_FAILED;
    }
    struct leat_program program = embedded_program;
    program.ready = say_where;
    return leat_process_run(&program, settings, options_config(options));
}

int command_run(int argc, char **argv)
{
    struct leat_error err;
    struct options options;
    if (!options_parse(&options, &run_manual, argc, argv, &err)) {
        render_complain("leat run", "%s", err.text);
        return LEAT_EXIT_USAGE;
    }
    int status = LEAT_EXIT_USAGE;
    if (options.n_operands > 0)
        render_complain("leat run", "takes no '%s'; see leat help run", options.operands[0]);
    else
        status = start(&options);
    options_end(&options);
    return status;
}
