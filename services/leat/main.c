/* leat: the command line. Finds the command, or helps to find it. */
#include "services/leat/commands.h"
#include "services/leat/embedded.h"
#include "services/runtime/child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {&run_manual, command_run},       {&send_manual, command_send},
    {&show_manual, command_show},     {&tail_manual, command_tail},
    {&plot_manual, command_plot},     {&delete_manual, command_delete},
    {&stats_manual, command_stats},   {&dead_manual, command_dead},
    {&config_manual, command_config}, {&train_manual, command_train},
    {&model_manual, command_model},   {&health_manual, command_health},
    {&top_manual, command_top},       {&tap_manual, command_tap},
    {&keys_manual, command_keys},     {NULL, NULL},
};

static const struct command *find(const char *name)
{
    for (const struct command *command = commands; command->manual; command++)
        if (strcmp(command->manual->name, name) == 0)
            return command;
    return NULL;
}

static int unknown(const char *name)
{
    const char *like = NULL;
    int best = 3;
    for (const struct command *command = commands; command->manual; command++) {
        int distance = manual_distance(command->manual->name, name);
        if (distance < best) {
            best = distance;
            like = command->manual->name;
        }
    }
    render_complain("leat", "there is no command '%s'%s%s%s\n'leat help' lists them", name,
                    like ? "; did you mean '" : "", like ? like : "", like ? "'?" : "");
    return LEAT_EXIT_USAGE;
}

static void print_overview(FILE *out)
{
    struct render to;
    render_init(&to, out);
    fprintf(out, "leat " LEAT_VERSION
                 " - texts and time series in, what is found in them in the database\n\n");
    render_print(&to, RENDER_BOLD, "Usage:");
    fprintf(out, " leat COMMAND [OPTION]...\n\n");
    render_print(&to, RENDER_BOLD, "Commands\n");
    for (const struct command *command = commands; command->manual; command++) {
        fprintf(out, "  ");
        render_print(&to, RENDER_CYAN, "%-8s", command->manual->name);
        fprintf(out, " %s\n", command->manual->summary);
    }
    fprintf(out, "\n");
    render_print(&to, RENDER_BOLD, "To begin\n");
    fprintf(out, "  leat run            in one terminal\n"
                 "  leat send FILE      in another: NDJSON, CSV or TSV with a field 'text';\n"
                 "                      with --kind series: times and closes\n"
                 "  leat stats          what came out of it\n\n"
                 "'leat help COMMAND' or 'leat COMMAND --help' says all about a command.\n");
}

static int help(int argc, char **argv)
{
    /* For those who install: the same text as a man page. */
    bool roff = argc == 3 && strcmp(argv[1], "--roff") == 0;
    if (argc < 2) {
        print_overview(stdout);
        return LEAT_EXIT_OK;
    }
    const struct command *command = find(argv[roff ? 2 : 1]);
    if (!command)
        return unknown(argv[roff ? 2 : 1]);
    (roff ? manual_roff : manual_print)(command->manual, stdout);
    return LEAT_EXIT_OK;
}

/* --help may stand anywhere before a "--", whatever else is wrong with the line. */
static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        print_overview(stderr);
        return LEAT_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        puts("leat " LEAT_VERSION);
        return LEAT_EXIT_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(argc - 1, argv + 1);
    const struct command *command = find(name);
    if (!command)
        return unknown(name);
    if (wants_help(argc - 1, argv + 1)) {
        manual_print(command->manual, stdout);
        return LEAT_EXIT_OK;
    }
    return command->main(argc - 1, argv + 1);
}

/* Why standard output failed. When it did so long ago, errno is of something else by now: it is
 * tried again, and what may come out is behind the output that is broken off anyway. */
static const char *why_not_written(bool now)
{
    if (now || write(STDOUT_FILENO, "\n", 1) < 0)
        return strerror(errno);
    return "a part of it is missing";
}

/* False: not all of it was written; that has been told. */
static bool finish_output(void)
{
    bool now = fflush(stdout) != 0;
    if (!now && !ferror(stdout))
        return true;
    render_complain("leat", "cannot write the output: %s", why_not_written(now));
    return false;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--child") == 0)
        return leat_child_main(&embedded_program, argv[2]);
    int status = dispatch(argc, argv);
    if (status == LEAT_EXIT_OK && !finish_output())
        status = LEAT_EXIT_FAILED;
    return status;
}
