/* A batch that is with a child: whole, or in parts when it has killed one. Private to the runtime.
 *
 * A part is the whole batch with placeholders for the records that are not to be worked on, so that
 * indices, versions and the count stay what they are. */
#ifndef LEAT_CHILD_JOB_H
#define LEAT_CHILD_JOB_H

#include "services/runtime/child.h"

enum job_state { JOB_WAITING, JOB_SENT, JOB_DONE };

struct job_range {
    uint32_t from, to; /* records from ≤ i < to */
};

struct job {
    enum job_state state;
    struct leat_batch *batch;
    struct leat_span frame; /* the batch as it came */
    bool in_parts;
    struct job_range ranges[34]; /* still to be done, the next one last */
    int n_ranges;
    int deaths, timeouts; /* of children over this batch */
    struct leat_done done;
};

/* Takes the batch over. */
void job_start(struct job *self, struct leat_batch *batch, struct leat_span frame);

/* What to send to the child next. *owned: to be freed when it is sent, or NULL when the bytes are
 * the batch's. false: nothing is left to send, the job is done. */
bool job_request(struct job *self, struct leat_span *bytes, void **owned);

/* The child's answer to the last request. Takes `memory` over, in which `items` are. */
void job_answer(struct job *self, enum leat_verdict verdict, struct leat_span items,
                uint8_t *memory);

/* The child ended over the last request. Returns the index of the record that is to blame (it has
 * got its error), or -1 when the batch must be tried in smaller parts. */
int64_t job_death(struct job *self, const char *stage, bool timeout, const char *how);

/* The child ended over something else: the job is to be given again, and alone. */
void job_again(struct job *self);

/* Frees what the job still owns. */
void job_forget(struct job *self);

#endif
