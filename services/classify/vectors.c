#include "services/classify/vectors.h"
#include "services/classify/linear.h"

#include <linear.h>
#include <math.h>
#include <stdlib.h>

size_t vectors_width(const struct features_shape *shape)
{
    return ((size_t)1 << shape->bits[FEATURES_WORDS]) + ((size_t)1 << shape->bits[FEATURES_GRAMS]) +
           1;
}

/* Counts, for every row of a table, the texts that have it. */
static void count_texts(struct features *features, const struct examples *examples,
                        uint32_t *const texts[FEATURES_FAMILIES])
{
    for (size_t i = 0; i < examples->count; i++) {
        struct features_list list[FEATURES_FAMILIES];
        features_extract(features, examples->items[i].text, examples->items[i].size, list);
        for (int f = 0; f < FEATURES_FAMILIES; f++)
            for (size_t k = 0; k < list[f].size; k++)
                texts[f][list[f].items[k].row]++;
    }
}

bool vectors_idf(const struct examples *examples, const struct features_shape *shape,
                 uint8_t *const idf[FEATURES_FAMILIES], struct leat_error *err)
{
    struct features *features = features_open(shape, err);
    if (!features)
        return false;
    uint32_t *texts[FEATURES_FAMILIES];
    bool good = true;
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        texts[f] = calloc((size_t)1 << shape->bits[f], sizeof *texts[f]);
        good = good && texts[f];
    }
    if (good) {
        count_texts(features, examples, texts);
        double n = (double)examples->count;
        double most = log(1 + n) + 1;
        for (int f = 0; f < FEATURES_FAMILIES; f++)
            for (size_t row = 0; row < (size_t)1 << shape->bits[f]; row++)
                idf[f][row] =
                    (uint8_t)lrint((log((1 + n) / (1 + texts[f][row])) + 1) / most * UINT8_MAX);
    } else {
        leat_fail(err, "out of memory for document frequencies");
    }
    for (int f = 0; f < FEATURES_FAMILIES; f++)
        free(texts[f]);
    features_close(&features);
    return good;
}

/* Room for vectors grows by doubling; rows are offsets until all is there. */
struct growing {
    struct feature_node *nodes;
    size_t size, room;
};

static bool reserve(struct growing *grow, size_t more)
{
    if (grow->size + more <= grow->room)
        return true;
    size_t room = 2 * (grow->size + more);
    struct feature_node *nodes = realloc(grow->nodes, room * sizeof *nodes);
    if (!nodes)
        return false;
    grow->nodes = nodes;
    grow->room = room;
    return true;
}

static bool append(struct growing *grow, const struct features_list list[FEATURES_FAMILIES],
                   const struct features_shape *shape, uint8_t *const idf[FEATURES_FAMILIES],
                   const uint8_t tf[LINEAR_TF_CODES], int16_t *x)
{
    size_t first = 1;
    if (!reserve(grow, list[FEATURES_WORDS].size + list[FEATURES_GRAMS].size + 2))
        return false;
    for (int f = 0; f < FEATURES_FAMILIES; f++) {
        linear_vector(&list[f], idf[f], 1, tf, x);
        for (size_t k = 0; k < list[f].size; k++)
            grow->nodes[grow->size++] = (struct feature_node){
                .index = (int)(first + list[f].items[k].row), .value = (double)x[k] / LINEAR_UNIT};
        first += (size_t)1 << shape->bits[f];
    }
    grow->nodes[grow->size++] = (struct feature_node){.index = (int)first, .value = 1};
    grow->nodes[grow->size++] = (struct feature_node){.index = -1};
    return true;
}

static bool append_all(struct growing *grow, struct features *features,
                       const struct examples *examples, const struct features_shape *shape,
                       uint8_t *const idf[FEATURES_FAMILIES], int16_t *x, size_t *starts)
{
    uint8_t tf[LINEAR_TF_CODES];
    linear_tf(tf);
    for (size_t i = 0; i < examples->count; i++) {
        struct features_list list[FEATURES_FAMILIES];
        features_extract(features, examples->items[i].text, examples->items[i].size, list);
        starts[i] = grow->size;
        if (!append(grow, list, shape, idf, tf, x))
            return false;
    }
    return true;
}

bool vectors_build(const struct examples *examples, const struct features_shape *shape,
                   uint8_t *const idf[FEATURES_FAMILIES], struct vectors *vectors,
                   struct leat_error *err)
{
    *vectors = (struct vectors){.count = examples->count};
    struct features *features = features_open(shape, err);
    if (!features)
        return false;
    struct growing grow = {0};
    int16_t *x = malloc(features_room(shape) * sizeof *x);
    size_t *starts = malloc(examples->count * sizeof *starts);
    vectors->rows = malloc(examples->count * sizeof *vectors->rows);
    bool good = x && starts && vectors->rows &&
                append_all(&grow, features, examples, shape, idf, x, starts);
    for (size_t i = 0; good && i < examples->count; i++)
        vectors->rows[i] = grow.nodes + starts[i];
    vectors->nodes = grow.nodes;
    vectors->size = grow.size;
    free(starts);
    free(x);
    features_close(&features);
    if (!good) {
        vectors_close(vectors);
        return leat_fail(err, "out of memory for the vectors of %zu texts", examples->count);
    }
    return true;
}

void vectors_close(struct vectors *vectors)
{
    free(vectors->nodes);
    free(vectors->rows);
    *vectors = (struct vectors){0};
}
