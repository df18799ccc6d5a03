#include "services/routes.h"

#include "services/flows/flow.h"

#include <string.h>

static const char *routes_kind(size_t i)
{
    return leat_flows[i] ? leat_flows[i]->kind : NULL;
}

static bool routes_next(const char *kind, const char *stage, const char **next)
{
    const struct leat_flow *flow = leat_flow_find(kind, strlen(kind));
    if (!flow)
        return false;
    for (const char *const *s = flow->stages; *s; s++)
        if (strcmp(*s, stage) == 0) {
            *next = s[1];
            return true;
        }
    return false;
}

static size_t routes_max_frame(const char *kind, const struct leat_settings *settings)
{
    const struct leat_flow *flow = leat_flow_find(kind, strlen(kind));
    return flow ? leat_flow_max_frame(flow, settings) : 0;
}

const struct leat_routes leat_routes = {
    .kind = routes_kind,
    .next = routes_next,
    .max_frame = routes_max_frame,
};
