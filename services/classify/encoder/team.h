/* A fixed number of threads that do one job together, and the caller is one of them. */
#ifndef LEAT_ENCODER_TEAM_H
#define LEAT_ENCODER_TEAM_H

#include "proto/error.h"

struct team;

/* Called on every thread of the team at once, `worker` from 0 (the caller's) on. */
typedef void team_job(void *context, unsigned worker);

struct team *team_open(unsigned threads, struct leat_error *err);
void team_close(struct team **self);

unsigned team_size(const struct team *self);

/* Runs the job; returns when all threads are through with it. One job at a time. */
void team_run(struct team *self, team_job *job, void *context);

#endif
