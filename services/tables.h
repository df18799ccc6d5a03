/* Every table of settings there is: all programs read the same file and the same environment, and a
 * name that is in no table is an error in each of them. */
#ifndef LEAT_TABLES_H
#define LEAT_TABLES_H

#include "services/runtime/settings.h"

extern const struct leat_setting ingest_settings[];
extern const struct leat_setting cache_settings[];
extern const struct leat_setting classify_settings[];
extern const struct leat_setting regress_settings[];
extern const struct leat_setting persist_settings[];

/* The above and the runtime's, ended by NULL. */
extern const struct leat_setting *const leat_tables[];

#endif
