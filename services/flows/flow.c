#include "services/flows/flow.h"

#include "services/flows/series/flow.h"
#include "services/flows/text/record.h"

#include <string.h>

const struct leat_flow *const leat_flows[] = {&text_flow, &series_flow, NULL};

const struct leat_flow *leat_flow_find(const char *kind, size_t size)
{
    for (const struct leat_flow *const *flow = leat_flows; *flow; flow++)
        if (strlen((*flow)->kind) == size && memcmp((*flow)->kind, kind, size) == 0)
            return *flow;
    return NULL;
}

bool leat_flows_check(const struct leat_settings *settings, struct leat_error *err)
{
    for (const struct leat_flow *const *flow = leat_flows; *flow; flow++)
        if ((*flow)->check_settings && !(*flow)->check_settings(settings, err))
            return false;
    return true;
}

const struct leat_table *const *leat_flow_tables(const struct leat_flow *flow,
                                                 const struct leat_settings *settings,
                                                 struct leat_error *err)
{
    return flow->make_tables ? flow->make_tables(settings, err) : flow->tables;
}

void leat_flow_tables_free(const struct leat_flow *flow, const struct leat_table *const *tables)
{
    if (flow->free_tables)
        flow->free_tables(tables);
}

struct leat_flow_limits leat_flow_limits_read(const struct leat_settings *settings)
{
    return (struct leat_flow_limits){
        .text_max_bytes = (size_t)leat_settings_int(settings, "text.max_bytes"),
        .series_max_rows = (size_t)leat_settings_int(settings, "series.max_rows"),
        .series_longest = series_longest(settings),
        .series_columns = leat_settings_str(settings, "series.columns"),
    };
}

size_t leat_flow_max_frame(const struct leat_flow *flow, const struct leat_settings *settings)
{
    size_t send_bytes = (size_t)leat_settings_int(settings, "ingest.send_bytes");
    size_t records = (size_t)leat_settings_int(settings, "ingest.send_records");
    size_t factor = flow->growth_factor ? flow->growth_factor(settings) : 0;
    return LEAT_BATCH_HEAD_MAX + send_bytes * (1 + factor) + records * flow->growth;
}
