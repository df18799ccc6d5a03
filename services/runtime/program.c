/* The command line of a single service's program. */
#include "services/runtime/child.h"
#include "services/runtime/service.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_CONFIG = 'c',
    OPTION_SET = 's',
    OPTION_HELP = 'h',
    OPTION_VERSION = 'V',
    OPTION_CHILD = 1
};

static const struct option options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"set", required_argument, NULL, OPTION_SET},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"child", required_argument, NULL, OPTION_CHILD}, /* what a program starts itself with */
    {0},
};

static void help_table(const struct leat_setting *table)
{
    for (const struct leat_setting *row = table; row && row->name; row++) {
        printf("  %s = %s%s\n", row->name, row->value, row->reloadable ? "  (SIGHUP)" : "");
        printf("      %s%s%s\n", row->help, row->choices ? " One of: " : "",
               row->choices ? row->choices : "");
    }
}

static const struct leat_setting *service_table(const struct leat_service *service)
{
    return service->settings ? service->settings : service->stage ? service->stage->settings : NULL;
}

static void help(const struct leat_program *program)
{
    const struct leat_service *service = program->services[0];
    printf("Usage: %s [--config FILE] [--set NAME=VALUE]...\n\n", program->name);
    if (service->help)
        printf("%s\n\n", service->help);
    printf("  -c, --config FILE      read settings from FILE (or from $LEAT_CONFIG)\n"
           "  -s, --set NAME=VALUE   set one setting; may be repeated, and wins over all others\n"
           "  -h, --help             this text\n"
           "  -V, --version          the version\n\n"
           "A setting may also come from the environment: LEAT_LOG_LEVEL is log.level.\n"
           "SIGTERM drains and ends, a second one ends at once, SIGHUP reads the settings again.\n"
           "Exit status: 0 nothing left in flight; 1 failed; 2 wrong usage or settings; 3 the\n"
           "drain's time was over, what is left is safe in the journal.\n\n"
           "Settings and their defaults:\n");
    for (const struct leat_service *const *s = program->services; *s; s++)
        help_table(service_table(*s));
    help_table(leat_runtime_settings);
}

static int usage(const struct leat_program *program, const char *reason)
{
    fprintf(stderr, "%s: %s\n", program->name, reason);
    return LEAT_EXIT_USAGE;
}

/* The command line, second pass: --set wins over file and environment. */
static bool assign_all(struct leat_settings *settings, int argc, char **argv,
                       struct leat_error *err)
{
    int option;
    bool ok = true;
    optind = 1;
    while (ok && (option = getopt_long(argc, argv, "c:s:hV", options, NULL)) != -1)
        if (option == OPTION_SET)
            ok = leat_settings_assign(settings, optarg, LEAT_FROM_COMMAND_LINE, err);
    return ok;
}

int leat_main(int argc, char **argv, const struct leat_program *program)
{
    const char *config = getenv("LEAT_CONFIG");
    struct leat_error err = {.text = ""};
    int option;
    while ((option = getopt_long(argc, argv, "c:s:hV", options, NULL)) != -1) {
        switch (option) {
        case OPTION_CONFIG:
            config = optarg;
            break;
        case OPTION_SET:
            break;
        case OPTION_HELP:
            help(program);
            return LEAT_EXIT_OK;
        case OPTION_VERSION:
            printf("%s %s\n", program->name, program->version);
            return LEAT_EXIT_OK;
        case OPTION_CHILD:
            return leat_child_main(program, optarg);
        default:
            return usage(program, "see --help");
        }
    }
    if (optind < argc)
        return usage(program, "takes no arguments besides options; see --help");
    if (config && !config[0])
        config = NULL;
    struct leat_settings *settings = leat_settings_new(program->tables);
    if ((config && !leat_settings_file(settings, config, &err)) ||
        !leat_settings_environment(settings, &err) || !assign_all(settings, argc, argv, &err)) {
        leat_settings_destroy(&settings);
        return usage(program, err.text);
    }
    return leat_process_run(program, settings, config);
}
