/* A process: its services, each in a thread; signals, drain, reload, readiness.
 *
 * Ensures:
 *  1. Services are drained in their order: one is told when the one before it has ended, so what it
 *     still sends is still taken.
 *  2. A drain ends: when its time is over all are told to stop at once, and who does not is left
 *     behind with the process.
 *  3. When a service ends without having been told to, the others are drained and the process
 *     fails. */
#include "services/runtime/clock.h"
#include "services/runtime/http.h"
#include "services/runtime/log.h"
#include "services/runtime/process_gauges.h"
#include "services/runtime/unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

enum {
    SERVICES_MAX = 16,
    STOP_GRACE_US = 5000000, /* after `stop`, until the process leaves without its threads */
    TERM_S = 15,
    STARTING_TURN_MS = 50,
    TURN_MS = 1000,
};

struct process {
    const struct leat_program *program;
    struct leat_settings *settings;
    const char *config_path;
    struct leat_metrics *metrics;
    struct process_gauges gauges;
    struct leat_security *security;
    struct unit_ground ground;
    struct leat_http *http;
    struct unit units[SERVICES_MAX];
    struct leat_host *hosts[SERVICES_MAX + 1];
    int n;
    int signals, wake;
    bool ready_told, draining, stopping;
    int64_t drain_until_us, leave_at_us;
    enum leat_exit status;
};

/* Log lines of a process as a whole carry its name: "leat-persist", "leat". */
static const char *process_name(const struct process *self)
{
    return self->program->name;
}

static void process_worse(struct process *self, enum leat_exit status)
{
    if (status == LEAT_EXIT_FAILED || self->status == LEAT_EXIT_OK)
        self->status = status;
}

/* --- ending --------------------------------------------------------------------------------- */

static void process_drain(struct process *self)
{
    int64_t ms = leat_settings_int(self->settings, "drain.timeout");
    self->draining = true;
    self->drain_until_us = leat_monotonic_us() + ms * 1000;
    leat_log(LEAT_INFO, process_name(self), "draining", LEAT_I("timeout_ms", ms));
}

static void process_stop(struct process *self, const char *why)
{
    if (self->stopping)
        return;
    self->stopping = self->draining = true;
    self->leave_at_us = leat_monotonic_us() + STOP_GRACE_US;
    leat_log(LEAT_WARN, process_name(self), "stopping", LEAT_S("reason", why));
    for (int i = 0; i < self->n; i++) {
        atomic_store(&self->units[i].host.stopping, true);
        unit_order(&self->units[i], LEAT_ORDER_STOP, "");
    }
}

/* Ensures 2, its last part: a service is stuck in a call that cannot be interrupted. */
static _Noreturn void process_leave(struct process *self)
{
    for (int i = 0; i < self->n; i++)
        if (!atomic_load(&self->units[i].ended))
            leat_log(LEAT_ERR, process_name(self), "left_behind",
                     LEAT_S("service", self->units[i].host.name));
    process_worse(self, LEAT_EXIT_DEADLINE);
    _exit((int)self->status);
}

/* Joins who has ended, and tells the next one to drain (Ensures 1). True when all have ended. */
static bool process_collect(struct process *self)
{
    bool before_ended = true;
    for (int i = 0; i < self->n; i++) {
        struct unit *unit = &self->units[i];
        if (unit_join(unit)) {
            process_worse(self, unit->status);
            if (!unit->told && !self->stopping)
                process_worse(self, LEAT_EXIT_FAILED); /* Ensures 3 */
            if (!self->draining)
                process_drain(self);
        }
        if (unit->running && self->draining && before_ended && !unit->told) {
            char ms[32];
            int64_t left = (self->drain_until_us - leat_monotonic_us()) / 1000;
            snprintf(ms, sizeof ms, "%lld", left > 0 ? (long long)left : 0);
            unit->told = true;
            unit_order(unit, LEAT_ORDER_DRAIN, ms);
        }
        before_ended = before_ended && !unit->running;
    }
    return before_ended;
}

/* --- reload --------------------------------------------------------------------------------- */

static void log_level(const struct leat_settings *settings)
{
    enum leat_log_level level;
    if (leat_log_level_parse(leat_settings_str(settings, "log.level"), &level))
        leat_log_set_level(level);
}

static void reload_ignored(void *arg, const char *name)
{
    leat_log(LEAT_WARN, process_name(arg), "reload_needs_restart", LEAT_S("setting", name));
}

struct kept {
    const struct leat_settings *old;
    struct leat_settings *fresh;
};

/* What came from the command line, or from the program itself, stays, as it would at a restart. */
static void reload_keep(void *arg, const struct leat_setting *row, const char *value,
                        const char *where)
{
    struct kept *kept = arg;
    enum leat_setting_source source = leat_settings_source(kept->old, row->name);
    bool unless_set = source == LEAT_FROM_PROGRAM_UNLESS_SET &&
                      leat_settings_source(kept->fresh, row->name) == LEAT_FROM_DEFAULT;
    if (source == LEAT_FROM_COMMAND_LINE || source == LEAT_FROM_PROGRAM || unless_set)
        leat_settings_set(kept->fresh, row->name, value, source, where, NULL);
}

static void process_reload(struct process *self)
{
    struct leat_error err;
    struct leat_settings *fresh = leat_settings_new(self->program->tables);
    if ((self->config_path && !leat_settings_file(fresh, self->config_path, &err)) ||
        !leat_settings_environment(fresh, &err)) {
        leat_log(LEAT_ERR, process_name(self), "reload_refused", LEAT_S("reason", err.text));
        leat_settings_destroy(&fresh);
        return;
    }
    struct kept kept = {.old = self->settings, .fresh = fresh};
    leat_settings_each(self->settings, reload_keep, &kept);
    leat_settings_reload(self->settings, fresh, reload_ignored, self);
    leat_settings_destroy(&fresh);
    log_level(self->settings);
    char *dump = leat_settings_dump(self->settings);
    for (int i = 0; i < self->n; i++)
        unit_order(&self->units[i], LEAT_ORDER_RELOAD, dump);
    free(dump);
    leat_log(LEAT_INFO, process_name(self), "reloaded");
}

/* --- turning -------------------------------------------------------------------------------- */

static void process_signals(struct process *self)
{
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            process_reload(self);
        else if (self->draining)
            process_stop(self, "a second signal");
        else
            process_drain(self);
    }
}

static void process_tell_ready(struct process *self)
{
    char text[512];
    if (self->ready_told || self->draining || !leat_http_readiness(self->hosts, text, sizeof text))
        return;
    self->ready_told = true;
    leat_log(LEAT_INFO, process_name(self), "ready", LEAT_I("services", self->n));
    if (self->program->ready)
        self->program->ready(self->settings);
}

/* False when all services have ended. */
static bool process_turn(struct process *self)
{
    struct pollfd fds[] = {{.fd = self->signals, .events = POLLIN},
                           {.fd = self->wake, .events = POLLIN}};
    eventfd_t woken;
    poll(fds, 2, self->ready_told && !self->draining ? TURN_MS : STARTING_TURN_MS);
    eventfd_read(self->wake, &woken);
    process_signals(self);
    if (process_collect(self))
        return false;
    process_tell_ready(self);
    process_gauges_turn(&self->gauges, self->hosts);
    int64_t now = leat_monotonic_us();
    if (self->draining && !self->stopping && now > self->drain_until_us + 1000000)
        process_stop(self, "the drain's time is over");
    if (self->stopping && now > self->leave_at_us)
        process_leave(self);
    return true;
}

/* --- opening and closing -------------------------------------------------------------------- */

/* The first thing that a process opens, and before it says anything: a signal that comes sooner
 * ends it as it would any program, and there is nothing yet to drain. */
static bool process_open_signals(struct process *self, struct leat_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* for all threads: they are not started yet */
    signal(SIGPIPE, SIG_IGN);
    self->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return (self->signals >= 0 && self->wake >= 0) ||
           leat_fail(err, "cannot wait for signals: %s", strerror(errno));
}

/* Every connection is a descriptor. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Ours is NAME.http for a single service, run.http for several. An address that is taken is an
 * error only where somebody asked for it. */
static bool process_open_http(struct process *self, struct leat_error *err)
{
    char setting[64] = "run.http";
    if (self->n == 1)
        snprintf(setting, sizeof setting, "%s.http", self->units[0].host.name);
    if (!leat_settings_has(self->settings, setting))
        return true;
    const char *address = leat_settings_str(self->settings, setting);
    enum leat_http_failure failure;
    if (!address[0])
        return true;
    self->http = leat_http_open(address, setting, self->metrics, self->hosts, &failure, err);
    if (!self->http && failure == LEAT_HTTP_IN_USE &&
        leat_settings_source(self->settings, setting) == LEAT_FROM_DEFAULT) {
        leat_log(LEAT_WARN, process_name(self), "no_http", LEAT_S("reason", err->text));
        return true;
    }
    return self->http != NULL;
}

/* Which keys may connect to what this process binds. */
static const char *process_admits(const struct process *self)
{
    for (const struct leat_service *const *s = self->program->services; *s; s++)
        if ((*s)->admits)
            return (*s)->admits;
    return "services";
}

static bool process_open(struct process *self, struct leat_error *err)
{
    const struct leat_service *const *services = self->program->services;
    raise_descriptors();
    if (!process_open_signals(self, err) || !(self->metrics = leat_metrics_new(err)))
        return false;
    self->security = leat_security_open(self->settings, process_admits(self), err);
    if (!self->security)
        return false;
    process_gauges_open(&self->gauges, self->metrics, self->program);
    self->ground = (struct unit_ground){self->program,  leat_security_zmq(self->security),
                                        self->security, self->settings,
                                        self->metrics,  self->wake};
    for (; services[self->n]; self->n++) {
        struct unit *unit = &self->units[self->n];
        if (self->n == SERVICES_MAX)
            return leat_fail(err, "more than %d services", SERVICES_MAX);
        if (!unit_open(unit, services[self->n], &self->ground, err))
            return false;
        self->hosts[self->n] = &unit->host;
    }
    if (!process_open_http(self, err))
        return false;
    for (int i = 0; i < self->n; i++)
        if (!unit_start(&self->units[i], err))
            return false;
    return true;
}

static void *term_run(void *process)
{
    leat_security_close(&((struct process *)process)->security);
    return NULL;
}

/* Waits for what lingers, which is bounded everywhere; but a socket that somebody forgot to close
 * must not keep a process that has done its work. */
static void process_term_zmq(struct process *self)
{
    pthread_t thread;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TERM_S;
    if (!self->security || pthread_create(&thread, NULL, term_run, self) != 0)
        return;
    if (pthread_timedjoin_np(thread, NULL, &until) != 0) {
        leat_log(LEAT_ERR, process_name(self), "sockets_left_open");
        _exit((int)self->status);
    }
}

static void process_close(struct process *self)
{
    leat_http_close(&self->http);
    for (int i = 0; i < self->n; i++)
        unit_close(&self->units[i]);
    process_term_zmq(self);
    leat_metrics_destroy(&self->metrics);
    leat_settings_destroy(&self->settings);
    if (self->signals >= 0)
        close(self->signals);
    if (self->wake >= 0)
        close(self->wake);
}

int leat_process_run(const struct leat_program *program, struct leat_settings *settings,
                     const char *config_path)
{
    struct process *self = calloc(1, sizeof *self);
    struct leat_error err = {.text = "out of memory"};
    if (!self) {
        fprintf(stderr, "leat: out of memory\n");
        return LEAT_EXIT_FAILED;
    }
    *self = (struct process){.program = program,
                             .settings = settings,
                             .config_path = config_path,
                             .signals = -1,
                             .wake = -1};
    log_level(settings);
    if (!process_open(self, &err)) {
        leat_log(LEAT_ERR, process_name(self), "cannot_start", LEAT_S("reason", err.text));
        process_worse(self, LEAT_EXIT_FAILED);
        process_stop(self, "it could not start");
    }
    while (process_turn(self))
        ;
    process_close(self);
    int status = (int)self->status;
    leat_log(status == LEAT_EXIT_OK ? LEAT_INFO : LEAT_WARN, program->name, "ended",
             LEAT_I("status", status));
    free(self);
    return status;
}
