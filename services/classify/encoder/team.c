#include "services/classify/encoder/team.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct member {
    struct team *team;
    pthread_t thread;
    unsigned worker;
};

struct team {
    pthread_mutex_t mutex;
    pthread_cond_t begin, end;
    unsigned threads;       /* the caller's included */
    struct member *members; /* threads - 1 */
    unsigned started;
    team_job *job; /* NULL: leave */
    void *context;
    unsigned long round; /* jobs so far */
    unsigned busy;       /* members that are not through with this round's */
};

static void *work(void *member_)
{
    struct member *member = member_;
    struct team *team = member->team;
    unsigned long seen = 0;
    pthread_mutex_lock(&team->mutex);
    for (;;) {
        while (team->round == seen)
            pthread_cond_wait(&team->begin, &team->mutex);
        seen = team->round;
        team_job *job = team->job;
        void *context = team->context;
        if (!job)
            break;
        pthread_mutex_unlock(&team->mutex);
        job(context, member->worker);
        pthread_mutex_lock(&team->mutex);
        if (--team->busy == 0)
            pthread_cond_signal(&team->end);
    }
    pthread_mutex_unlock(&team->mutex);
    return NULL;
}

struct team *team_open(unsigned threads, struct leat_error *err)
{
    struct team *self = calloc(1, sizeof *self);
    if (!self || !(self->members = calloc(threads, sizeof *self->members))) {
        free(self);
        leat_fail(err, "out of memory");
        return NULL;
    }
    pthread_mutex_init(&self->mutex, NULL);
    pthread_cond_init(&self->begin, NULL);
    pthread_cond_init(&self->end, NULL);
    self->threads = threads;
    sigset_t all, before; /* signals are for the threads that know what to do about them */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int failed = 0;
    for (; !failed && self->started + 1 < threads;) {
        struct member *member = &self->members[self->started];
        *member = (struct member){.team = self, .worker = self->started + 1};
        failed = pthread_create(&member->thread, NULL, work, member);
        self->started += !failed;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        leat_fail(err, "cannot start a thread: %s", strerror(failed));
        team_close(&self);
    }
    return self;
}

static void begin(struct team *self, team_job *job, void *context)
{
    pthread_mutex_lock(&self->mutex);
    self->job = job;
    self->context = context;
    self->busy = self->started;
    self->round++;
    pthread_cond_broadcast(&self->begin);
    pthread_mutex_unlock(&self->mutex);
}

void team_close(struct team **self_)
{
    struct team *self = *self_;
    if (!self)
        return;
    begin(self, NULL, NULL);
    for (unsigned i = 0; i < self->started; i++)
        pthread_join(self->members[i].thread, NULL);
    pthread_cond_destroy(&self->begin);
    pthread_cond_destroy(&self->end);
    pthread_mutex_destroy(&self->mutex);
    free(self->members);
    free(self);
    *self_ = NULL;
}

unsigned team_size(const struct team *self)
{
    return self->threads;
}

void team_run(struct team *self, team_job *job, void *context)
{
    begin(self, job, context);
    job(context, 0);
    pthread_mutex_lock(&self->mutex);
    while (self->busy > 0)
        pthread_cond_wait(&self->end, &self->mutex);
    pthread_mutex_unlock(&self->mutex);
}
