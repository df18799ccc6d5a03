#include "services/classify/emotion.h"

#include <math.h>
#include <string.h>

static const char *const names[EMOTION_COUNT] = {
    "anger", "disgust", "fear", "joy", "sadness", "surprise", "trust", "neutral",
};

/* Probabilities are taken as if inside this distance of 0 and 1, so that odds stay finite. */
#define EDGE 1e-6

const char *emotion_name(enum emotion emotion)
{
    return (unsigned)emotion < EMOTION_COUNT ? names[emotion] : "";
}

enum emotion emotion_find(const char *name)
{
    unsigned i = 0;
    while (i < EMOTION_COUNT && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static uint32_t micro(float probability)
{
    double scaled = rint((double)probability * EMOTION_WHOLE);
    if (!(scaled > 0))
        return 0;
    return scaled < EMOTION_WHOLE ? (uint32_t)scaled : EMOTION_WHOLE;
}

size_t emotion_list(const float *probability, const float *threshold, size_t count,
                    struct emotion_found *found)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t p = micro(probability[i]);
        if (p < micro(threshold[i]))
            continue;
        size_t at = size++;
        for (; at > 0 && found[at - 1].probability < p; at--)
            found[at] = found[at - 1];
        found[at] = (struct emotion_found){.label = (unsigned)i, .probability = p};
    }
    return size;
}

static double odds(float probability)
{
    double p = (double)probability;
    if (!(p > EDGE))
        p = EDGE;
    if (p > 1 - EDGE)
        p = 1 - EDGE;
    return p / (1 - p);
}

/* Turns evidence into shares of EMOTION_WHOLE by largest remainders. */
static void divide(const double evidence[EMOTION_COUNT], double all, uint32_t share[EMOTION_COUNT])
{
    double rest[EMOTION_COUNT];
    uint32_t given = 0;
    for (int e = 0; e < EMOTION_COUNT; e++) {
        double exact = evidence[e] / all * EMOTION_WHOLE;
        share[e] = (uint32_t)exact;
        rest[e] = exact - share[e];
        given += share[e];
    }
    /* Rounding may have made the floors add up to one too much: then the largest gives it back. */
    for (; given > EMOTION_WHOLE; given--) {
        int largest = 0;
        for (int e = 1; e < EMOTION_COUNT; e++)
            if (share[e] > share[largest])
                largest = e;
        share[largest]--;
    }
    for (; given < EMOTION_WHOLE; given++) {
        int next = 0;
        for (int e = 1; e < EMOTION_COUNT; e++)
            if (rest[e] > rest[next])
                next = e;
        share[next]++;
        rest[next] -= 1;
    }
}

/* All of it is neutral when there is nothing to share by. */
static void share_out(const double evidence[EMOTION_COUNT], double all,
                      uint32_t share[EMOTION_COUNT])
{
    if (all > 0) {
        divide(evidence, all, share);
        return;
    }
    memset(share, 0, EMOTION_COUNT * sizeof *share);
    share[EMOTION_NEUTRAL] = EMOTION_WHOLE;
}

void emotion_distribution(const float *probability, const float *threshold,
                          const uint8_t *emotion_of, size_t count, uint32_t share[EMOTION_COUNT])
{
    double evidence[EMOTION_COUNT] = {0};
    double all = 0;
    for (size_t i = 0; i < count; i++) {
        if (emotion_of[i] >= EMOTION_COUNT || micro(probability[i]) == 0)
            continue;
        double e = odds(probability[i]) / odds(threshold[i]);
        evidence[emotion_of[i]] += e;
        all += e;
    }
    share_out(evidence, all, share);
}

void emotion_fold(const float *probability, const uint8_t *emotion_of, size_t count,
                  uint32_t share[EMOTION_COUNT])
{
    double sum[EMOTION_COUNT] = {0};
    double all = 0;
    for (size_t i = 0; i < count; i++) {
        if (emotion_of[i] >= EMOTION_COUNT || !(probability[i] > 0))
            continue;
        sum[emotion_of[i]] += (double)probability[i];
        all += (double)probability[i];
    }
    share_out(sum, all, share);
}

enum emotion emotion_label(const uint32_t share[EMOTION_COUNT])
{
    unsigned largest = 0;
    for (unsigned e = 1; e < EMOTION_COUNT; e++)
        if (share[e] > share[largest])
            largest = e;
    return share[largest] < EMOTION_LABEL_LEAST ? EMOTION_NEUTRAL : (enum emotion)largest;
}
