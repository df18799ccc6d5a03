#include "services/persist/partitions.h"

#include "services/flows/month.h"
#include "services/persist/room.h"
#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MOST = 99 }; /* that are tried for one month */

void partitions_destroy(struct partitions *self)
{
    free(self->months);
    *self = (struct partitions){0};
}

void partitions_forget(struct partitions *self)
{
    self->n = 0;
}

/* The place of a month, or where it would be. */
static size_t place(const struct partitions *self, int32_t month)
{
    size_t low = 0, high = self->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->months[middle] < month)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool knows(const struct partitions *self, int32_t month)
{
    size_t at = place(self, month);
    return at < self->n && self->months[at] == month;
}

static void learn(struct partitions *self, int32_t month)
{
    size_t at = place(self, month);
    self->months = room_for(self->months, &self->room, self->n + 1, sizeof *self->months);
    memmove(self->months + at + 1, self->months + at, (self->n - at) * sizeof *self->months);
    self->months[at] = month;
    self->n++;
}

/* Whether the month is there is asked of the parent's own partitions, by their bounds: a table that
 * was detached keeps its name, and one of another name may hold a whole year. One of which a detach
 * has begun takes no rows, but no other can be attached until that has ended. (The column that
 * tells is PostgreSQL 14's.) A default partition is for what no other holds.
 *
 * What is made is a new table that is attached when it is whole: unlike CREATE TABLE … PARTITION
 * OF, that does not wait for those who are writing to other partitions. */
static const char script[] =
    "BEGIN; SET LOCAL lock_timeout = %lld;"
    "SELECT pg_advisory_xact_lock(hashtextextended('leat_partitions', 0));"
    "DO $leat$ DECLARE parent CONSTANT regclass := '\"%s\"'; name CONSTANT text := '%s_%04d_%02d';"
    " opens CONSTANT timestamptz := '%04d-%02d-01 00:00:00+00';"
    " closes CONSTANT timestamptz := '%04d-%02d-01 00:00:00+00';"
    " child text := name; leaving text; there boolean; "
    "BEGIN"
    " SELECT bool_or(NOT p.leaves AND p.since <= opens AND p.until >= closes),"
    " min(p.child) FILTER (WHERE p.leaves AND p.since < closes AND p.until > opens)"
    " INTO there, leaving FROM (SELECT c.relname AS child,"
    " coalesce((to_jsonb(i) ->> 'inhdetachpending')::boolean, false) AS leaves,"
    " coalesce(substring(b FROM 'FROM [(]''([^'']+)''')::timestamptz, '-infinity') AS since,"
    " coalesce(substring(b FROM 'TO [(]''([^'']+)''')::timestamptz, 'infinity') AS until"
    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " CROSS JOIN pg_get_expr(c.relpartbound, c.oid) b"
    " WHERE i.inhparent = parent AND b <> 'DEFAULT') p;"
    " IF there THEN RETURN; END IF;"
    " IF leaving IS NOT NULL THEN RAISE object_in_use USING"
    " MESSAGE = format('%%s is being detached, which must end before', leaving); END IF;"
    " FOR i IN 2 .. %d LOOP EXIT WHEN to_regclass(quote_ident(child)) IS NULL;"
    " child := name || '_' || i; END LOOP;"
    " EXECUTE format('CREATE TABLE %%I (LIKE %%s INCLUDING ALL)', child, parent);"
    " EXECUTE format('ALTER TABLE %%s ATTACH PARTITION %%I FOR VALUES FROM (%%L) TO (%%L)',"
    " parent, child, opens, closes); "
    "END $leat$; COMMIT";

static void compose(char *sql, size_t size, const struct leat_table *table, int32_t month,
                    int64_t lock_ms)
{
    int year = month / 12, next = (month + 1) / 12;
    snprintf(sql, size, script, (long long)lock_ms, table->name, table->name, year, month % 12 + 1,
             year, month % 12 + 1, next, (month + 1) % 12 + 1, NAMES_MOST);
}

static bool make(struct connection *connection, const struct leat_table *table, int32_t month,
                 int64_t lock_ms, struct connection_failure *failure)
{
    char sql[sizeof script + 256];
    struct connection_done done;
    struct connection_failure ignored;
    compose(sql, sizeof sql, table, month, lock_ms);
    if (connection_run(connection, sql, NULL, 0, &done, failure))
        return true;
    if (failure->broken)
        return false;
    bool out = connection_run(connection, "ROLLBACK", NULL, 0, &done, &ignored);
    if (out && strcmp(failure->sqlstate, "42P17") == 0)
        return true; /* it would overlap one that holds a part of it, which serves */
    failure->broken = !out;
    failure->has_context = false; /* that of the DO: what it waits for is no row's */
    leat_fail_in(&failure->error, "partition of %s for %04d-%02d", table->name, month / 12,
                 month % 12 + 1);
    return false;
}

bool partitions_make(struct partitions *self, struct connection *connection,
                     const struct leat_table *table, const struct load_rows *rows, int64_t lock_ms,
                     struct connection_failure *failure)
{
    size_t column = leat_table_month_column(table);
    for (size_t i = 0; (i = load_next_month(rows, column, i)) < rows->n; i++) {
        int32_t month = leat_month(rows->values[i][column].integer);
        if (knows(self, month))
            continue;
        if (!make(connection, table, month, lock_ms, failure))
            return false;
        learn(self, month);
    }
    return true;
}
