/* From a model's labels to what is reported: the reporting set of eight, and its distribution.
 * Pure functions on plain numbers; nothing here knows what kind of model gave them. */
#ifndef LEAT_CLASSIFY_EMOTION_H
#define LEAT_CLASSIFY_EMOTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The reporting set, in reporting order. */
enum emotion {
    EMOTION_ANGER,
    EMOTION_DISGUST,
    EMOTION_FEAR,
    EMOTION_JOY,
    EMOTION_SADNESS,
    EMOTION_SURPRISE,
    EMOTION_TRUST,
    EMOTION_NEUTRAL,
    EMOTION_COUNT
};

enum {
    EMOTION_WHOLE = 1000000,     /* micro-units that make 1 */
    EMOTION_LABEL_LEAST = 200000 /* a largest share below this is reported as neutral */
};

/* "anger" ... "neutral"; "" outside the set. */
const char *emotion_name(enum emotion emotion);

/* The member of that name, EMOTION_COUNT when there is none. */
enum emotion emotion_find(const char *name);

/* One label of the model that is in the text. */
struct emotion_found {
    unsigned label;       /* its number in the model's order */
    uint32_t probability; /* micro-units */
};

/* Lists the labels whose probability, rounded to micro-units, is at least their threshold (rounded
 * likewise), most probable first, equal ones in label order. `found` has room for `count` entries.
 * Returns how many there are; none is a possible answer. */
size_t emotion_list(const float *probability, const float *threshold, size_t count,
                    struct emotion_found *found);

/* Folds independent label probabilities into eight shares of EMOTION_WHOLE.
 *
 * Labels are not exclusive and differ a thousandfold in how common they are, so neither the largest
 * probability nor a plain sum says what stands out: "neutral" at 0.4 is an ordinary text, "grief"
 * at 0.2 is an alarming one. What makes labels comparable is how far each is from its own
 * threshold. Formula (o(p) = p / (1 - p)): evidence of a label e = o(p) / o(threshold), evidence of
 * a member = the sum of e over the labels that map to it, share = evidence / sum of all evidence.
 *
 * Ensures: 1. The eight shares sum to exactly EMOTION_WHOLE, whatever the input (also all zero:
 * then all of it is neutral): rounded down, the units left over go to the largest remainders, ties
 * in reporting order. 2. With one label alone at its threshold and the others far below, that
 * label's member is the largest. */
void emotion_distribution(const float *probability, const float *threshold,
                          const uint8_t *emotion_of, size_t count, uint32_t share[EMOTION_COUNT]);

/* The same for a model that chooses one label of all: a member's share is the sum of the
 * probabilities of the labels that map to it, divided by that of all labels that map to any. The
 * shares sum to exactly EMOTION_WHOLE here too. */
void emotion_fold(const float *probability, const uint8_t *emotion_of, size_t count,
                  uint32_t share[EMOTION_COUNT]);

/* The largest share's member, the first of equal ones; neutral when the largest is below
 * EMOTION_LABEL_LEAST. The score to report is that member's share, for neutral too. */
enum emotion emotion_label(const uint32_t share[EMOTION_COUNT]);

#endif
