#include "services/tables.h"

#include "services/runtime/service.h"

const struct leat_setting *const leat_tables[] = {
    leat_runtime_settings, ingest_settings,  cache_settings, classify_settings,
    regress_settings,      persist_settings, NULL,
};
