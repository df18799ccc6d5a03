/* Sentiment: one score, and the label that follows from it alone. */
#ifndef LEAT_CLASSIFY_SENTIMENT_H
#define LEAT_CLASSIFY_SENTIMENT_H

#include <stdbool.h>

enum sentiment { SENTIMENT_POSITIVE, SENTIMENT_NEGATIVE, SENTIMENT_NEUTRAL, SENTIMENT_COUNT };

/* "positive", "negative", "neutral"; "" outside the set. */
const char *sentiment_name(enum sentiment sentiment);

/* The member of that name, SENTIMENT_COUNT when there is none. */
enum sentiment sentiment_find(const char *name);

/* P(positive) - P(negative), in [-1, 1], rounded to 6 decimals, never a negative zero. The label is
 * taken from this rounded value, the one that is stored, so nobody can find them at odds. */
double sentiment_score(double positive, double negative);

/* positive from `upper` on, negative down from `lower`, else neutral (lower < upper). */
enum sentiment sentiment_label(double score, double lower, double upper);

#endif
