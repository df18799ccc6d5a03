#include "services/persist/blockers.h"

#include "services/runtime/log.h"

#include <stdio.h>
#include <stdlib.h>

static const char find_and_end[] =
    "SELECT pid, (extract(epoch FROM clock_timestamp() - xact_start) * 1000)::bigint,"
    " pg_terminate_backend(pid)"
    " FROM pg_stat_activity"
    " WHERE pid = ANY (pg_blocking_pids($1)) AND pid <> pg_backend_pid()"
    " AND application_name = current_setting('application_name')"
    " AND usename = current_user AND datname = current_database()"
    " AND xact_start < clock_timestamp() - $2 * interval '1 millisecond'";

static int end_over(struct connection *connection, int pid, int64_t age_ms)
{
    char blocked[16], age[24];
    snprintf(blocked, sizeof blocked, "%d", pid);
    snprintf(age, sizeof age, "%lld", (long long)age_ms);
    const char *params[] = {blocked, age};
    struct connection_failure failure;
    PGresult *rows = connection_query(connection, find_and_end, params, 2, &failure);
    if (!rows) {
        leat_log(LEAT_WARN, "persist", "blockers_unknown", LEAT_S("reason", failure.error.text));
        return 0;
    }
    int n = PQntuples(rows);
    for (int i = 0; i < n; i++)
        leat_log(LEAT_WARN, "persist", "blocker_ended", LEAT_S("pid", PQgetvalue(rows, i, 0)),
                 LEAT_S("transaction_ms", PQgetvalue(rows, i, 1)));
    PQclear(rows);
    return n;
}

int blockers_end(const struct connection_options *options, int pid, int64_t age_ms)
{
    struct connection_options quiet = *options;
    quiet.stalled = NULL; /* this one is asked when the other stalls */
    bool refused;
    struct leat_error err;
    struct connection *connection = connection_open(&quiet, &refused, &err);
    if (!connection) {
        leat_log(LEAT_WARN, "persist", "blockers_unknown", LEAT_S("reason", err.text));
        return 0;
    }
    int n = end_over(connection, pid, age_ms);
    connection_close(&connection);
    return n;
}
