#include "services/ingest/meters.h"

#include "services/flows/flow.h"

#include <stdio.h>

struct row {
    struct leat_metric **to;
    enum leat_metric_type type;
    enum leat_metric_unit unit;
    const char *name, *help;
};

static void add_all(struct leat_metrics *metrics, const char *labels, const struct row *rows,
                    size_t n)
{
    for (size_t i = 0; i < n; i++)
        *rows[i].to = leat_metrics_add(metrics, rows[i].type, rows[i].unit, rows[i].name, labels,
                                       rows[i].help);
}

#define COUNTER(to, name, help)                                                                    \
    {                                                                                              \
        &(to), LEAT_COUNTER, LEAT_UNIT_COUNT, "leat_ingest_" name, help                            \
    }
#define GAUGE(to, name, help)                                                                      \
    {                                                                                              \
        &(to), LEAT_GAUGE, LEAT_UNIT_COUNT, "leat_ingest_" name, help                              \
    }
#define COUNT(rows) (sizeof(rows) / sizeof(rows)[0])

static void open_kind(struct meters_kind *k, struct leat_metrics *metrics, const char *kind)
{
    char labels[64];
    snprintf(labels, sizeof labels, "kind=\"%s\"", kind);
    const struct row rows[] = {
        COUNTER(k->accepted, "records_accepted_total", "Records taken into the journal."),
        COUNTER(k->rejected, "records_rejected_total",
                "Records not taken, or from the one-way port and on their way to dead_letters."),
        COUNTER(k->dispatched, "batches_dispatched_total", "Batches sent for the first time."),
        COUNTER(k->resent, "batches_resent_total",
                "Batches sent again because they had not come back in time."),
        COUNTER(k->probes, "batches_probed_total",
                "Of those: sent one at a time, while nothing came back at all."),
        COUNTER(k->returned, "batches_acknowledged_total", "Batches that came back."),
        GAUGE(k->in_flight_batches, "in_flight_batches", "Batches sent and not acknowledged."),
        GAUGE(k->in_flight_bytes, "in_flight_bytes", "Bytes of these."),
        GAUGE(k->window_bytes, "window_bytes", "Bytes that may be in flight now."),
        {&k->round_trip, LEAT_GAUGE, LEAT_UNIT_US, "leat_ingest_round_trip_seconds",
         "Smoothed time from dispatch to acknowledgement."},
        {&k->oldest_age, LEAT_GAUGE, LEAT_UNIT_US, "leat_ingest_oldest_unacknowledged_seconds",
         "Age of the oldest batch in the journal."},
    };
    add_all(metrics, labels, rows, COUNT(rows));
}

void meters_open(struct meters *self, struct leat_metrics *metrics)
{
    for (self->flows = 0; leat_flows[self->flows] && self->flows < METERS_KINDS; self->flows++)
        open_kind(&self->kinds[self->flows], metrics, leat_flows[self->flows]->kind);
    /* Of kinds that nobody knows there is nothing but rejections. */
    self->kinds[self->flows].rejected =
        leat_metrics_add(metrics, LEAT_COUNTER, LEAT_UNIT_COUNT,
                         "leat_ingest_records_rejected_total", "kind=\"other\"",
                         "Records not taken, or from the one-way port and on their way to "
                         "dead_letters.");

    const struct row rows[] = {
        COUNTER(self->hello, "hellos_total", "Sessions begun."),
        COUNTER(self->sends, "sends_total", "Sends taken, those without a valid record included."),
        COUNTER(self->repeated, "sends_repeated_total", "Sends that had been taken before."),
        COUNTER(self->busy, "sends_busy_total", "Sends answered busy."),
        COUNTER(self->gap, "sends_gap_total", "Sends answered gap: one before it was missing."),
        COUNTER(
            self->fenced, "sends_fenced_total",
            "Sends and hellos of who was not, or not for sure, in the last session of the name."),
        COUNTER(self->unknown, "sends_without_hello_total", "Sends answered hello."),
        COUNTER(self->malformed, "frames_malformed_total", "Frames answered error."),
        COUNTER(self->refused, "connections_refused_total",
                "Connections to the front door that were refused: no key, or not ZMTP."),
        COUNTER(self->answers_lost, "answers_lost_total",
                "Answers that a client did not read, or was not there to read."),
        COUNTER(self->done_told, "done_total", "Messages done sent."),
        GAUGE(self->sessions, "clients", "Clients with a session and a connection."),
        COUNTER(self->oneway_frames, "oneway_frames_total", "Frames read from the one-way port."),
        COUNTER(self->oneway_undecodable, "oneway_undecodable_total",
                "Of those: dropped, as nothing can be made of them."),
        GAUGE(self->journal_batches, "journal_batches", "Batches kept in the journal."),
        GAUGE(self->journal_bytes, "journal_bytes", "Disk space of these."),
        GAUGE(self->journal_max_bytes, "journal_max_bytes", "Setting journal.max_bytes."),
        GAUGE(self->journal_file_bytes, "journal_file_bytes",
              "Size of the journal's file, its reserve included."),
        GAUGE(self->journal_damaged, "journal_damaged_batches", "Damaged batches set aside."),
        GAUGE(self->journal_clients, "journal_clients", "Clients that the journal knows."),
        GAUGE(self->journal_unknown, "journal_unknown_batches",
              "Batches of kinds that this program does not know, left where they are."),
        COUNTER(self->commits, "commits_total", "Journal transactions."),
        {&self->commit_seconds, LEAT_COUNTER, LEAT_UNIT_US, "leat_ingest_commit_seconds_total",
         "Time spent committing them."},
        COUNTER(self->commit_failures, "journal_errors_total",
                "Journal transactions that failed or could not begin."),
        COUNTER(self->acks, "acks_total", "Acknowledgements read."),
        COUNTER(self->acks_late, "acks_late_total",
                "Of those: for batches that were not in flight any more. Most are repetitions, "
                "which persist "
                "sends on purpose."),
        COUNTER(self->acks_undecodable, "acks_undecodable_total",
                "Publications that nothing can be made of."),
    };
    add_all(metrics, "", rows, COUNT(rows));
}

struct meters_kind *meters_kind(struct meters *self, size_t flow)
{
    return &self->kinds[flow < self->flows ? flow : self->flows];
}
