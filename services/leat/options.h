/* The words of a command line, checked against the command's manual. */
#ifndef LEAT_CLI_OPTIONS_H
#define LEAT_CLI_OPTIONS_H

#include "services/leat/manual.h"
#include "services/runtime/settings.h"

struct options_given {
    const char *name;  /* as in the manual */
    const char *value; /* NULL: the option takes none */
};

struct options {
    const struct manual *manual;
    struct options_given *given; /* in the order of the command line */
    size_t n_given;
    const char **operands; /* the words that are no options */
    size_t n_operands;
};

/* Reads "--name value", "--name=value", "--flag" in any order; "--" ends the options, "-" is an
 * operand. Strings are argv's. False: an unknown option (a similar one is suggested), a value that
 * is missing or not wanted, an option twice that `manual` does not mark as repeatable (its argument
 * ends in "..."). */
bool options_parse(struct options *self, const struct manual *manual, int argc, char **argv,
                   struct leat_error *err);
void options_end(struct options *self);

bool options_has(const struct options *self, const char *name);

/* The value, or NULL when the option was not given. */
const char *options_value(const struct options *self, const char *name);

/* The i-th value of a repeatable option, or NULL. */
const char *options_nth(const struct options *self, const char *name, size_t i);

/* The number of an option that was given, between min and max; *out is untouched otherwise. */
bool options_number(const struct options *self, const char *name, double min, double max,
                    double *out, struct leat_error *err);

#define OPTIONS_COUNT_MOST UINT64_C(1000000000000000) /* where nothing else bounds it */

/* The same for what is counted: a whole number. */
bool options_count(const struct options *self, const char *name, uint64_t min, uint64_t max,
                   uint64_t *out, struct leat_error *err);

/* Settings from --config (or LEAT_CONFIG), the environment and every --set. NULL on failure. */
struct leat_settings *options_settings(const struct options *self, struct leat_error *err);

/* The file that --config or LEAT_CONFIG names, or NULL. */
const char *options_config(const struct options *self);

/* Where the store is, into the setting store.url: --store, or --data, or what the settings say, or
 * the default data folder's. */
bool options_store(const struct options *self, struct leat_settings *settings,
                   struct leat_error *err);

/* The folder `leat run` keeps everything in when none is named. */
extern const char options_default_data[];

/* Rows that every command with settings, or with a store, has in its manual. */
#define OPTIONS_SETTINGS                                                                           \
    {"--config", "FILE",                                                                           \
     "Read settings from FILE. Without it, from the file that the environment variable "           \
     "LEAT_CONFIG names, if there is one."},                                                       \
    {                                                                                              \
        "--set", "NAME=VALUE...",                                                                  \
            "Set one setting; stronger than the file and the environment. May be repeated. "       \
            "'leat config' lists them all."                                                        \
    }
#define OPTIONS_STORE                                                                              \
    {"--data", "DIR", "Read the store of the data folder DIR of 'leat run': DIR/leat.db."},        \
    {                                                                                              \
        "--store", "URL",                                                                          \
            "Read this store: sqlite:PATH, postgresql://USER@HOST/DATABASE, or any connection "    \
            "text of libpq. Without --store and --data: the setting store.url, and when that is "  \
            "not set, the store in ./leat-data."                                                   \
    }

#endif
