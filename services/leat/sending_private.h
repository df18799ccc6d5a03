/* The inside of a sending, shared by sending.c (what became of it), sending_text.c and
 * sending_series.c (what is in an input).
 *
 * Counts are of rows of the input: a text is one row, a block of a series has many. */
#ifndef LEAT_CLI_SENDING_PRIVATE_H
#define LEAT_CLI_SENDING_PRIVATE_H

#include "services/leat/positions.h"
#include "services/leat/progress.h"
#include "services/leat/rejects.h"
#include "services/leat/sending.h"

struct sending {
    const struct sending_options *options;
    struct sender *sender;
    struct positions positions;
    struct rejects rejects;
    struct progress progress;
    uint64_t rows;      /* in the input so far */
    uint64_t refused;   /* of them, here */
    uint64_t taken;     /* of them, in records that the sender took */
    uint64_t passed;    /* besides: rows of series that were only looked back on */
    uint64_t all_bytes; /* of all inputs; 0: not known */
    uint64_t past_bytes;
    const struct input *input; /* being read, or NULL */
    bool reading;              /* there are inputs left */
    struct leat_error trouble; /* the first thing that made it incomplete */
};

/* Sends a record that holds so many rows, the first of them at `line`. False when nothing more can
 * be sent: then its rows count as not read. */
bool sending_put(struct sending *self, uint32_t file, uint64_t line, uint64_t rows,
                 struct leat_span key, struct leat_span record, struct leat_error *err);

/* Counts rows, which were counted as read, as refused here. */
void sending_refuse(struct sending *self, uint32_t file, uint64_t line, uint64_t rows,
                    const char *code, const char *reason);

/* Says what made it incomplete; always false. */
bool sending_trouble(struct sending *self, const struct leat_error *err);

/* An input cannot be read on. False when nothing more can be sent either; `err` is told, or the
 * reason of that. */
bool sending_unreadable(struct sending *self, struct leat_error *err);

/* Lets the client work, as inputs ask while they wait. */
struct input_idle sending_idle(struct sending *self);

/* Sends what is in one input. False when nothing more can be sent. */
bool sending_text(struct sending *self, uint32_t file);
bool sending_series(struct sending *self, uint32_t file);

#endif
