#include "services/leat/embedded.h"

#include "services/cache/cache.h"
#include "services/classify/classify.h"
#include "services/ingest/ingest.h"
#include "services/persist/persist.h"
#include "services/regress/regress.h"
#include "services/routes.h"
#include "services/tables.h"

#include <stdio.h>

static const struct leat_service *const services[] = {
    &ingest_service, &cache_service, &classify_service, &regress_service, &persist_service, NULL,
};

const struct leat_program embedded_program = {
    .name = "leat",
    .version = LEAT_VERSION,
    .services = services,
    .routes = &leat_routes,
    .tables = leat_tables,
};

static bool fix(struct leat_settings *settings, const char *name, const char *value,
                struct leat_error *err)
{
    return leat_settings_set(settings, name, value, LEAT_FROM_PROGRAM, "leat run", err);
}

/* What someone has set stays. */
static bool prefer(struct leat_settings *settings, const char *name, const char *value,
                   struct leat_error *err)
{
    return leat_settings_source(settings, name) != LEAT_FROM_DEFAULT ||
           leat_settings_set(settings, name, value, LEAT_FROM_PROGRAM_UNLESS_SET, "leat run", err);
}

bool embedded_settings(struct leat_settings *settings, const char *data, struct leat_error *err)
{
    static const char *const inside[][2] = {
        {"cache.inbox", "inproc://cache"},
        {"cache.address", "inproc://cache"},
        {"cache.results", "inproc://cache.results"},
        {"cache.results_address", "inproc://cache.results"},
        {"classify.inbox", "inproc://classify"},
        {"classify.address", "inproc://classify"},
        {"regress.inbox", "inproc://regress"},
        {"regress.address", "inproc://regress"},
        {"persist.inbox", "inproc://persist"},
        {"persist.address", "inproc://persist"},
        {"persist.acks", "inproc://persist.acks"},
        {"persist.acks_address", "inproc://persist.acks"},
    };
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (!fix(settings, inside[i][0], inside[i][1], err))
            return false;
    char journal[4096], store[4096], tap[4096];
    snprintf(journal, sizeof journal, "%s/journal", data);
    snprintf(store, sizeof store, "sqlite:%s/leat.db", data);
    snprintf(tap, sizeof tap, "%s/tap", data);
    return prefer(settings, "tap.dir", tap, err) && prefer(settings, "journal.dir", journal, err) &&
           prefer(settings, "store.url", store, err) &&
           prefer(settings, "cache.url", "memory:", err) &&
           prefer(settings, "ingest.oneway", "", err);
}
