/* The bytes of a file or of standard input, unpacked on the way when they are gzip. */
#ifndef LEAT_CLI_INPUT_H
#define LEAT_CLI_INPUT_H

#include "proto/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct input;

/* What goes on while an input is read (a pipe whose writer takes its time): called after 20 ms of
 * waiting, at the first read after 20 ms without a call, and after a signal. False: stop reading.
 */
struct input_idle {
    bool (*call)(void *arg); /* may be NULL: wait for as long as it takes */
    void *arg;
};

/* Opens a file ("-": standard input). Gzip is recognised by its first two bytes, whatever the name.
 * Fails for what is missing, may not be read, or is a directory. `idle` is copied; NULL: none. */
struct input *input_open(const char *path, const struct input_idle *idle, struct leat_error *err);
void input_close(struct input **self);

/* Reads 1 to `size` bytes as soon as there are any. 0: the end; -1: the reason is in err (a disk
 * error, gzip that is damaged or cut short), or the idle call said stop (then it is "stopped"). */
ssize_t input_read(struct input *self, void *to, size_t size, struct leat_error *err);

/* What to call it in messages: its path, or "standard input". */
const char *input_name(const struct input *self);

/* Bytes of the file that were read so far, packed as they are: for "percent done". */
uint64_t input_taken(const struct input *self);

/* True once the idle call said stop. */
bool input_stopped(const struct input *self);

#endif
