/* What labels that many models use stand for: a member of the reporting set, and a sentiment. */
#ifndef LEAT_CLASSIFY_MEANINGS_H
#define LEAT_CLASSIFY_MEANINGS_H

#include "services/classify/emotion.h"
#include "services/classify/sentiment.h"

/* EMOTION_COUNT or SENTIMENT_COUNT: it stands for none ("positive" is no emotion). */
struct meaning {
    uint8_t emotion, sentiment;
};

/* By the label's name in any case: the 28 labels of GoEmotions, Ekman's six, and the usual names of
 * sentiments ("positive", "neg", "4 stars"). False: the name says nothing ("LABEL_3"). */
bool meaning_find(const char *label, struct meaning *out);

#endif
