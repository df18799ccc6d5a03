#include "services/persist/partitions.h"

#include "services/flows/month.h"
#include "services/persist/room.h"
#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A new table that is attached when it is whole: unlike CREATE TABLE … PARTITION OF, that does not
 * wait for those who are writing to other partitions. */
static void compose(char *sql, size_t size, const struct leat_table *table, int32_t month,
                    int64_t lock_ms)
{
    char name[128];
    int year = month / 12, next = (month + 1) / 12;
    snprintf(name, sizeof name, "%s_%04d_%02d", table->name, year, month % 12 + 1);
    snprintf(sql, size,
             "BEGIN; SET LOCAL lock_timeout = %lld;"
             "SELECT pg_advisory_xact_lock(hashtextextended('leat_partitions', 0));"
             "DO $leat$ BEGIN IF to_regclass('\"%s\"') IS NULL THEN"
             " CREATE TABLE \"%s\" (LIKE \"%s\" INCLUDING ALL);"
             " ALTER TABLE \"%s\" ATTACH PARTITION \"%s\" FOR VALUES"
             " FROM ('%04d-%02d-01 00:00:00+00') TO ('%04d-%02d-01 00:00:00+00');"
             " END IF; END $leat$; COMMIT",
             (long long)lock_ms, name, name, table->name, table->name, name, year, month % 12 + 1,
             next, (month + 1) % 12 + 1);
}

static bool make(struct connection *connection, const struct leat_table *table, int32_t month,
                 int64_t lock_ms, struct connection_failure *failure)
{
    char sql[1536];
    struct connection_done done;
    struct connection_failure ignored;
    compose(sql, sizeof sql, table, month, lock_ms);
    if (connection_run(connection, sql, NULL, 0, &done, failure))
        return true;
    if (failure->broken)
        return false;
    bool out = connection_run(connection, "ROLLBACK", NULL, 0, &done, &ignored);
    if (out && strcmp(failure->sqlstate, "42P17") == 0)
        return true; /* it would overlap one of another name, which serves */
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
    int64_t begin = 0, end = 0; /* of the month of the row before */
    for (size_t i = 0; i < rows->n; i++) {
        int64_t us = rows->values[i][column].integer;
        if (us >= begin && us < end)
            continue;
        int32_t month = leat_month(us);
        begin = leat_month_begin(month);
        end = leat_month_begin(month + 1);
        if (knows(self, month))
            continue;
        if (!make(connection, table, month, lock_ms, failure))
            return false;
        learn(self, month);
    }
    return true;
}
