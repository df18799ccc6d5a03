/* A flow: a kind of record, the stages it passes in order, its codec and its tables. One row of
 * leat_flows; everything that is particular to a kind is in a folder of its own here. */
#ifndef LEAT_FLOW_H
#define LEAT_FLOW_H

#include "proto/batch.h"
#include "services/flows/table.h"
#include "services/runtime/settings.h"

/* Why a record was not taken, or became a dead letter. */
struct leat_why {
    const char *code;  /* short and fixed: "text_missing" */
    char message[200]; /* for a person */
};

/* Limits of the records that the front door checks, read from settings once. */
struct leat_flow_limits {
    size_t text_max_bytes;      /* text.max_bytes */
    size_t series_max_rows;     /* series.max_rows */
    size_t series_longest;      /* rows of the longest of regress.windows */
    const char *series_columns; /* series.columns, as long as the settings live */
};

struct leat_flow {
    const char *kind;
    const char *const *stages; /* after ingest, in order, ended by NULL */

    /* Bytes by which stages may let one record grow on its way, at most: with the largest send this
     * bounds every frame of the flow (MAXMSGSIZE). */
    size_t growth;

    /* How many times its own size a record may grow besides, when what is found depends on how much
     * is in it; NULL: not at all. */
    size_t (*growth_factor)(const struct leat_settings *settings);

    /* Do the settings that are the kind's own make sense? NULL: there is nothing to check. */
    bool (*check_settings)(const struct leat_settings *settings, struct leat_error *err);

    /* Is this record fit to be taken? `record` is any msgpack object. */
    bool (*check)(const msgpack_object *record, const struct leat_flow_limits *limits,
                  struct leat_why *why);

    /* The record's natural key, for the rows of dead_letters; size 0 when it has none. */
    struct leat_span (*key)(const msgpack_object *record);

    /* The time (µs) of the last row that the record gives, for a kind whose tables have a time in
     * their key beside the record's; NULL: they have none. false: the record does not tell. */
    bool (*last_ts)(const msgpack_object *record, int64_t *ts);

    /* 128-bit key of what may be cached of a record, for `fingerprint` (all but the record that
     * its result depends on); NULL for flows without a cache. false: this record has no key. */
    bool (*cache_key)(const msgpack_object *record,
                      const uint8_t fingerprint[LEAT_FINGERPRINT_SIZE], uint8_t key[16]);

    /* Where the records end: tables in the order they are written; ended by NULL. Or, when their
     * columns follow from settings, how to make such a list and how to free it. */
    const struct leat_table *const *tables;
    const struct leat_table *const *(*make_tables)(const struct leat_settings *settings,
                                                   struct leat_error *err);
    void (*free_tables)(const struct leat_table *const *tables);
};

/* All flows, ended by NULL. */
extern const struct leat_flow *const leat_flows[];

/* NULL: no such kind. */
const struct leat_flow *leat_flow_find(const char *kind, size_t size);

/* Are the settings of every kind sound? A program whose work depends on them asks when it starts.
 */
bool leat_flows_check(const struct leat_settings *settings, struct leat_error *err);

/* The flow's tables, by whichever way it has; NULL with the reason. To be given back. */
const struct leat_table *const *leat_flow_tables(const struct leat_flow *flow,
                                                 const struct leat_settings *settings,
                                                 struct leat_error *err);
void leat_flow_tables_free(const struct leat_flow *flow, const struct leat_table *const *tables);

/* Of settings that leat_flows_check takes. */
struct leat_flow_limits leat_flow_limits_read(const struct leat_settings *settings);

/* Largest frame of the flow between stages, from ingest.send_bytes and ingest.send_records. */
size_t leat_flow_max_frame(const struct leat_flow *flow, const struct leat_settings *settings);

#endif
