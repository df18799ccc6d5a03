#include "services/classify/sentiment.h"

#include <math.h>
#include <string.h>

static const char *const names[SENTIMENT_COUNT] = {"positive", "negative", "neutral"};

const char *sentiment_name(enum sentiment sentiment)
{
    return (unsigned)sentiment < SENTIMENT_COUNT ? names[sentiment] : "";
}

enum sentiment sentiment_find(const char *name)
{
    unsigned i = 0;
    while (i < SENTIMENT_COUNT && strcmp(names[i], name) != 0)
        i++;
    return i;
}

double sentiment_score(double positive, double negative)
{
    double score = rint((positive - negative) * 1e6) / 1e6;
    if (score > 1)
        return 1;
    if (score < -1)
        return -1;
    return score == 0 ? 0 : score; /* -0 becomes 0 */
}

enum sentiment sentiment_label(double score, double lower, double upper)
{
    if (score >= upper)
        return SENTIMENT_POSITIVE;
    if (score <= lower)
        return SENTIMENT_NEGATIVE;
    return SENTIMENT_NEUTRAL;
}
