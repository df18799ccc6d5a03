/* Fuzz targets: each takes any bytes, gives them to one reader of outside input, and checks what
 * that reader promises of what it took. A promise that does not hold ends the process, as does
 * whatever the sanitizers find.
 *
 * The same targets run in two programs: libfuzzer.c (make fuzz: clang looks for inputs) and
 * corpus.c (make test: every input of tests/fuzz/corpus once, any compiler). */
#ifndef LEAT_TESTS_FUZZ_H
#define LEAT_TESTS_FUZZ_H

#include "proto/wire.h"
#include "services/flows/flow.h"

#include <stdbool.h>

struct fuzz_target {
    const char *name; /* also of its folder in tests/fuzz/corpus; NULL ends the table */
    void (*run)(struct leat_span input);
};

extern const struct fuzz_target fuzz_targets[];

/* NULL: there is none of that name. */
const struct fuzz_target *fuzz_target_find(const char *name);

#define FUZZ_CHECK(promise) ((promise) ? (void)0 : fuzz_broken(#promise, __FILE__, __LINE__))
_Noreturn void fuzz_broken(const char *promise, const char *file, int line);

/* Path of a file that holds these bytes, in memory; it is there until the same place (0 to 3) is
 * asked for again. */
const char *fuzz_file(unsigned place, struct leat_span bytes);

/* An empty folder in memory (as far as the machine has one), the same each time, made empty again;
 * it goes with the process. */
const char *fuzz_folder(void);

/* Takes bytes off the beginning of an input: what is not there any more reads as zeros. */
uint8_t fuzz_u8(struct leat_span *input);
uint16_t fuzz_u16(struct leat_span *input);
uint64_t fuzz_u64(struct leat_span *input);
struct leat_span fuzz_bytes(struct leat_span *input, size_t most);

bool fuzz_same(struct leat_span a, struct leat_span b);

/* All settings at their defaults, and the limits of records that follow. */
struct leat_settings *fuzz_settings_default(void);
struct leat_flow_limits fuzz_limits(void);

/* A string's bytes, and a packed buffer's. */
struct leat_span fuzz_text(const char *text);
struct leat_span fuzz_packed(const msgpack_sbuffer *buffer);

#endif
