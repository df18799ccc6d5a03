#include "services/persist/connection.h"

#include "services/persist/hosts.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLICE_MS = 200,     /* between two looks at whether to go on waiting */
    STALL_MS = 1000,    /* between two calls of `stalled`, unless the options say otherwise */
    CONNECT_MS = 10000, /* for one host, unless the conninfo says otherwise */
    CHUNK = 128 * 1024, /* of COPY data handed to libpq at once: it copies it once more */
    MAX_PARAMS = 64,    /* of a conninfo; libpq knows some forty */
    N_PLACE = 3,        /* of them say where the server is */
};

struct connection {
    struct connection_options options;
    PGconn *pg;
};

/* What a conninfo gets unless it says otherwise. */
static const struct {
    const char *name, *value;
} defaults[] = {
    {"application_name", "leat-persist"},
    {"client_encoding", "UTF8"},
    {"connect_timeout", "10"},
    {"keepalives", "1"},
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"},
    {"target_session_attrs", "read-write"}, /* of several hosts the one that takes writes */
};

/* Removes the line breaks that libpq ends its messages with, and joins the lines. */
static void one_line(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        text[--n] = 0;
    for (; *text; text++)
        if (*text == '\n' || *text == '\t')
            *text = ' ';
}

static void take_message(struct leat_error *err, const char *message)
{
    if (!err)
        return;
    snprintf(err->text, sizeof err->text, "%s", message);
    one_line(err->text);
}

/* The name of a place in the server's source is for nobody here. */
static void cut_locations(char *text)
{
    char *at;
    while ((at = strstr(text, "\nLOCATION:"))) {
        const char *rest = at + 1 + strcspn(at + 1, "\n");
        memmove(at, rest, strlen(rest) + 1);
    }
}

bool connection_url_ok(const char *url, struct leat_error *err)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);
    if (!options) {
        take_message(err, message ? message : "out of memory");
        PQfreemem(message);
        return false;
    }
    PQconninfoFree(options);
    return true;
}

static const char *value_of(const PQconninfoOption *options, const char *name)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val;
    return NULL;
}

/* Parameters as libpq takes them; those without a value it passes over. The first ones say where
 * the server is. */
struct params {
    const char *names[MAX_PARAMS + sizeof defaults / sizeof *defaults + N_PLACE + 1];
    const char *values[MAX_PARAMS + sizeof defaults / sizeof *defaults + N_PLACE + 1];
};

static const char *const places[N_PLACE] = {"host", "hostaddr", "port"};

static bool is_place(const char *name)
{
    for (size_t i = 0; i < N_PLACE; i++)
        if (strcmp(places[i], name) == 0)
            return true;
    return false;
}

/* The conninfo's own parameters, then what it left open. */
static void collect(const PQconninfoOption *options, struct params *to)
{
    size_t n = 0;
    for (; n < N_PLACE; n++) {
        to->names[n] = places[n];
        to->values[n] = value_of(options, places[n]);
    }
    for (const PQconninfoOption *o = options; o->keyword; o++)
        if (o->val && !is_place(o->keyword) && n < MAX_PARAMS) {
            to->names[n] = o->keyword;
            to->values[n++] = o->val;
        }
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (!value_of(options, defaults[i].name)) {
            to->names[n] = defaults[i].name;
            to->values[n++] = defaults[i].value;
        }
    to->names[n] = to->values[n] = NULL;
}

/* How long connecting to one host may take: libpq leaves its own connect_timeout to the caller of
 * the asynchronous functions. */
static int64_t connect_ms(const struct params *params)
{
    for (size_t i = 0; params->names[i]; i++)
        if (strcmp(params->names[i], "connect_timeout") == 0 && atoi(params->values[i]) > 0)
            return (int64_t)atoi(params->values[i]) * 1000;
    return CONNECT_MS;
}

/* Waits for the socket, at most a slice. What is wrong with it libpq finds out. */
static void wait_slice(PGconn *pg, short events)
{
    struct pollfd fd = {.fd = PQsocket(pg), .events = events};
    poll(&fd, 1, SLICE_MS);
}

static bool stopping(const struct connection *self)
{
    return self->options.stopping && self->options.stopping(self->options.arg);
}

static bool no_answer(PGconn *pg, struct leat_error *err)
{
    const char *address = PQhostaddr(pg);
    return leat_fail(err, "no answer in time from the server at %s, port %s",
                     address && address[0] ? address : PQhost(pg), PQport(pg));
}

static bool finish_connect(struct connection *self, int64_t deadline, struct leat_error *err)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED) {
            snprintf(err->text, sizeof err->text, "%s", PQerrorMessage(self->pg));
            cut_locations(err->text);
            one_line(err->text);
            return false;
        }
        if (stopping(self))
            return leat_fail(err, "stopping");
        if (leat_monotonic_us() > deadline)
            return no_answer(self->pg, err);
        struct pollfd fd = {.fd = PQsocket(self->pg),
                            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};
        if (poll(&fd, 1, SLICE_MS) > 0)
            status = PQconnectPoll(self->pg);
    }
    return true;
}

/* Who we are, which database, what we may: that stays as it is until somebody changes it. */
static bool is_refusal(const char *sqlstate)
{
    return strncmp(sqlstate, "28", 2) == 0 || strncmp(sqlstate, "3D", 2) == 0 ||
           strncmp(sqlstate, "42", 2) == 0;
}

/* The SQLSTATE of a connection that failed is told in libpq's message only: "FATAL:  28P01: …", the
 * first word in the server's language. The last one counts. */
static bool is_refused(PGconn *pg)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *message = PQerrorMessage(pg);
    bool refused = PQconnectionNeedsPassword(pg);
    for (const char *at = strstr(message, ":  "); at; at = strstr(at + 3, ":  "))
        if (strspn(at + 3, digits) == 5 && at[8] == ':')
            refused = is_refusal(at + 3);
    return PQstatus(pg) == CONNECTION_BAD && refused;
}

/* Reached, but of use? */
static bool encodings_ok(PGconn *pg, struct leat_error *err)
{
    const char *server = PQparameterStatus(pg, "server_encoding");
    const char *client = PQparameterStatus(pg, "client_encoding");
    if (!server || strcmp(server, "UTF8") != 0)
        return leat_fail(err, "database %s has encoding %s; it must be UTF8", PQdb(pg),
                         server ? server : "unknown");
    if (!client || strcmp(client, "UTF8") != 0)
        return leat_fail(err, "client_encoding is %s; it must be UTF8",
                         client ? client : "unknown");
    return true;
}

static void on_notice(void *arg, const char *message)
{
    (void)arg;
    leat_log(LEAT_DEBUG, "persist", "server_notice", LEAT_S("message", message));
}

/* One host, by itself. false: self->pg tells nothing any more. */
static bool reach(struct connection *self, const struct params *params, bool *refused,
                  struct leat_error *err)
{
    int64_t deadline = leat_monotonic_us() + connect_ms(params) * 1000;
    self->pg = PQconnectStartParams(params->names, params->values, 0);
    if (!self->pg)
        abort();
    PQsetNoticeProcessor(self->pg, on_notice, NULL);
    PQsetErrorVerbosity(self->pg, PQERRORS_VERBOSE); /* while connecting: for is_refused */
    if (PQstatus(self->pg) == CONNECTION_BAD) {
        take_message(err, PQerrorMessage(self->pg));
        *refused = PQpingParams(params->names, params->values, 0) == PQPING_NO_ATTEMPT;
        return false;
    }
    if (!finish_connect(self, deadline, err)) {
        *refused = is_refused(self->pg);
        return false;
    }
    PQsetErrorVerbosity(self->pg, PQERRORS_DEFAULT);
    if (!encodings_ok(self->pg, err)) {
        *refused = true;
        return false;
    }
    if (PQsetnonblocking(self->pg, 1) == 0)
        return true;
    take_message(err, PQerrorMessage(self->pg));
    return false;
}

static bool try_host(struct connection *self, struct params *params, const struct host *host,
                     bool *refused, struct leat_error *err)
{
    if (host->unknown)
        return leat_fail(err, "could not translate host name \"%s\" to address: %s", host->host,
                         host->unknown);
    const char *const place[N_PLACE] = {host->host, host->hostaddr, host->port};
    memcpy(params->values, place, sizeof place);
    if (reach(self, params, refused, err))
        return true;
    PQfinish(self->pg);
    self->pg = NULL;
    return false;
}

static void add_reason(struct leat_error *err, const struct leat_error *reason)
{
    size_t n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, "%s%s", n > 0 ? "; " : "", reason->text);
}

/* One after the other, until one serves, or refuses us as each of them would. */
static bool try_hosts(struct connection *self, struct params *params, bool *refused,
                      struct leat_error *err)
{
    struct hosts *hosts = hosts_open(params->names, params->values);
    const struct host *host;
    bool reached = false;
    err->text[0] = 0;
    while (!reached && !*refused && !stopping(self) && (host = hosts_next(hosts))) {
        struct leat_error reason;
        reached = try_host(self, params, host, refused, &reason);
        if (!reached)
            add_reason(err, &reason);
    }
    hosts_close(&hosts);
    if (!reached && !err->text[0])
        leat_fail(err, "stopping");
    return reached;
}

/* Only the server that another session talks to. */
static bool try_beside(struct connection *self, struct params *params, bool *refused,
                       struct leat_error *err)
{
    PGconn *pg = self->options.beside->pg;
    const struct host host = {PQhost(pg), PQhostaddr(pg), PQport(pg), NULL};
    return try_host(self, params, &host, refused, err);
}

struct connection *connection_open(const struct connection_options *options, bool *refused,
                                   struct leat_error *err)
{
    struct params params;
    *refused = true;
    if (!connection_url_ok(options->url, err))
        return NULL;
    PQconninfoOption *parsed = PQconninfoParse(options->url, NULL);
    struct connection *self = calloc(1, sizeof *self);
    if (!parsed || !self)
        abort();
    self->options = *options;
    collect(parsed, &params);
    *refused = false;
    if (!(options->beside ? try_beside : try_hosts)(self, &params, refused, err))
        connection_close(&self);
    else
        self->options.beside = NULL; /* it may go before this one does */
    PQconninfoFree(parsed);
    return self;
}

void connection_close(struct connection **self)
{
    if (*self) {
        PQfinish((*self)->pg);
        free(*self);
    }
    *self = NULL;
}

int connection_pid(const struct connection *self)
{
    return PQbackendPID(self->pg);
}

static bool broken(struct connection_failure *failure, const char *message)
{
    failure->broken = true;
    if (!failure->error.text[0])
        take_message(&failure->error, message);
    return false;
}

/* A wait that is allowed to go on: neither stopped nor without progress for too long. */
struct patience {
    int64_t since;   /* of the last progress, monotonic µs */
    int64_t told_ms; /* when `stalled` was called last */
};

static bool may_wait(struct connection *self, struct patience *patience,
                     struct connection_failure *failure)
{
    int64_t waited_ms = (leat_monotonic_us() - patience->since) / 1000;
    int64_t stall_ms = self->options.stall_ms > 0 ? self->options.stall_ms : STALL_MS;
    if (stopping(self))
        return broken(failure, "stopping");
    if (waited_ms >= self->options.timeout_ms)
        return broken(failure, "the server made no progress in time");
    if (self->options.stalled && waited_ms - patience->told_ms >= stall_ms) {
        patience->told_ms = waited_ms;
        self->options.stalled(self->options.arg, waited_ms);
    }
    return true;
}

/* Hands everything to the kernel; reads meanwhile, or server and client might wait for each other.
 */
static bool flush(struct connection *self, struct connection_failure *failure)
{
    struct patience patience = {.since = leat_monotonic_us()};
    int left;
    while ((left = PQflush(self->pg)) > 0) {
        wait_slice(self->pg, POLLIN | POLLOUT);
        if (!PQconsumeInput(self->pg))
            return broken(failure, PQerrorMessage(self->pg));
        if (!may_wait(self, &patience, failure))
            return false;
    }
    return left == 0 || broken(failure, PQerrorMessage(self->pg));
}

/* The next result; NULL in *out at the end of them. */
static bool next_result(struct connection *self, PGresult **out, struct connection_failure *failure)
{
    struct patience patience = {.since = leat_monotonic_us()};
    while (PQisBusy(self->pg)) {
        wait_slice(self->pg, POLLIN);
        if (!PQconsumeInput(self->pg))
            return broken(failure, PQerrorMessage(self->pg));
        if (PQisBusy(self->pg) && !may_wait(self, &patience, failure))
            return false;
    }
    *out = PQgetResult(self->pg);
    return true;
}

/* In pieces: libpq keeps a copy of what it is given until the kernel has it. */
static bool send_copy(struct connection *self, struct leat_span data,
                      struct connection_failure *failure)
{
    while (data.size > 0) {
        size_t n = data.size < CHUNK ? data.size : CHUNK;
        if (PQputCopyData(self->pg, (const char *)data.data, (int)n) != 1)
            return broken(failure, PQerrorMessage(self->pg));
        if (!flush(self, failure))
            return false;
        data.data += n;
        data.size -= n;
    }
    if (PQputCopyEnd(self->pg, NULL) != 1)
        return broken(failure, PQerrorMessage(self->pg));
    return flush(self, failure);
}

static void take_field(char *to, size_t size, const PGresult *result, int field)
{
    const char *text = PQresultErrorField(result, field);
    snprintf(to, size, "%s", text ? text : "");
}

/* The context of an error inside a COPY begins "COPY table, line 12" (or with the translation of
 * these words, which then is no help, and none is needed). */
static void take_context(struct connection_failure *failure, const PGresult *result)
{
    const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
    failure->has_context = context != NULL;
    const char *copy = context ? strstr(context, "COPY ") : NULL;
    unsigned long long line;
    if (copy && sscanf(copy, "COPY %63[^,], line %llu", failure->copy_table, &line) == 2)
        failure->copy_line = line;
}

/* The first error of a script is the one that counts. */
static void take_error(struct connection *self, const PGresult *result,
                       struct connection_failure *failure)
{
    if (failure->error.text[0])
        return;
    take_field(failure->sqlstate, sizeof failure->sqlstate, result, PG_DIAG_SQLSTATE);
    take_field(failure->constraint, sizeof failure->constraint, result, PG_DIAG_CONSTRAINT_NAME);
    take_context(failure, result);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* The details of broken constraints are the row itself: nothing for a log. */
    const char *detail = strncmp(failure->sqlstate, "23", 2) == 0
                             ? NULL
                             : PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (!primary)
        primary = PQresultErrorMessage(result);
    snprintf(failure->error.text, sizeof failure->error.text, "%s%s%s", primary, detail ? ": " : "",
             detail ? detail : "");
    one_line(failure->error.text);
    if (!failure->error.text[0])
        leat_fail(&failure->error, "an error without a message");
    failure->broken = PQstatus(self->pg) != CONNECTION_OK;
}

static void take_done(const PGresult *result, struct connection_done *done)
{
    const char *tag = PQcmdStatus((PGresult *)result); /* not const for want of history */
    if (strncmp(tag, "INSERT ", 7) == 0)
        done->inserted += strtoull(PQcmdTuples((PGresult *)result), NULL, 10);
    done->committed = strcmp(tag, "COMMIT") == 0;
}

/* Reads all results of what was sent, feeding COPYs. false: the connection is broken. */
static bool read_results(struct connection *self, const struct leat_span *copies, size_t n_copies,
                         struct connection_done *done, struct connection_failure *failure)
{
    PGresult *result;
    size_t copied = 0;
    for (;;) {
        if (!next_result(self, &result, failure))
            return false;
        if (!result)
            return true;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
            take_done(result, done);
        else if (status != PGRES_COPY_IN)
            take_error(self, result, failure);
        PQclear(result);
        if (status == PGRES_COPY_IN) {
            static const struct leat_span nothing = {(const uint8_t *)"", 0};
            if (!send_copy(self, copied < n_copies ? copies[copied] : nothing, failure))
                return false;
            copied++;
        }
    }
}

bool connection_run(struct connection *self, const char *script, const struct leat_span *copies,
                    size_t n_copies, struct connection_done *done,
                    struct connection_failure *failure)
{
    *failure = (struct connection_failure){0};
    *done = (struct connection_done){0};
    if (PQsendQuery(self->pg, script) != 1)
        return broken(failure, PQerrorMessage(self->pg));
    if (!flush(self, failure) || !read_results(self, copies, n_copies, done, failure))
        return false;
    if (PQstatus(self->pg) != CONNECTION_OK)
        failure->broken = true;
    return !failure->error.text[0] && !failure->broken;
}

PGresult *connection_query(struct connection *self, const char *sql, const char *const *params,
                           int n_params, struct connection_failure *failure)
{
    *failure = (struct connection_failure){0};
    PGresult *result, *rows = NULL;
    if (PQsendQueryParams(self->pg, sql, n_params, NULL, params, NULL, NULL, 0) != 1) {
        broken(failure, PQerrorMessage(self->pg));
        return NULL;
    }
    if (!flush(self, failure))
        return NULL;
    while (next_result(self, &result, failure) && result) {
        if (PQresultStatus(result) == PGRES_TUPLES_OK && !rows) {
            rows = result;
            continue;
        }
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            take_error(self, result, failure);
        PQclear(result);
    }
    if (!failure->error.text[0] && !failure->broken && rows)
        return rows;
    PQclear(rows);
    return NULL;
}
