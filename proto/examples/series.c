/* Sends the points of one series as they come: series ENDPOINT NAME BASE [TAIL.csv] <POINTS.csv
 *
 * Points are lines of "2026-01-30T22:00:00.000000Z,1.0735"; other lines (a header) are passed over.
 * A series that is in the store already goes on from its last rows:
 *
 *     leat tail EURUSD >tail.csv
 *     series tcp://127.0.0.1:5550 EURUSD 1.07356 tail.csv <points.csv
 *
 * Without that file the series begins with the first point. Either way, what is found in it is what
 * would have been found had it been sent at once.
 *
 *     cc -D_GNU_SOURCE -I. proto/examples/series.c build/libservices.a \
 *         $(pkg-config --cflags --libs libzmq msgpack) */
#include "proto/leat.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BQX_ROWS = 15 }; /* rows that bqx looks back on, besides those of the longest window */

struct point {
    int64_t ts; /* microseconds since 1970 */
    double close;
};

static bool read_point(FILE *file, struct point *out)
{
    char line[256], *end;
    while (fgets(line, sizeof line, file)) {
        struct tm at = {0};
        const char *rest = strptime(line, "%Y-%m-%dT%H:%M:%S", &at);
        if (!rest)
            continue;
        out->ts = (int64_t)timegm(&at) * 1000000;
        if (*rest == '.')
            out->ts += (int64_t)(strtod(rest, &end) * 1e6 + 0.5), rest = end;
        if (rest[0] != 'Z' || rest[1] != ',')
            continue;
        out->close = strtod(rest + 2, &end);
        if (end > rest + 2)
            return true;
    }
    return false;
}

/* Gives the series what it looks back on; false when a row is not taken. */
static bool look_back(struct leat_series *series, FILE *tail, struct leat_error *err)
{
    struct point point;
    while (tail && read_point(tail, &point))
        if (!leat_series_back(series, point.ts, point.close, err))
            return false;
    return true;
}

static size_t count_rows(FILE *tail)
{
    struct point point;
    size_t n = 0;
    while (tail && read_point(tail, &point))
        n++;
    if (tail)
        rewind(tail);
    return n;
}

/* One point, one block, on ingest's disk before the next one is read. */
static bool send_points(struct leat_client *client, struct leat_series *series,
                        struct leat_error *err)
{
    struct point point;
    while (read_point(stdin, &point)) {
        if (!leat_series_add(series, point.ts, point.close, err))
            fprintf(stderr, "%s\n", err->text); /* this point alone is left out */
        if (!leat_series_flush(series, err) || !leat_flush(client, LEAT_UNTIL_ACCEPTED, -1, err))
            return false;
    }
    return leat_flush(client, LEAT_UNTIL_COMMITTED, 60000, err);
}

static void on_reject(void *arg, const struct leat_reject *reject)
{
    (void)arg;
    fprintf(stderr, "%s: %s\n", reject->code, reject->reason);
}

static bool run(struct leat_client *client, char **words, FILE *tail, struct leat_error *err)
{
    struct leat_series_limits limits;
    if (!leat_series_limits(client, &limits, err))
        return false;
    /* `leat tail` prints more rows than any windows look back on, unless there are no others: then
     * the series begins with them. */
    bool start = count_rows(tail) < limits.longest - 1 + BQX_ROWS;
    struct leat_series *series =
        leat_series_open(client,
                         &(struct leat_series_options){
                             .series = words[2], .base = strtod(words[3], NULL), .start = start},
                         err);
    bool good = series && look_back(series, tail, err) && send_points(client, series, err);
    leat_series_close(&series);
    return good;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: series ENDPOINT NAME BASE [TAIL.csv] <POINTS.csv\n");
        return 2;
    }
    FILE *tail = argc == 5 ? fopen(argv[4], "r") : NULL;
    if (argc == 5 && !tail) {
        perror(argv[4]);
        return 1;
    }
    struct leat_error err;
    struct leat_client *client = leat_connect(
        &(struct leat_options){
            .endpoints = argv[1], .keys = getenv("LEAT_SECURITY_KEYS"), .on_reject = on_reject},
        &err);
    bool good = client && run(client, argv, tail, &err);
    if (!good)
        fprintf(stderr, "%s\n", err.text);
    if (client) {
        struct leat_progress p;
        leat_progress(client, &p);
        printf("accepted %llu rejected %llu committed %llu dead %llu\n",
               (unsigned long long)p.accepted, (unsigned long long)p.rejected,
               (unsigned long long)p.committed, (unsigned long long)p.dead);
    }
    leat_disconnect(&client);
    if (tail)
        fclose(tail);
    return good ? 0 : 1;
}
