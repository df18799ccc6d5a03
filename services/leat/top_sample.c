#include "services/leat/top_sample.h"

#include "services/leat/http_get.h"
#include "services/runtime/clock.h"

#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWER = 1 << 20, HOSTS_MAX = 64, HOST_TEXT = 64 };

#define FIGURE_MOST 1e15 /* more than anything counts; all stages' together fit 64 bits */

/* From metrics to figures. Those with several label sets are added up. */
static const struct source {
    const char *metric, *stage; /* NULL: the label says it */
    const char *label;          /* only with this among the labels; NULL: all */
    enum top_figure figure;
} sources[] = {
    {"leat_stage_records_in_total", NULL, NULL, TOP_RECORDS_IN},
    {"leat_stage_records_out_total", NULL, NULL, TOP_RECORDS_OUT},
    {"leat_stage_batches_in_total", NULL, NULL, TOP_BATCHES_IN},
    {"leat_stage_batches_out_total", NULL, NULL, TOP_BATCHES_OUT},
    {"leat_stage_record_errors_total", NULL, NULL, TOP_ERRORS},
    {"leat_stage_dropped_total", NULL, "reason=\"undecodable\"", TOP_ERRORS},
    {"leat_stage_dropped_total", NULL, "reason=\"stage\"", TOP_ERRORS},
    {"leat_stage_dropped_total", NULL, "reason=\"kind\"", TOP_ERRORS},
    {"leat_stage_dropped_total", NULL, "reason=\"refused\"", TOP_ERRORS},
    {"leat_stage_work_seconds_total", NULL, NULL, TOP_WORK},
    {"leat_stage_wait_input_seconds_total", NULL, NULL, TOP_WAIT_INPUT},
    {"leat_stage_wait_output_seconds_total", NULL, NULL, TOP_WAIT_OUTPUT},
    {"leat_stage_in_hand_batches", NULL, NULL, TOP_OPEN},
    {"leat_ready", NULL, NULL, TOP_READY},
    {"leat_persist_records_total", "persist", "result=\"committed\"", TOP_RECORDS_OUT},
    {"leat_persist_records_total", "persist", "result=\"dead\"", TOP_ERRORS},
    {"leat_persist_batches_total", "persist", NULL, TOP_BATCHES_OUT},
    {"leat_ingest_records_accepted_total", "ingest", NULL, TOP_RECORDS_IN},
    {"leat_ingest_sends_total", "ingest", NULL, TOP_BATCHES_IN},
    {"leat_ingest_batches_acknowledged_total", "ingest", NULL, TOP_BATCHES_OUT},
    {"leat_ingest_records_rejected_total", "ingest", NULL, TOP_ERRORS},
    {"leat_ingest_frames_malformed_total", "ingest", NULL, TOP_ERRORS},
    {"leat_ingest_connections_refused_total", "ingest", NULL, TOP_ERRORS},
    {"leat_ingest_in_flight_batches", "ingest", NULL, TOP_OPEN},
    {"leat_ingest_oldest_unacknowledged_seconds", "ingest", NULL, TOP_OLDEST},
    {"leat_ingest_journal_bytes", "ingest", NULL, TOP_JOURNAL},
    {"leat_ingest_journal_max_bytes", "ingest", NULL, TOP_JOURNAL_MAX},
};

static const struct source *source_find(const char *metric, const char *labels)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].metric, metric) == 0 &&
            (!sources[i].label || strstr(labels, sources[i].label)))
            return &sources[i];
    return NULL;
}

const struct top_stage *top_sample_find(const struct top_sample *self, const char *where,
                                        const char *name)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->stages[i].where, where) == 0 && strcmp(self->stages[i].name, name) == 0)
            return &self->stages[i];
    return NULL;
}

static struct top_stage *stage_of(struct top_sample *self, const char *where, const char *name,
                                  int64_t at_us)
{
    struct top_stage *it = (struct top_stage *)top_sample_find(self, where, name);
    if (it || self->n == TOP_STAGES_MAX)
        return it;
    it = &self->stages[self->n++];
    *it = (struct top_stage){.at_us = at_us};
    snprintf(it->where, sizeof it->where, "%s", where);
    snprintf(it->name, sizeof it->name, "%s", name);
    return it;
}

/* A line is NAME VALUE or NAME{LABELS} VALUE. */
static void read_line(struct top_sample *self, const char *where, int64_t at_us, char *line)
{
    char name[TOP_STAGE] = "", *end;
    char *space = strrchr(line, ' '), *labels = strchr(line, '{');
    if (line[0] == '#' || !space)
        return;
    *space = '\0';
    if (labels)
        *labels++ = '\0';
    const struct source *source = source_find(line, labels ? labels : "");
    double value = strtod(space + 1, &end);
    if (!source || end == space + 1 || !(value >= 0))
        return;
    if (source->stage)
        snprintf(name, sizeof name, "%s", source->stage);
    else if (!labels || !(labels = strstr(labels, "stage=\"")) ||
             sscanf(labels, "stage=\"%23[a-z_]", name) != 1)
        return;
    struct top_stage *stage = stage_of(self, where, name, at_us);
    if (!stage)
        return;
    double *figure = &stage->figures[source->figure];
    *figure = source->figure == TOP_OLDEST ? fmax(*figure, value) : *figure + value;
    *figure = fmin(*figure, FIGURE_MOST);
}

void top_sample_read(struct top_sample *self, const char *where, int64_t at_us, const char *text)
{
    char line[512];
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (size < sizeof line) {
            memcpy(line, text, size);
            line[size] = '\0';
            read_line(self, where, at_us, line);
        }
        text += size + (text[size] == '\n');
    }
}

/* "HOST:PORT" of every address behind the name, without repetition. */
static size_t resolve(const char *address, char found[HOSTS_MAX][TOP_WHERE], struct leat_error *err)
{
    struct addrinfo wish = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    const char *colon = strrchr(address, ':');
    char host[256], number[HOST_TEXT];
    size_t n = 0, size = colon ? (size_t)(colon - address) : 0;
    bool bracketed = size > 2 && address[0] == '[' && colon[-1] == ']';
    if (size == 0 || size >= sizeof host || !colon[1]) {
        leat_fail(err, "\"%.100s\" is no HOST:PORT", address);
        return 0;
    }
    snprintf(host, sizeof host, "%.*s", (int)(size - (bracketed ? 2 : 0)),
             address + (bracketed ? 1 : 0));
    int code = getaddrinfo(host, colon + 1, &wish, &list);
    if (code != 0) {
        leat_fail(err, "%s: %s", address, gai_strerror(code));
        return 0;
    }
    for (const struct addrinfo *at = list; at && n < HOSTS_MAX; at = at->ai_next) {
        bool again = false;
        if (getnameinfo(at->ai_addr, at->ai_addrlen, number, sizeof number, NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        snprintf(found[n], TOP_WHERE, strchr(number, ':') ? "[%s]:%.8s" : "%s:%.8s", number,
                 colon + 1);
        for (size_t i = 0; i < n && !again; i++)
            again = strcmp(found[i], found[n]) == 0;
        n += !again;
    }
    freeaddrinfo(list);
    return n;
}

static bool tells_of(const struct top_sample *self, const char *where)
{
    for (size_t i = 0; i < self->n; i++)
        if (strcmp(self->stages[i].where, where) == 0)
            return true;
    return self->n == TOP_STAGES_MAX; /* there was no room for it */
}

bool top_sample_ask(struct top_sample *self, const char *address, int64_t until_us,
                    struct leat_error *err)
{
    char found[HOSTS_MAX][TOP_WHERE];
    size_t n = resolve(address, found, err);
    char *answer = n > 0 ? malloc(ANSWER) : NULL;
    bool any = false;
    for (size_t i = 0; answer && i < n; i++) {
        const char *body;
        int status = http_get(found[i], "/metrics", until_us, answer, ANSWER, &body, err);
        if (status == 200) {
            top_sample_read(self, found[i], leat_monotonic_us(), body);
            if (tells_of(self, found[i]))
                any = true;
            else
                leat_fail(err, "%s: this is no process of Leat", found[i]);
        } else if (status != 0) {
            leat_fail(err, "%s: answered %d: is this a process of Leat?", found[i], status);
        }
    }
    free(answer);
    return any;
}
