#include "services/persist/query_engine.h"

#include <endian.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Types by their fixed numbers (pg_type.dat of PostgreSQL). */
enum { OID_BOOL = 16, OID_BYTEA = 17, OID_REALS = 1021, OID_TIMESTAMPTZ = 1184 };

static void take_message(struct leat_error *err, const char *message)
{
    size_t n = strcspn(message, "\n");
    leat_fail(err, "%.*s", (int)n, message);
}

static bool set_up(PGconn *pg, struct leat_error *err)
{
    PGresult *result = PQexec(pg, "SET default_transaction_read_only = on; SET TimeZone = 'UTC';"
                                  "SET DateStyle = 'ISO'; SET bytea_output = 'hex';"
                                  "SET extra_float_digits = 1");
    bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!done)
        take_message(err, PQresultErrorMessage(result));
    PQclear(result);
    return done;
}

static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

static void *open_session(const char *url, struct leat_error *err)
{
    /* What comes before dbname gives way to what is inside of it. */
    const char *names[] = {"connect_timeout", "fallback_application_name", "dbname",
                           "client_encoding", NULL};
    const char *values[] = {"10", "leat", url, "UTF8", NULL};
    PGconn *pg = PQconnectdbParams(names, values, 1);
    if (PQstatus(pg) != CONNECTION_OK) {
        take_message(err, PQerrorMessage(pg));
        PQfinish(pg);
        return NULL;
    }
    PQsetNoticeReceiver(pg, ignore_notice, NULL);
    if (set_up(pg, err))
        return pg;
    PQfinish(pg);
    return NULL;
}

/* A value that had to be written in another way; `bytes` is PQunescapeBytea's, `reals` malloc's. */
struct rewritten {
    char time[40];
    unsigned char *bytes;
    uint8_t *reals;
};

/* "2026-01-31 12:00:00.12+00" becomes 2026-01-31T12:00:00.120000Z; anything else (infinity) stays.
 */
static const char *rewrite_time(const char *text, char to[40])
{
    int date = 0, clock = 0, at = 0;
    char digits[7] = "000000";
    sscanf(text, "%*d-%*d-%*d%n %*d:%*d:%*d%n", &date, &clock);
    if (clock == 0 || strlen(text) > 32)
        return text;
    if (text[clock] == '.')
        for (const char *c = text + clock + 1; at < 6 && *c >= '0' && *c <= '9'; c++)
            digits[at++] = *c;
    snprintf(to, 40, "%.*sT%.*s.%sZ", date, text, clock - date - 1, text + date + 1, digits);
    return to;
}

/* "{0.25,-1}" as float32, little-endian; what is no number is 0. */
static uint8_t *rewrite_reals(const char *text, size_t *size)
{
    uint8_t *reals = malloc(strlen(text) * sizeof(float));
    if (!reals)
        abort();
    *size = 0;
    for (const char *at = text + 1; *at && *at != '}';) {
        char *end;
        float value = strtof(at, &end);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = htole32(bits);
        memcpy(reals + *size, &bits, sizeof bits);
        *size += sizeof bits;
        end += strcspn(end, ",}");
        at = *end == ',' ? end + 1 : end;
    }
    return reals;
}

static void take_value(const PGresult *result, int column, const char **value, size_t *size,
                       struct rewritten *rewritten)
{
    *rewritten = (struct rewritten){0};
    *value = NULL;
    *size = 0;
    if (PQgetisnull(result, 0, column))
        return;
    *value = PQgetvalue(result, 0, column);
    *size = (size_t)PQgetlength(result, 0, column);
    switch (PQftype(result, column)) {
    case OID_BOOL:
        *value = **value == 't' ? "1" : "0";
        break;
    case OID_TIMESTAMPTZ:
        *value = rewrite_time(*value, rewritten->time);
        *size = strlen(*value);
        break;
    case OID_REALS:
        rewritten->reals = rewrite_reals(*value, size);
        *value = (const char *)rewritten->reals;
        break;
    case OID_BYTEA:
        rewritten->bytes = PQunescapeBytea((const unsigned char *)*value, size);
        if (!rewritten->bytes)
            abort();
        *value = (const char *)rewritten->bytes;
        break;
    }
}

static bool show_row(const PGresult *result, query_row_fn *each, void *arg)
{
    int n = PQnfields(result);
    const char *names[n + 1], *values[n + 1];
    size_t sizes[n + 1];
    struct rewritten rewritten[n + 1];
    for (int i = 0; i < n; i++) {
        names[i] = PQfname(result, i);
        take_value(result, i, &values[i], &sizes[i], &rewritten[i]);
    }
    const struct query_row row = {.n = (size_t)n, .names = names, .values = values, .sizes = sizes};
    bool more = each(arg, &row);
    for (int i = 0; i < n; i++) {
        PQfreemem(rewritten[i].bytes);
        free(rewritten[i].reals);
    }
    return more;
}

/* Nobody wants the rest: the server is told, and what it has sent already is read. */
static void cut_off(PGconn *pg)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(pg);
    if (cancel)
        PQcancel(cancel, ignored, sizeof ignored);
    PQfreeCancel(cancel);
}

static bool run(void *self, const char *sql, const char *const *params, size_t n_params,
                query_row_fn *each, void *arg, struct leat_error *err)
{
    PGconn *pg = self;
    if (!PQsendQueryParams(pg, sql, (int)n_params, NULL, params, NULL, NULL, 0) ||
        !PQsetSingleRowMode(pg)) {
        take_message(err, PQerrorMessage(pg));
        return false;
    }
    bool done = true, more = true;
    for (PGresult *result; (result = PQgetResult(pg)); PQclear(result)) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE && more && each) {
            more = show_row(result, each, arg);
            if (!more)
                cut_off(pg);
        } else if (status == PGRES_FATAL_ERROR && more && done) {
            take_message(err, PQresultErrorMessage(result));
            done = false;
        }
    }
    return done;
}

static void close_session(void *self)
{
    PQfinish(self);
}

const struct query_engine query_postgres = {
    .name = "PostgreSQL",
    .open = open_session,
    .run = run,
    .close = close_session,
};
