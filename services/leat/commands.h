/* The commands of `leat`. Each has its manual and its main in the file of its name. */
#ifndef LEAT_CLI_COMMANDS_H
#define LEAT_CLI_COMMANDS_H

#include "services/leat/manual.h"

/* Exit statuses beside those of services/runtime/service.h. */
enum {
    COMMAND_INTERRUPTED = 130, /* as shells say it: 128 + SIGINT */
};

/* In the order of `leat help`, ended by a row without a manual. */
extern const struct command commands[];

extern const struct manual run_manual, send_manual, show_manual, stats_manual, dead_manual,
    tail_manual, delete_manual, plot_manual, config_manual, train_manual, model_manual,
    health_manual, keys_manual, top_manual, tap_manual;

int command_run(int argc, char **argv);
int command_send(int argc, char **argv);
int command_show(int argc, char **argv);
int command_stats(int argc, char **argv);
int command_dead(int argc, char **argv);
int command_tail(int argc, char **argv);
int command_delete(int argc, char **argv);
int command_plot(int argc, char **argv);
int command_config(int argc, char **argv);
int command_train(int argc, char **argv);
int command_model(int argc, char **argv);
int command_health(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_top(int argc, char **argv);
int command_tap(int argc, char **argv);

#endif
