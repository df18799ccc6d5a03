/* Rows of a query, as COPY … (FORMAT binary) sends them: a header of 11 bytes and two lengths, then
 * for each row a count of fields and each field with its length (-1: NULL), all big-endian; a count
 * of -1 ends it. */
#include "services/leat/points.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    IDLE_MS = 20,
    HEADER_SIZE = 19,
    QUERY_MAX = 1 << 20,
};

static const char signature[11] = "PGCOPY\n\377\r\n\0";
static const int64_t epoch_us = 946684800000000; /* PostgreSQL counts from 2000-01-01 */
static const int64_t time_first = -2208988800000000;
static const int64_t time_last = 7289654399999999;

struct points_query {
    struct points points; /* first: what the caller holds */
    const struct fields *fields;
    struct input_idle idle;
    PGconn *pg;
    char *message; /* of libpq: holds one row, the first one the header as well */
    uint64_t rows;
    bool begun, ended;
};

static void close_query(struct points *points)
{
    struct points_query *self = (struct points_query *)points;
    PQfreemem(self->message);
    PQfinish(self->pg);
    free(self);
}

static bool take_message(const char *message, struct leat_error *err)
{
    return leat_fail(err, "PostgreSQL: %.*s", (int)strcspn(message, "\n"), message);
}

/* --- reading --- */

/* What is left of a message. */
struct rest {
    const uint8_t *at;
    size_t size;
};

static bool take(struct rest *rest, void *to, size_t size)
{
    if (rest->size < size)
        return false;
    memcpy(to, rest->at, size);
    rest->at += size;
    rest->size -= size;
    return true;
}

/* A field's bytes; data NULL for NULL. */
static bool take_field(struct rest *rest, struct leat_span *out)
{
    uint32_t bits;
    if (!take(rest, &bits, sizeof bits))
        return false;
    int32_t size = (int32_t)be32toh(bits);
    *out = (struct leat_span){0};
    if (size < 0)
        return true;
    if (rest->size < (size_t)size)
        return false;
    *out = (struct leat_span){rest->at, (size_t)size};
    rest->at += size;
    rest->size -= (size_t)size;
    return true;
}

static uint64_t bits_of(struct leat_span field)
{
    uint64_t bits = 0;
    if (field.size == sizeof bits)
        memcpy(&bits, field.data, sizeof bits);
    return be64toh(bits);
}

static bool read_time(struct leat_span field, struct point *out)
{
    if (!field.data)
        return draft_refuse(&out->why, "ts_missing", "the time is NULL");
    int64_t us = (int64_t)bits_of(field); /* infinity is the largest, -infinity the smallest */
    if (us < time_first - epoch_us || us > time_last - epoch_us)
        return draft_refuse(&out->why, "ts_range", "the time is outside the years 1900 to 2200");
    out->ts = us + epoch_us;
    return true;
}

static bool read_value(const struct points_query *self, size_t at, struct leat_span field,
                       struct point *out)
{
    const char *name = self->fields->kind->fields[at + 1].name;
    bool close = strcmp(name, "close") == 0;
    if (!field.data)
        return draft_refuse(&out->why, close ? "close_missing" : "column_missing", "%s is NULL",
                            name);
    uint64_t bits = bits_of(field);
    memcpy(&out->values[at], &bits, sizeof bits);
    return isfinite(out->values[at]) ||
           draft_refuse(&out->why, close ? "close_not_finite" : "column_not_finite",
                        "%s is not a finite number", name);
}

static enum points_result read_row(struct points_query *self, struct rest *rest, struct point *out,
                                   struct leat_error *err)
{
    struct leat_span fields[2 + CUTTER_COLUMNS_MAX];
    size_t n = self->fields->count + 1;
    uint16_t count = 0;
    bool whole = take(rest, &count, sizeof count);
    if (whole && be16toh(count) == UINT16_MAX) {
        self->ended = true;
        return POINTS_END;
    }
    whole = whole && be16toh(count) == n;
    for (size_t i = 0; whole && i < n; i++)
        whole = take_field(rest, &fields[i]);
    if (!whole) {
        leat_fail(err, "PostgreSQL: row %llu of the query is not as COPY sends rows",
                  (unsigned long long)self->rows + 1);
        return POINTS_FAILED;
    }
    out->line = ++self->rows;
    out->series = fields[0];
    bool good = fields[0].data || draft_refuse(&out->why, "series_missing", "the series is NULL");
    good = good && read_time(fields[1], out);
    for (size_t i = 0; good && i < self->fields->count - 1; i++)
        good = read_value(self, i, fields[i + 2], out);
    return good ? POINTS_ROW : POINTS_BAD;
}

static bool wait_for_rows(struct points_query *self, struct leat_error *err)
{
    struct pollfd one = {.fd = PQsocket(self->pg), .events = POLLIN};
    if (poll(&one, 1, self->idle.call ? IDLE_MS : -1) < 0 && errno != EINTR)
        return leat_fail(err, "poll: %s", strerror(errno));
    if (self->idle.call && !self->idle.call(self->idle.arg))
        return leat_fail(err, "stopped");
    return PQconsumeInput(self->pg) || take_message(PQerrorMessage(self->pg), err);
}

/* The next message of the server. -1: there is none any more; -2: failed. */
static int next_message(struct points_query *self, struct leat_error *err)
{
    PQfreemem(self->message);
    self->message = NULL;
    for (;;) {
        int size = PQgetCopyData(self->pg, &self->message, 1);
        if (size == 0 && !wait_for_rows(self, err))
            return -2;
        if (size != 0) {
            if (size == -2)
                take_message(PQerrorMessage(self->pg), err);
            return size;
        }
    }
}

static bool skip_header(struct points_query *self, struct rest *rest, struct leat_error *err)
{
    uint8_t header[HEADER_SIZE];
    if (self->begun)
        return true;
    self->begun = true;
    return (take(rest, header, sizeof header) &&
            memcmp(header, signature, sizeof signature) == 0) ||
           leat_fail(err, "PostgreSQL: this is not what COPY sends");
}

/* The server's last word: an error in the middle of the rows comes here. */
static enum points_result finish(struct points_query *self, struct leat_error *err)
{
    bool good = true;
    for (PGresult *result; (result = PQgetResult(self->pg)); PQclear(result))
        if (good && PQresultStatus(result) != PGRES_COMMAND_OK)
            good = take_message(PQresultErrorMessage(result), err);
    return good ? POINTS_END : POINTS_FAILED;
}

static enum points_result next_of_query(struct points *points, struct point *out,
                                        struct leat_error *err)
{
    struct points_query *self = (struct points_query *)points;
    for (;;) {
        int size = next_message(self, err);
        if (size == -2)
            return POINTS_FAILED;
        if (size == -1)
            return finish(self, err);
        struct rest rest = {(const uint8_t *)self->message, (size_t)size};
        if (!skip_header(self, &rest, err))
            return POINTS_FAILED;
        if (rest.size == 0 || self->ended)
            continue;
        enum points_result result = read_row(self, &rest, out, err);
        if (result != POINTS_END)
            return result;
    }
}

static const struct points_type of_query = {next_of_query, close_query};

/* --- asking --- */

static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

/* The server turns every type into one of three, and sorts if the query has not. */
static char *write_copy(const char *query, size_t values)
{
    size_t length = strlen(query);
    while (length > 0 && strchr("; \t\r\n", query[length - 1]))
        length--;
    char *text = NULL, names[16 * CUTTER_COLUMNS_MAX] = "", casts[32 * CUTTER_COLUMNS_MAX] = "";
    for (size_t i = 0; i < values; i++) {
        sprintf(names + strlen(names), ", v%zu", i);
        sprintf(casts + strlen(casts), ", v%zu::float8", i);
    }
    if (length > QUERY_MAX ||
        asprintf(&text,
                 "COPY (SELECT s::text, t::timestamptz%s FROM (\n%.*s\n) AS leat(s, t%s)"
                 " ORDER BY 1, 2) TO STDOUT (FORMAT binary)",
                 casts, (int)length, query, names) < 0)
        return NULL;
    return text;
}

static bool ask(struct points_query *self, const char *query, struct leat_error *err)
{
    static const char set_up[] =
        "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET default_transaction_read_only = on";
    PGresult *result = PQexec(self->pg, set_up);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK ||
                take_message(PQresultErrorMessage(result), err);
    PQclear(result);
    if (!good)
        return false;
    char *copy = write_copy(query, self->fields->count - 1);
    if (!copy)
        return leat_fail(err, "the query is too long");
    result = PQexec(self->pg, copy);
    free(copy);
    good =
        PQresultStatus(result) == PGRES_COPY_OUT || take_message(PQresultErrorMessage(result), err);
    PQclear(result);
    return good;
}

struct points *points_open_query(const char *conninfo, const char *query,
                                 const struct fields *fields, const struct input_idle *idle,
                                 struct leat_error *err)
{
    /* What comes before dbname gives way to what is inside of it. */
    const char *names[] = {"connect_timeout", "fallback_application_name", "dbname",
                           "client_encoding", NULL};
    const char *values[] = {"10", "leat send", conninfo, "UTF8", NULL};
    struct points_query *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "out of memory");
        return NULL;
    }
    self->points.type = &of_query;
    self->fields = fields;
    self->idle = *idle;
    self->pg = PQconnectdbParams(names, values, 1);
    PQsetNoticeReceiver(self->pg, ignore_notice, NULL);
    bool good = PQstatus(self->pg) == CONNECTION_OK || take_message(PQerrorMessage(self->pg), err);
    if (good && ask(self, query, err))
        return &self->points;
    close_query(&self->points);
    return NULL;
}
