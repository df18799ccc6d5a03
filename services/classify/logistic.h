/* Logistic regressions over vectors: many at once, on a few threads, by liblinear. */
#ifndef LEAT_CLASSIFY_LOGISTIC_H
#define LEAT_CLASSIFY_LOGISTIC_H

#include "proto/error.h"
#include "services/classify/vectors.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOGISTIC_THREADS_MOST = 16 };

/* One regression: which vectors are positive, which are left out, how it is regularised. */
struct logistic_task {
    uint64_t mask;   /* positive: the vector's bits meet the mask */
    double c;        /* liblinear's C */
    double balance;  /* class weights (n / (2 n_class)) ^ balance: 0 none, 1 balanced */
    unsigned fold;   /* vectors i with i % folds == fold are left out; fold >= folds: none is */
    float *weights;  /* out, width numbers, the bias last; NULL: not wanted */
    float *held_out; /* out, [i] for the vectors that were left out; NULL: not wanted */
};

struct logistic {
    const struct vectors *vectors;
    const uint64_t *bits; /* by vector */
    size_t width;         /* of a vector with the constant */
    unsigned folds;
    unsigned threads; /* 1 to LOGISTIC_THREADS_MOST */
};

/* Called from logistic_run's own thread, after each task and about once a second. */
typedef void logistic_progress(void *context, size_t done, size_t all);

/* Solves all tasks, columns scaled by what they tell of the task (contrast.h); the weights that
 * come out are for unscaled ones. The result does not depend on threads or their order: each task
 * is a convex problem of its own, solved by the same steps (L2-regularised logistic loss,
 * trust-region Newton).
 */
bool logistic_run(const struct logistic *self, const struct logistic_task *tasks, size_t count,
                  logistic_progress *progress, void *context, struct leat_error *err);

#endif
