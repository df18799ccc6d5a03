#include "services/flows/flow.h"

#include "services/flows/text/record.h"

#include <string.h>

const struct leat_flow *const leat_flows[] = {&text_flow, NULL};

const struct leat_flow *leat_flow_find(const char *kind, size_t size)
{
    for (const struct leat_flow *const *flow = leat_flows; *flow; flow++)
        if (strlen((*flow)->kind) == size && memcmp((*flow)->kind, kind, size) == 0)
            return *flow;
    return NULL;
}

const char *leat_flow_next(const struct leat_flow *flow, const char *stage)
{
    for (const char *const *s = flow->stages; *s; s++)
        if (strcmp(*s, stage) == 0)
            return s[1];
    return NULL;
}

struct leat_flow_limits leat_flow_limits_read(const struct leat_settings *settings)
{
    return (struct leat_flow_limits){
        .text_max_bytes = (size_t)leat_settings_int(settings, "text.max_bytes"),
    };
}

size_t leat_flow_max_frame(const struct leat_flow *flow, const struct leat_settings *settings)
{
    size_t send_bytes = (size_t)leat_settings_int(settings, "ingest.send_bytes");
    size_t records = (size_t)leat_settings_int(settings, "ingest.send_records");
    return LEAT_BATCH_HEAD_MAX + send_bytes + records * flow->growth;
}
