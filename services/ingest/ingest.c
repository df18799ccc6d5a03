#include "services/ingest/ingest.h"

#include "services/ingest/clients.h"
#include "services/ingest/dispatch.h"
#include "services/ingest/door.h"
#include "services/ingest/expiry.h"
#include "services/ingest/oneway.h"
#include "services/runtime/clock.h"
#include "services/runtime/log.h"
#include "services/runtime/sockets.h"
#include "services/tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    TICK_US = 1000 * 1000,
    MEASURE_US = 250 * 1000,
    EXPIRE_STEPS = 256,
    DRAIN_TICK_US = 20 * 1000,
    ACKS_MOST = 10000,  /* publications read in one turn */
    RECORD_ROOM = 512,  /* for the keys and the head of a send of one text */
    ITEM_GROWTH = 512,  /* an item is larger than its record by no more: keys, an error */
    CLIENTS_KNOWN = 10, /* the journal knows so many times as many as have sessions */
    LINGER_MS = 1000,   /* for batches that are with the sockets already */
    ITEMS = 8 + LEAT_PEERS_ITEMS + DISPATCH_ITEMS,
};

struct ingest {
    struct leat_host *host;
    struct meters meters;
    struct leat_flow_limits limits;
    struct journal *journal;
    struct commit commit;
    struct records records;
    struct removals removals;
    struct door *door;
    struct oneway *oneway;
    struct dispatch *dispatch;
    struct leat_peers *acks;
    uint8_t run[LEAT_ID_SIZE];
    int64_t client_ttl_us;
    struct leat_log_site undecodable;

    bool draining, stopping;
    bool oneway_first; /* of the ports, in this turn */
    int64_t deadline;
    int64_t measured_at;
    struct expiry expiry;
};

/* --- opening ---------------------------------------------------------------------------------- */

/* Settings that make no sense together. */
static bool settings_agree(const struct leat_settings *settings, struct leat_error *err)
{
    int64_t text = leat_settings_int(settings, "text.max_bytes");
    int64_t send = leat_settings_int(settings, "ingest.send_bytes");
    if (!leat_flows_check(settings, err))
        return false;
    return text + RECORD_ROOM <= send ||
           leat_fail(err,
                     "setting text.max_bytes (%lld) must leave %d bytes of ingest.send_bytes "
                     "(%lld) for the rest of a send",
                     (long long)text, RECORD_ROOM, (long long)send);
}

static void read_reloadable(struct ingest *self)
{
    const struct leat_settings *settings = self->host->settings;
    struct leat_error err;
    if (settings_agree(settings, &err))
        self->limits = leat_flow_limits_read(settings);
    else
        leat_log(LEAT_ERR, "ingest", "reload_refused", LEAT_S("reason", err.text));
    self->commit.wait_us = leat_settings_int(settings, "ingest.commit_wait") * 1000;
    self->commit.bytes_most = (size_t)leat_settings_int(settings, "ingest.commit_bytes");
    self->client_ttl_us = leat_settings_int(settings, "journal.client_ttl") * 1000;
    if (self->dispatch)
        dispatch_reload(self->dispatch, settings);
}

static struct journal_limits journal_limits_read(const struct leat_settings *settings)
{
    struct journal_limits limits = journal_limits_default();
    uint64_t send_bytes = (uint64_t)leat_settings_int(settings, "ingest.send_bytes");
    uint64_t records = (uint64_t)leat_settings_int(settings, "ingest.send_records");
    uint64_t sessions = (uint64_t)leat_settings_int(settings, "ingest.clients");
    limits.max_bytes = (uint64_t)leat_settings_int(settings, "journal.max_bytes");
    limits.reserve_bytes = (uint64_t)leat_settings_int(settings, "journal.reserve_bytes");
    limits.largest_batch = send_bytes + records * ITEM_GROWTH;
    limits.answers = (uint32_t)leat_settings_int(settings, "ingest.unanswered");
    /* Answers are small but for sends of nothing but broken records; of these the last few stay. */
    limits.answer_bytes = 4 * records * ITEM_GROWTH;
    limits.clients = (uint32_t)(sessions * CLIENTS_KNOWN);
    return limits;
}

/* What an older or a newer program accepted, and this one has no flow for. */
static void report_unknown_kinds(struct ingest *self)
{
    struct journal_kind_totals kinds[JOURNAL_KINDS_MAX];
    size_t n = journal_kinds(self->journal, kinds, JOURNAL_KINDS_MAX);
    int64_t left = 0;
    for (size_t i = 0; i < n; i++) {
        if (kinds[i].batches == 0 || leat_flow_find(kinds[i].kind, strlen(kinds[i].kind)))
            continue;
        left += (int64_t)kinds[i].batches;
        leat_log(LEAT_WARN, "ingest", "kind_unknown", LEAT_S("kind", kinds[i].kind),
                 LEAT_I("batches", kinds[i].batches));
    }
    leat_metric_set(self->meters.journal_unknown, left);
}

static bool open_journal(struct ingest *self, struct leat_error *err)
{
    const struct leat_settings *settings = self->host->settings;
    const char *dir = leat_settings_str(settings, "journal.dir");
    struct journal_limits limits = journal_limits_read(settings);
    self->journal = journal_open(dir, &limits, err);
    if (!self->journal)
        return leat_fail_in(err, "setting journal.dir");
    struct journal_totals totals = journal_totals(self->journal);
    leat_log(LEAT_INFO, "ingest", "journal_opened", LEAT_S("dir", dir),
             LEAT_I("batches", totals.batches), LEAT_I("bytes", totals.bytes));
    leat_metric_set(self->meters.journal_max_bytes, (int64_t)limits.max_bytes);
    report_unknown_kinds(self);
    commit_open(&self->commit, self->journal, &self->meters);
    records_open(&self->records, (uint32_t)leat_settings_int(settings, "ingest.send_records"));
    return true;
}

static bool open_acks(struct ingest *self, struct leat_error *err)
{
    const struct leat_peers_options options = {
        .zmq = self->host->zmq,
        .security = self->host->security,
        .metrics = self->host->metrics,
        .service = "ingest",
        .peer = "persist.acks",
        .addresses = leat_settings_str(self->host->settings, "persist.acks_address"),
        .setting = "persist.acks_address",
        .topic = self->run, /* keeps invariant M2 (tests/model) */
        .refresh_ms = leat_settings_int(self->host->settings, "peers.refresh"),
    };
    self->acks = leat_peers_open(&options, err);
    return self->acks != NULL;
}

static bool ingest_open(struct ingest *self, struct leat_error *err)
{
    struct leat_host *host = self->host;
    meters_open(&self->meters, host->metrics);
    if (!settings_agree(host->settings, err))
        return false;
    if (getrandom(self->run, sizeof self->run, 0) != (ssize_t)sizeof self->run)
        return leat_fail(err, "no random bytes to be had");
    if (!open_journal(self, err) || !open_acks(self, err))
        return false;
    self->dispatch =
        dispatch_open(host, self->journal, &self->removals, &self->meters, self->run, err);
    if (!self->dispatch)
        return false;
    read_reloadable(self);

    const struct door_parts parts = {self->journal, &self->commit, &self->records, &self->meters,
                                     &self->limits};
    const struct oneway_parts oneway_parts = {self->journal, &self->commit, &self->records,
                                              &self->meters, &self->limits};
    self->door = door_open(host, &parts, err);
    if (!self->door)
        return false;
    self->oneway = oneway_open(host, &oneway_parts, err);
    return self->oneway != NULL;
}

static void ingest_close(struct ingest *self)
{
    door_close(&self->door);
    oneway_close(&self->oneway);
    dispatch_close(&self->dispatch, LINGER_MS);
    leat_peers_close(&self->acks, 0);
    removals_free(&self->removals);
    if (self->journal)
        records_close(&self->records);
    journal_close(&self->journal);
}

/* --- orders ----------------------------------------------------------------------------------- */

static void drain(struct ingest *self, const char *ms)
{
    int64_t left_ms = ms[0] ? strtoll(ms, NULL, 10) : self->host->drain_ms;
    self->draining = true;
    self->deadline = leat_monotonic_us() + left_ms * 1000;
    door_drain(self->door);
    oneway_drain(self->oneway);
    leat_log(LEAT_INFO, "ingest", "draining",
             LEAT_I("in_flight", dispatch_in_flight(self->dispatch)));
}

static void reload(struct ingest *self, char *lines)
{
    struct leat_settings *fresh = leat_settings_copy(self->host->settings);
    struct leat_error err;
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (!leat_settings_assign(fresh, line, LEAT_FROM_PROGRAM, &err))
            leat_log(LEAT_ERR, "ingest", "reload_refused", LEAT_S("reason", err.text));
    leat_settings_reload(self->host->settings, fresh, NULL, NULL);
    leat_settings_destroy(&fresh);
    read_reloadable(self);
}

/* Orders come from this process, and their texts are terminated. */
static void obey(struct ingest *self)
{
    zmq_msg_t order;
    zmq_msg_init(&order);
    while (zmq_msg_recv(&order, self->host->control, ZMQ_DONTWAIT) > 0) {
        char *text = zmq_msg_data(&order);
        if (text[0] == LEAT_ORDER_DRAIN)
            drain(self, zmq_msg_size(&order) > 1 ? text + 1 : "");
        else if (text[0] == LEAT_ORDER_STOP)
            self->stopping = true;
        else if (text[0] == LEAT_ORDER_RELOAD && zmq_msg_size(&order) > 1)
            reload(self, text + 1);
    }
    zmq_msg_close(&order);
    self->stopping |= atomic_load(&self->host->stopping);
}

/* --- one turn --------------------------------------------------------------------------------- */

static void on_ack(void *arg, const struct leat_ack *ack)
{
    struct ingest *self = arg;
    dispatch_acked(self->dispatch, ack, leat_monotonic_us());
}

/* Reads all acknowledgements that wait; false when there may be more. */
static bool read_acks(struct ingest *self)
{
    zmq_msg_t msg;
    zmq_msg_init(&msg);
    int n = 0;
    while (n++ < ACKS_MOST &&
           zmq_msg_recv(&msg, leat_peers_socket(self->acks), ZMQ_DONTWAIT) >= 0) {
        struct leat_span frame = {zmq_msg_data(&msg), zmq_msg_size(&msg)};
        uint8_t run[LEAT_ID_SIZE];
        struct leat_error err;
        uint64_t swallowed;
        if (leat_acks_read(frame, run, on_ack, self, &err))
            continue;
        leat_metric_inc(self->meters.acks_undecodable, 1);
        if (leat_log_allow(&self->undecodable, &swallowed))
            leat_log(LEAT_WARN, "ingest", "acks_undecodable", LEAT_S("reason", err.text),
                     LEAT_I("swallowed", swallowed));
    }
    zmq_msg_close(&msg);
    return n <= ACKS_MOST;
}

static void on_removed(void *arg, uint64_t client)
{
    struct ingest *self = arg;
    door_done_changed(self->door, client);
}

static void settle(struct ingest *self, bool committed)
{
    int64_t now = leat_monotonic_us();
    door_settle(self->door, committed);
    oneway_settle(self->oneway, committed, now);
    removals_settle(&self->removals, committed, on_removed, self);
    if (committed)
        dispatch_wake(self->dispatch, self->commit.grew);
}

/* Ends the transaction if it is time; without one, whatever waits can be answered at once. */
static void end_transaction(struct ingest *self, bool at_once)
{
    if (!self->commit.open) {
        self->commit.grew = 0;
        settle(self, true);
    } else if (at_once || commit_due(&self->commit, leat_monotonic_us()) == 0) {
        settle(self, commit_end(&self->commit));
    }
}

static void expire_clients(struct ingest *self, int64_t now)
{
    const struct clients_expiry expiry = {
        .now_us = leat_now_us(),
        .ttl_us = self->client_ttl_us,
        .steps = EXPIRE_STEPS,
        .spoken_for = door_speaks_for,
        .arg = self->door,
    };
    struct leat_error err;
    if (expiry_due(&self->expiry, expiry.now_us, now, self->client_ttl_us) &&
        commit_enter(&self->commit, now))
        commit_note(&self->commit, clients_expire(self->journal, &expiry, NULL, &err), &err);
}

static void measure(struct ingest *self, int64_t now)
{
    if (now - self->measured_at < MEASURE_US)
        return;
    self->measured_at = now;
    struct journal_totals totals = journal_totals(self->journal);
    leat_metric_set(self->meters.journal_batches, (int64_t)totals.batches);
    leat_metric_set(self->meters.journal_bytes, (int64_t)totals.bytes);
    leat_metric_set(self->meters.journal_file_bytes, (int64_t)totals.file_bytes);
    leat_metric_set(self->meters.journal_damaged, (int64_t)totals.damaged);
    leat_metric_set(self->meters.journal_clients, (int64_t)totals.clients);
    dispatch_measure(self->dispatch);
}

static void show_state(struct ingest *self)
{
    const char *trouble = self->commit.trouble;
    atomic_store(&self->host->reason, trouble);
    atomic_store(&self->host->state, self->draining ? LEAT_DRAINING
                                     : trouble      ? LEAT_NOT_READY
                                                    : LEAT_READY);
}

static int64_t least(int64_t a, int64_t b)
{
    return b >= 0 && b < a ? b : a;
}

static void wait_for_work(struct ingest *self, int64_t wait_us)
{
    zmq_pollitem_t items[ITEMS] = {
        {.socket = self->host->control, .events = ZMQ_POLLIN},
        {.socket = door_socket(self->door), .events = ZMQ_POLLIN},
        {.socket = leat_peers_socket(self->acks), .events = ZMQ_POLLIN},
    };
    int n = 3;
    void *oneway = oneway_socket(self->oneway);
    if (oneway)
        items[n++] = (zmq_pollitem_t){.socket = oneway, .events = ZMQ_POLLIN};
    n += leat_peers_items(self->acks, items + n);
    n += dispatch_items(self->dispatch, !self->draining, items + n);
    zmq_poll(items, n, (long)((wait_us + 999) / 1000));
}

/* Either port may fill a transaction, so they are first in turn. True when more may wait. */
static bool read_ports(struct ingest *self, int64_t now)
{
    bool more = false;
    self->oneway_first = !self->oneway_first;
    for (int i = 0; i < 2 && !self->commit.spoilt; i++)
        more |= (i == 0) == self->oneway_first ? oneway_read(self->oneway, now)
                                               : door_read(self->door, now);
    return more;
}

/* Ensures: no timer is judged while acknowledgements wait; done is told only of what is on disk.
 * Returns how long to wait for the next turn. */
static int64_t turn(struct ingest *self)
{
    int64_t now = leat_monotonic_us();
    int64_t peers_ms = leat_peers_turn(self->acks);
    bool all_acks = read_acks(self);
    removals_apply(&self->removals, self->journal, &self->commit, now);
    expire_clients(self, now);
    commit_try(&self->commit, now);
    bool more = read_ports(self, now);
    end_transaction(self, more || self->commit.spoilt);

    int64_t wait = self->draining ? DRAIN_TICK_US : TICK_US;
    now = leat_monotonic_us();
    if (all_acks)
        wait = least(wait, dispatch_turn(self->dispatch, !self->draining, now));
    if (!self->commit.open)
        wait = least(wait, door_push(self->door, now));
    measure(self, now);
    show_state(self);
    if (oneway_waiting(self->oneway) > 0 || self->removals.n > 0)
        wait = least(wait, ONEWAY_RETRY_US);
    wait = least(least(wait, commit_due(&self->commit, now)), peers_ms * 1000);
    return more || !all_acks ? 0 : wait;
}

/* Nothing is in flight, and nothing that was read waits for the disk. */
static bool drained(const struct ingest *self)
{
    return dispatch_in_flight(self->dispatch) == 0 && self->removals.n == 0 &&
           oneway_waiting(self->oneway) == 0 && !self->commit.open;
}

/* After the last transaction. What was read from the one-way port and could not be journaled is
 * gone: nobody was told that it was taken, so nobody sends it again. */
static enum leat_exit ended(const struct ingest *self, bool done)
{
    size_t lost = oneway_waiting(self->oneway);
    leat_log(LEAT_INFO, "ingest", "ended", LEAT_I("in_flight", dispatch_in_flight(self->dispatch)),
             LEAT_I("journal_batches", journal_totals(self->journal).batches));
    if (lost > 0) {
        leat_log(LEAT_ERR, "ingest", "oneway_frames_lost", LEAT_I("frames", lost),
                 LEAT_S("reason",
                        self->commit.trouble ? self->commit.trouble : "the journal took no more"));
        return LEAT_EXIT_FAILED;
    }
    return done ? LEAT_EXIT_OK : LEAT_EXIT_DEADLINE;
}

static enum leat_exit ingest_run(struct leat_host *host)
{
    struct ingest self = {.host = host};
    struct leat_error err = {.text = ""};
    enum leat_exit status = LEAT_EXIT_FAILED;
    if (ingest_open(&self, &err)) {
        int64_t wait = 0;
        bool done, late;
        do {
            wait_for_work(&self, wait);
            obey(&self);
            wait = turn(&self);
            done = drained(&self);
            late = leat_monotonic_us() > self.deadline;
        } while (!self.stopping && !(self.draining && (done || late)));
        /* What is in the open transaction has been read; its senders get their answers. */
        end_transaction(&self, true);
        status = ended(&self, done);
    } else {
        leat_log(LEAT_ERR, "ingest", "cannot_start", LEAT_S("reason", err.text));
    }
    ingest_close(&self);
    return status;
}

const struct leat_service ingest_service = {
    .name = "ingest",
    .help = "The front door: takes records from clients, keeps them in a journal on disk until "
            "they are stored, and sends them on their way.",
    .settings = ingest_settings,
    .admits = "clients",
    .run = ingest_run,
};
