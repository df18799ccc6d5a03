#include "services/classify/quality.h"
#include "services/classify/tuning.h"

/* The cuts of the three-way figures. */
#define SENTIMENT_CUT 0.2

struct tally {
    struct tuning_counts labels[CARD_LABELS_MOST];
    struct tuning_counts reported[EMOTION_COUNT];
    struct tuning_counts sentiments[SENTIMENT_COUNT];
    size_t texts;
};

uint64_t quality_bits(uint64_t labels, const struct card *card)
{
    bool has[SENTIMENT_COUNT] = {0};
    for (unsigned l = 0; l < card->label_count; l++)
        if (labels >> l & 1)
            has[card->labels[l].sentiment] = true;
    has[SENTIMENT_NEUTRAL] = !has[SENTIMENT_POSITIVE] && !has[SENTIMENT_NEGATIVE];
    for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
        labels |= (uint64_t)has[s] << (card->label_count + s);
    return labels;
}

static void count(struct tuning_counts *counts, bool said, bool there)
{
    counts->said += said;
    counts->there += there;
    counts->hit += said && there;
}

static void add(struct tally *tally, const struct card *card, const float *label,
                const float *sentiment, uint64_t bits)
{
    bool said[EMOTION_COUNT] = {0};
    bool there[EMOTION_COUNT] = {0};
    for (unsigned l = 0; l < card->label_count; l++) {
        bool says = label[l] >= card->labels[l].threshold;
        bool has = bits >> l & 1;
        count(&tally->labels[l], says, has);
        said[card->labels[l].emotion] |= says;
        there[card->labels[l].emotion] |= has;
    }
    for (int e = 0; e < EMOTION_COUNT; e++)
        count(&tally->reported[e], said[e], there[e]);
    tally->texts++;

    uint64_t groups = bits >> card->label_count;
    bool positive = groups >> SENTIMENT_POSITIVE & 1;
    bool negative = groups >> SENTIMENT_NEGATIVE & 1;
    if (positive && negative)
        return;
    double score = sentiment_score((double)sentiment[SENTIMENT_POSITIVE],
                                   (double)sentiment[SENTIMENT_NEGATIVE]);
    enum sentiment found = sentiment_label(score, -SENTIMENT_CUT, SENTIMENT_CUT);
    for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
        count(&tally->sentiments[s], found == s, groups >> s & 1);
}

/* Sums up `size` counts: the mean of their F1, and all of them as one. What is neither there nor
 * said is no part of the mean. */
static double macro(const struct tuning_counts *counts, size_t size, struct tuning_counts *all)
{
    double sum = 0;
    size_t seen = 0;
    *all = (struct tuning_counts){0};
    for (size_t i = 0; i < size; i++) {
        sum += tuning_f1(&counts[i]);
        seen += counts[i].said + counts[i].there > 0;
        all->hit += counts[i].hit;
        all->said += counts[i].said;
        all->there += counts[i].there;
    }
    return seen ? sum / (double)seen : 0;
}

static void report(const struct tally *tally, struct card *card)
{
    struct tuning_counts all;
    struct card_quality *quality = &card->quality;
    quality->texts = (unsigned)tally->texts;
    quality->macro_f1 = (float)macro(tally->labels, card->label_count, &all);
    quality->micro_f1 = (float)tuning_f1(&all);
    quality->reported_macro_f1 = (float)macro(tally->reported, EMOTION_COUNT, &all);
    quality->sentiment_macro_f1 = (float)macro(tally->sentiments, SENTIMENT_COUNT, &all);
    /* One answer and one truth a text: what is hit is the accuracy. */
    quality->sentiment_accuracy = (float)tuning_recall(&all);
    for (unsigned l = 0; l < card->label_count; l++) {
        card->labels[l].precision = (float)tuning_precision(&tally->labels[l]);
        card->labels[l].recall = (float)tuning_recall(&tally->labels[l]);
        card->labels[l].f1 = (float)tuning_f1(&tally->labels[l]);
    }
}

void quality_of_probabilities(const float *probability, const uint64_t *bits, size_t texts,
                              struct card *card)
{
    struct tally tally = {0};
    for (size_t i = 0; i < texts; i++) {
        float label[CARD_LABELS_MOST];
        float sentiment[SENTIMENT_COUNT];
        float whole = 0;
        for (unsigned l = 0; l < card->label_count; l++)
            label[l] = probability[l * texts + i];
        for (unsigned s = 0; s < SENTIMENT_COUNT; s++)
            whole += sentiment[s] = probability[(card->label_count + s) * texts + i];
        for (unsigned s = 0; s < SENTIMENT_COUNT && whole > 0; s++)
            sentiment[s] /= whole;
        add(&tally, card, label, sentiment, bits[i]);
    }
    report(&tally, card);
}

bool quality_of_model(const struct linear *model, const struct examples *examples,
                      struct card *card, struct leat_error *err)
{
    struct linear_scratch *scratch = linear_scratch_open(model, err);
    if (!scratch)
        return false;
    struct tally tally = {0};
    for (size_t i = 0; i < examples->count; i++) {
        const struct example *example = &examples->items[i];
        struct linear_scores scores;
        linear_score(model, scratch, example->text, example->size, &scores);
        add(&tally, card, scores.label, scores.sentiment, quality_bits(example->labels, card));
    }
    report(&tally, card);
    linear_scratch_close(&scratch);
    return true;
}
