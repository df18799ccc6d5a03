#include "services/classify/tuning.h"

#include <math.h>
#include <stdlib.h>

enum { NEWTON_STEPS = 100 };

/* Keeps a step finite where the curvature is nothing. */
#define RIDGE 1e-9
#define CLOSE 1e-10

static bool positive(const struct tuning_scores *scores, size_t i)
{
    return (scores->bits[i] & scores->mask) != 0;
}

static size_t count_positive(const struct tuning_scores *scores)
{
    size_t n = 0;
    for (size_t i = 0; i < scores->count; i++)
        n += positive(scores, i);
    return n;
}

/* ln(1 + exp(z)) without overflow. */
static double softplus(double z)
{
    return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
}

struct loss {
    double value;
    double slope, offset;          /* gradient */
    double slope2, mixed, offset2; /* curvature */
};

static struct loss measure(const struct tuning_scores *scores, struct tuning_line line,
                           const double target[2])
{
    struct loss loss = {0};
    for (size_t i = 0; i < scores->count; i++) {
        double s = (double)scores->score[i];
        double z = line.slope * s + line.offset;
        double t = target[positive(scores, i)];
        double p = 1 / (1 + exp(-z));
        double bend = p * (1 - p);
        loss.value += softplus(z) - t * z;
        loss.slope += (p - t) * s;
        loss.offset += p - t;
        loss.slope2 += bend * s * s;
        loss.mixed += bend * s;
        loss.offset2 += bend;
    }
    return loss;
}

struct tuning_line tuning_calibrate(const struct tuning_scores *scores)
{
    double yes = (double)count_positive(scores);
    double no = (double)scores->count - yes;
    const double target[2] = {1 / (no + 2), (yes + 1) / (yes + 2)};
    struct tuning_line line = {.slope = 1, .offset = log((yes + 1) / (no + 1))};
    struct loss loss = measure(scores, line, target);
    for (int step = 0; step < NEWTON_STEPS; step++) {
        double a = loss.slope2 + RIDGE;
        double b = loss.offset2 + RIDGE;
        double determinant = a * b - loss.mixed * loss.mixed;
        double by_slope = (b * loss.slope - loss.mixed * loss.offset) / determinant;
        double by_offset = (a * loss.offset - loss.mixed * loss.slope) / determinant;
        /* Halve the step until it is downhill; the loss is convex, so it is there in a few. */
        double length = 1;
        struct tuning_line tried;
        struct loss then;
        do {
            tried.slope = line.slope - length * by_slope;
            tried.offset = line.offset - length * by_offset;
            then = measure(scores, tried, target);
            length /= 2;
        } while (then.value > loss.value && length > CLOSE);
        bool there = !(loss.value - then.value > CLOSE * fabs(loss.value));
        if (then.value <= loss.value) {
            line = tried;
            loss = then;
        }
        if (there)
            break;
    }
    /* A score that tells nothing may come out with a slope of the wrong sign: then the prior. */
    if (!(line.slope > 0) || !isfinite(line.offset))
        line = (struct tuning_line){.slope = RIDGE, .offset = log((yes + 1) / (no + 1))};
    return line;
}

struct ranked {
    float score;
    bool positive;
};

static int higher_first(const void *a, const void *b)
{
    float x = ((const struct ranked *)a)->score;
    float y = ((const struct ranked *)b)->score;
    return (x < y) - (x > y);
}

static int lower_first(const void *a, const void *b)
{
    return -higher_first(&(struct ranked){.score = *(const float *)a},
                         &(struct ranked){.score = *(const float *)b});
}

/* splitmix64: a sequence of its own, so that nothing else in the program can change the outcome. */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* The best cut of one sample, in which text i occurs times[i] times: half-way between the last
 * score that is taken and the first that is not. */
static float best_cut(const struct ranked *ranked, const uint32_t *times, size_t count)
{
    size_t there = 0;
    for (size_t i = 0; i < count; i++)
        there += ranked[i].positive ? times[i] : 0;
    struct tuning_counts counts = {.there = there};
    double best = -1;
    size_t cut = 0;
    for (size_t i = 0; i < count; i++) {
        counts.said += times[i];
        counts.hit += ranked[i].positive ? times[i] : 0;
        bool tied = i + 1 < count && ranked[i + 1].score >= ranked[i].score;
        double f1 = tuning_f1(&counts);
        if (times[i] && !tied && f1 > best) {
            best = f1;
            cut = i;
        }
    }
    float last = ranked[cut].score;
    return cut + 1 < count ? last + (ranked[cut + 1].score - last) / 2 : last;
}

bool tuning_threshold(const struct tuning_scores *scores, float *threshold, struct leat_error *err)
{
    size_t count = scores->count;
    struct ranked *ranked = malloc(count * sizeof *ranked);
    uint32_t *times = malloc(count * sizeof *times);
    bool good = ranked && times;
    for (size_t i = 0; good && i < count; i++)
        ranked[i] = (struct ranked){scores->score[i], positive(scores, i)};
    if (good)
        qsort(ranked, count, sizeof *ranked, higher_first);
    float cuts[TUNING_SAMPLES];
    uint64_t state = 1;
    for (int sample = 0; good && sample < TUNING_SAMPLES; sample++) {
        for (size_t i = 0; i < count; i++)
            times[i] = 0;
        for (size_t i = 0; i < count; i++)
            times[draw(&state) % count]++;
        cuts[sample] = best_cut(ranked, times, count);
    }
    if (good) {
        qsort(cuts, TUNING_SAMPLES, sizeof *cuts, lower_first);
        *threshold = cuts[TUNING_SAMPLES / 2];
    }
    free(times);
    free(ranked);
    return good ? true : leat_fail(err, "out of memory for tuning");
}

/* Thresholds that are tried for a label: what it is, times GRID_STEP to the power of -GRID_REACH to
 * GRID_REACH, which is half to double. */
enum { REFINE_ROUNDS = 2, GRID_REACH = 14, GRID = 2 * GRID_REACH + 1 };
#define GRID_STEP      1.05f
#define THRESHOLD_MOST 0.95f

/* Texts in which a label of the group other than `label` is said, or is there. */
static void mark_others(const struct tuning_groups *self, const float *threshold, unsigned label,
                        uint8_t *said, uint64_t *mask)
{
    for (size_t i = 0; i < self->texts; i++)
        said[i] = 0;
    *mask = 0;
    for (unsigned l = 0; l < self->labels; l++) {
        if (self->group[l] != self->group[label])
            continue;
        *mask |= UINT64_C(1) << l;
        const float *probability = self->probability + l * self->texts;
        for (size_t i = 0; l != label && i < self->texts; i++)
            said[i] |= probability[i] >= threshold[l];
    }
}

/* Counts the decisions of the label and of its group at every threshold of the grid (rising). Slot
 * k of `at` gets the texts that reach threshold k and not the next; the sums from the top follow.
 */
static void count_grid(const struct tuning_groups *self, const float grid[GRID], unsigned label,
                       const uint8_t *said, uint64_t mask, struct tuning_counts of_label[GRID],
                       struct tuning_counts of_group[GRID])
{
    const float *probability = self->probability + label * self->texts;
    size_t label_there = 0, group_there = 0;
    struct tuning_counts others = {0};
    for (int k = 0; k < GRID; k++)
        of_label[k] = of_group[k] = (struct tuning_counts){0};
    for (size_t i = 0; i < self->texts; i++) {
        bool there = self->bits[i] >> label & 1;
        bool group = (self->bits[i] & mask) != 0;
        label_there += there;
        group_there += group;
        others.said += said[i];
        others.hit += said[i] && group;
        int k = GRID - 1;
        while (k >= 0 && probability[i] < grid[k])
            k--;
        if (k < 0)
            continue;
        of_label[k].said++;
        of_label[k].hit += there;
        of_group[k].said += !said[i];
        of_group[k].hit += !said[i] && group;
    }
    for (int k = GRID - 2; k >= 0; k--) {
        of_label[k].said += of_label[k + 1].said;
        of_label[k].hit += of_label[k + 1].hit;
        of_group[k].said += of_group[k + 1].said;
        of_group[k].hit += of_group[k + 1].hit;
    }
    for (int k = 0; k < GRID; k++) {
        of_label[k].there = label_there;
        of_group[k].there = group_there;
        of_group[k].said += others.said;
        of_group[k].hit += others.hit;
    }
}

static double worth(const struct tuning_groups *self, const struct tuning_counts *of_label,
                    const struct tuning_counts *of_group)
{
    return tuning_f1(of_label) / self->labels + tuning_f1(of_group) / self->groups;
}

static void refine_label(const struct tuning_groups *self, float *threshold, unsigned label,
                         uint8_t *said)
{
    uint64_t mask;
    mark_others(self, threshold, label, said, &mask);
    if (mask == UINT64_C(1) << label)
        return;
    float grid[GRID];
    grid[0] = threshold[label] / powf(GRID_STEP, GRID_REACH);
    for (int k = 1; k < GRID; k++)
        grid[k] = k == GRID_REACH ? threshold[label] : grid[k - 1] * GRID_STEP;
    struct tuning_counts of_label[GRID], of_group[GRID];
    count_grid(self, grid, label, said, mask, of_label, of_group);
    int best = GRID_REACH; /* what is as good as it is moves nothing */
    for (int k = 0; k < GRID; k++)
        if (grid[k] <= THRESHOLD_MOST &&
            worth(self, &of_label[k], &of_group[k]) > worth(self, &of_label[best], &of_group[best]))
            best = k;
    threshold[label] = grid[best];
}

bool tuning_refine(const struct tuning_groups *self, float *threshold, struct leat_error *err)
{
    uint8_t *said = malloc(self->texts);
    if (!said)
        return leat_fail(err, "out of memory for tuning");
    for (int round = 0; round < REFINE_ROUNDS; round++)
        for (unsigned label = 0; label < self->labels; label++)
            refine_label(self, threshold, label, said);
    free(said);
    return true;
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

double tuning_precision(const struct tuning_counts *counts)
{
    return share(counts->hit, counts->said);
}

double tuning_recall(const struct tuning_counts *counts)
{
    return share(counts->hit, counts->there);
}

double tuning_f1(const struct tuning_counts *counts)
{
    return share(2 * counts->hit, counts->said + counts->there);
}
