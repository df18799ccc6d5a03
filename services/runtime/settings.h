/* Settings: one table in code, from which the file, the environment, --set, `leat config` and the
 * documentation derive.
 *
 * A name is `group.name`. Where a value comes from, weakest first: the default, the settings file,
 * the environment (LEAT_CLASSIFY_BATCH_TOKENS is classify.batch_tokens), --set name=value, and what
 * the program itself fixes (`leat run` its endpoints). Unknown names are errors everywhere. */
#ifndef LEAT_SETTINGS_H
#define LEAT_SETTINGS_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>

enum leat_setting_type {
    LEAT_SET_BOOL,     /* yes, no (true, false, on, off, 1, 0) */
    LEAT_SET_INT,      /* whole number */
    LEAT_SET_BYTES,    /* 1048576, 64KB, 16MB, 4GB (powers of 1024) */
    LEAT_SET_DURATION, /* 250ms, 5s, 10m, 2h, 30d; read as milliseconds */
    LEAT_SET_REAL,
    LEAT_SET_STRING,
    LEAT_SET_CHOICE, /* one of `choices`, separated by spaces */
};

/* One row of the table. */
struct leat_setting {
    const char *name; /* NULL ends a table */
    enum leat_setting_type type;
    const char *value;   /* the default, as one would write it */
    double min, max;     /* bounds of numbers, in the type's unit; both 0: none */
    const char *choices; /* LEAT_SET_CHOICE only */
    bool reloadable;     /* takes effect on SIGHUP */
    bool secret;         /* passwords: `leat config` and logs show ****** for it */
    const char *help;    /* one or two sentences, for a person */
};

enum leat_setting_source {
    LEAT_FROM_DEFAULT,
    LEAT_FROM_FILE,
    LEAT_FROM_ENVIRONMENT,
    LEAT_FROM_COMMAND_LINE,
    LEAT_FROM_PROGRAM,
    LEAT_FROM_PROGRAM_UNLESS_SET, /* its own default: what the file or the environment says wins */
};

struct leat_settings;

/* Settings with every row of the tables (a NULL-terminated list) at its default. The tables must
 * outlive them. A row whose own default breaks its own rule is a defect and ends the process. */
struct leat_settings *leat_settings_new(const struct leat_setting *const *tables);
void leat_settings_destroy(struct leat_settings **self);
struct leat_settings *leat_settings_copy(const struct leat_settings *self);

/* Reads a file of `name = value` lines (# comments, blank lines). Errors name file, line, and what
 * was expected; a name that looks like a known one is suggested. */
bool leat_settings_file(struct leat_settings *self, const char *path, struct leat_error *err);

/* Reads every LEAT_* variable of the environment. LEAT_CONFIG is the file's path, not a setting. */
bool leat_settings_environment(struct leat_settings *self, struct leat_error *err);

/* `assignment`: "name=value". */
bool leat_settings_assign(struct leat_settings *self, const char *assignment,
                          enum leat_setting_source source, struct leat_error *err);
bool leat_settings_set(struct leat_settings *self, const char *name, const char *value,
                       enum leat_setting_source source, const char *where, struct leat_error *err);

/* Values. A name that is in no table, or asked for as another type, is a defect of the caller and
 * ends the process with its name. Strings live as long as the settings. */
bool leat_settings_bool(const struct leat_settings *self, const char *name);
int64_t leat_settings_int(const struct leat_settings *self,
                          const char *name); /* INT, BYTES, DURATION (ms) */
double leat_settings_real(const struct leat_settings *self, const char *name);
const char *leat_settings_str(const struct leat_settings *self,
                              const char *name); /* any type, as written */
bool leat_settings_has(const struct leat_settings *self, const char *name);
enum leat_setting_source leat_settings_source(const struct leat_settings *self, const char *name);

/* Walks all rows by name. `where` is "default", "/etc/leat.conf:12", "LEAT_…", "--set", "program".
 */
typedef void leat_settings_each_fn(void *arg, const struct leat_setting *row, const char *value,
                                   const char *where);
void leat_settings_each(const struct leat_settings *self, leat_settings_each_fn *each, void *arg);

/* Takes from `fresh` what is reloadable; names what differs and is not, one call each. */
void leat_settings_reload(struct leat_settings *self, const struct leat_settings *fresh,
                          void (*ignored)(void *arg, const char *name), void *arg);

/* All values as "name=value\n" lines that leat_settings_assign takes, for a child process. The
 * caller frees it. */
char *leat_settings_dump(const struct leat_settings *self);

#endif
