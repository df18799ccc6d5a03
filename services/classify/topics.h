/* Which public affairs a text is about: keywords of all topics found in one pass, scored.
 *
 * What counts as found. Text and keywords are case-folded (words.h); a keyword is found wherever
 * its bytes occur. It is found *whole* if both ends of an occurrence are word boundaries (words.h
 * says which), else *partial*. A keyword is found once or not at all, however often it occurs, and
 * one whole occurrence beats any number of partial ones. A keyword that several topics share serves
 * all of them.
 *
 * Keyword score k of a topic with a plain list of n keywords (services/README.md):
 *     m = whole_value x (keywords found whole) + partial_value x (keywords found in part)
 *     k = min(m / n, 1);  if m > 1:  k = min(k x (1 + ln(m + 1) / 8), 1)
 * With groups, these replace the list: an `or` group's score is (keywords found) / (its keywords),
 * an `and` group's is 1 if all were found, else 0. With require_all_groups k is the mean of the
 * groups' scores, but 0 unless every group has a score above 0; without, k is the largest.
 *
 * Confidence c: without embedding scores c = k. With them (e = the topic's, clamped to [0, 1]):
 * a topic with k = 0 and e < 0.25 is skipped; c = 0.4 k + 0.6 e; x 1.15 if k > 0.15 and e > 0.25;
 * x 1.05 if k > 0.3 or e > 0.5; never above 1 after either step. Topics with c >= 0.2 are kept,
 * best first, equal ones by key, at most 5. Comparisons use unrounded numbers.
 *
 * A struct topics is read-only once open and may be shared by threads; scratch is one a thread. */
#ifndef LEAT_CLASSIFY_TOPICS_H
#define LEAT_CLASSIFY_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

enum {
    TOPICS_MOST = 16, /* the highest value of options.most */
};

/* The numbers of the formulas above; topics_options_init fills in those values. */
struct topics_options {
    double whole_value;                /* 1.2 */
    double partial_value;              /* 1.0 */
    double boost_above;                /* 1: m above this is boosted ... */
    double boost_divisor;              /* 8: ... by 1 + ln(m + 1) / this */
    double keyword_share;              /* 0.4 */
    double embedding_share;            /* 0.6 */
    double embedding_floor;            /* 0.25: e below this alone is nothing */
    double agreement_factor;           /* 1.15, if both ... */
    double agreement_keyword_above;    /* 0.15 ... */
    double agreement_embedding_above;  /* ... and 0.25 */
    double conviction_factor;          /* 1.05, if one of ... */
    double conviction_keyword_above;   /* 0.3 ... */
    double conviction_embedding_above; /* ... or 0.5 */
    double keep_from;                  /* 0.2 */
    size_t most;                       /* 5; 1 to TOPICS_MOST */
};

void topics_options_init(struct topics_options *options);

/* Whether the numbers make sense (finite, not negative, divisor above 0, `most` in range). */
bool topics_options_check(const struct topics_options *options, struct leat_error *err);

/* One topic of a text. `key` belongs to the struct topics; the numbers have 3 decimals. */
struct topics_match {
    const char *key;
    double confidence;
    double keyword_score;
    double embedding_score; /* 0 without embedding scores */
    size_t index;           /* of the topic, in the order of the file */
};

struct topics;
struct topics_scratch;

/* Reads, checks and compiles a topic file (topics_file.h describes it). NULL on failure, with a
 * reason that names the place: "topics.json: line 12: topics[3].keywords[2]: must be …".
 * `options` NULL means the defaults; they are copied. */
struct topics *topics_open(const char *path, const struct topics_options *options,
                           struct leat_error *err);

/* The same from memory; `name` stands for the path in reasons. */
struct topics *topics_parse(const char *json, size_t size, const char *name,
                            const struct topics_options *options, struct leat_error *err);

/* Frees and sets to NULL; does nothing if it is NULL already. */
void topics_close(struct topics **self);

/* How many topics there are, and what the file says of topic `index` (0 to count - 1). The strings
 * belong to `self`. An embedding model's vector of a topic is that of "name description". */
size_t topics_count(const struct topics *self);
const char *topics_key(const struct topics *self, size_t index);
const char *topics_name(const struct topics *self, size_t index);
const char *topics_description(const struct topics *self, size_t index);
const char *topics_category(const struct topics *self, size_t index);

/* XXH3 (64 bits) of the file's bytes: what the cache's fingerprint takes in of it. The options are
 * the caller's to add. */
uint64_t topics_hash(const struct topics *self);

/* Room to score texts in: made once, used for every text, grows only for a text (of other than
 * ASCII) longer than any before. NULL when memory is out. */
struct topics_scratch *topics_scratch_open(const struct topics *self);
void topics_scratch_close(struct topics_scratch **self);

/* Scores a text (UTF-8; bytes that are not are passed over). `embedding_scores` is NULL or holds
 * one cosine for every topic, in the order of the file. Writes the topics kept, best first, to
 * `matches` and returns their number: at most options.most, so TOPICS_MOST always has room. */
size_t topics_score(const struct topics *self, struct topics_scratch *scratch, const char *text,
                    size_t size, const float *embedding_scores,
                    struct topics_match matches[TOPICS_MOST]);

#endif
