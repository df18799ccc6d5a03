#include "services/classify/meanings.h"

#include <strings.h>

static const struct {
    const char *label;
    struct meaning meaning;
} known[] = {
    {"admiration", {EMOTION_TRUST, SENTIMENT_POSITIVE}},
    {"amusement", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"anger", {EMOTION_ANGER, SENTIMENT_NEGATIVE}},
    {"annoyance", {EMOTION_ANGER, SENTIMENT_NEGATIVE}},
    {"approval", {EMOTION_TRUST, SENTIMENT_POSITIVE}},
    {"caring", {EMOTION_TRUST, SENTIMENT_POSITIVE}},
    {"confusion", {EMOTION_SURPRISE, SENTIMENT_NEUTRAL}},
    {"curiosity", {EMOTION_SURPRISE, SENTIMENT_NEUTRAL}},
    {"desire", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"disappointment", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"disapproval", {EMOTION_ANGER, SENTIMENT_NEGATIVE}},
    {"disgust", {EMOTION_DISGUST, SENTIMENT_NEGATIVE}},
    {"embarrassment", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"excitement", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"fear", {EMOTION_FEAR, SENTIMENT_NEGATIVE}},
    {"gratitude", {EMOTION_TRUST, SENTIMENT_POSITIVE}},
    {"grief", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"joy", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"love", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"nervousness", {EMOTION_FEAR, SENTIMENT_NEGATIVE}},
    {"neutral", {EMOTION_NEUTRAL, SENTIMENT_NEUTRAL}},
    {"optimism", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"pride", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"realization", {EMOTION_SURPRISE, SENTIMENT_NEUTRAL}},
    {"relief", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"remorse", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"sadness", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"surprise", {EMOTION_SURPRISE, SENTIMENT_NEUTRAL}},
    {"happiness", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"happy", {EMOTION_JOY, SENTIMENT_POSITIVE}},
    {"sad", {EMOTION_SADNESS, SENTIMENT_NEGATIVE}},
    {"angry", {EMOTION_ANGER, SENTIMENT_NEGATIVE}},
    {"trust", {EMOTION_TRUST, SENTIMENT_POSITIVE}},
    {"positive", {EMOTION_COUNT, SENTIMENT_POSITIVE}},
    {"pos", {EMOTION_COUNT, SENTIMENT_POSITIVE}},
    {"very positive", {EMOTION_COUNT, SENTIMENT_POSITIVE}},
    {"negative", {EMOTION_COUNT, SENTIMENT_NEGATIVE}},
    {"neg", {EMOTION_COUNT, SENTIMENT_NEGATIVE}},
    {"very negative", {EMOTION_COUNT, SENTIMENT_NEGATIVE}},
    {"neu", {EMOTION_COUNT, SENTIMENT_NEUTRAL}},
    {"mixed", {EMOTION_COUNT, SENTIMENT_NEUTRAL}},
    {"1 star", {EMOTION_COUNT, SENTIMENT_NEGATIVE}},
    {"2 stars", {EMOTION_COUNT, SENTIMENT_NEGATIVE}},
    {"3 stars", {EMOTION_COUNT, SENTIMENT_NEUTRAL}},
    {"4 stars", {EMOTION_COUNT, SENTIMENT_POSITIVE}},
    {"5 stars", {EMOTION_COUNT, SENTIMENT_POSITIVE}},
};

bool meaning_find(const char *label, struct meaning *out)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(known[i].label, label) == 0) {
            *out = known[i].meaning;
            return true;
        }
    return false;
}
