#include "services/classify/encoder/unigram.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0

/* A score as the reference has it. Its JSON reader (serde_json) takes the digits as an integer and
 * divides by a power of ten, which rounds twice for numbers of 17 digits; where two cuts of a piece
 * score the same, such a last bit decides. Files have the fewest digits that tell the number. */
static double score_read(const json_t *number)
{
    double exact = json_number_value(number);
    char text[32];
    int digits = 14; /* behind the point; of 15 in all or fewer nothing is rounded twice */
    do
        snprintf(text, sizeof text, "%.*e", digits, exact);
    while (strtod(text, NULL) != exact && ++digits < 17);
    char *mark = strchr(text, 'e');
    if (!mark || digits == 14)
        return exact;
    long power = strtol(mark + 1, NULL, 10) - digits;
    uint64_t significand = 0;
    for (const char *c = text; c < mark; c++)
        if (*c >= '0' && *c <= '9')
            significand = 10 * significand + (uint64_t)(*c - '0');
    if (power < -40 || power > 40)
        return exact; /* no score of a model */
    double value = power < 0 ? (double)significand / pow(10, (double)-power)
                             : (double)significand * pow(10, (double)power);
    return exact < 0 ? -value : value;
}

bool unigram_open(struct unigram *self, const struct trie *tokens, const struct spec *spec,
                  const struct spec_node *model, const struct spec_node *vocabulary)
{
    size_t count = json_array_size(vocabulary->json);
    long long unknown = -1;
    double least = INFINITY;
    *self = (struct unigram){.tokens = tokens};
    if (!spec_integer(spec, model, "unk_id", 0, (long long)count - 1, &unknown) ||
        !spec_bool(spec, model, "byte_fallback", &self->byte_fallback))
        return false;
    struct spec_node place = spec_member(model, "unk_id");
    if (unknown < 0)
        return spec_fail(spec, &place.place, "expected the number of the unknown token");
    self->unknown = (int32_t)unknown;
    self->scores = malloc((count + 1) * sizeof *self->scores);
    if (!self->scores)
        return spec_fail(spec, &model->place, "out of memory");
    for (size_t i = 0; i < count; i++) {
        self->scores[i] = score_read(json_array_get(json_array_get(vocabulary->json, i), 1));
        least = self->scores[i] < least ? self->scores[i] : least;
    }
    self->unknown_score = least - UNKNOWN_PENALTY;
    for (unsigned b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof name, "<0x%02X>", b);
        self->bytes[b] = trie_find(tokens, name, strlen(name));
    }
    return true;
}

void unigram_close(struct unigram *self)
{
    free(self->scores);
    self->scores = NULL;
}

void unigram_scratch_close(struct unigram_scratch *scratch)
{
    free(scratch->nodes);
    free(scratch->cuts.items);
    *scratch = (struct unigram_scratch){0};
}

static void offer(struct unigram_node *node, double score, size_t start, int32_t id)
{
    if (node->start == UINT32_MAX || score > node->score)
        *node = (struct unigram_node){.score = score, .start = (uint32_t)start, .id = id};
}

/* Fills nodes[1..size]; every character's end has a way to it then. */
static void paths(const struct unigram *self, struct unigram_node *nodes, const char *piece,
                  size_t size)
{
    const struct trie *tokens = self->tokens;
    nodes[0] = (struct unigram_node){.score = 0, .start = 0};
    for (size_t i = 1; i <= size; i++)
        nodes[i].start = UINT32_MAX;
    for (size_t at = 0; at < size;) {
        size_t step = utf8_size(piece[at]);
        bool covered = false;
        double here = nodes[at].score;
        int32_t node = TRIE_ROOT;
        for (size_t end = at; end < size;) {
            node = trie_step(tokens, node, piece[end++]);
            if (node < 0)
                break;
            int32_t id = tokens->nodes[node].value;
            if (id < 0)
                continue;
            offer(&nodes[end], here + self->scores[id], at, id);
            covered = covered || end - at == step;
        }
        if (!covered)
            offer(&nodes[at + step], here + self->unknown_score, at, self->unknown);
        at += step;
    }
}

/* The best way's cuts from the end to the beginning, unknown neighbours as one; their `size` is
 * the size of the cut. */
static bool cuts_read(const struct unigram *self, const struct unigram_node *nodes, size_t size,
                      struct spans *cuts)
{
    bool before = false;
    cuts->count = 0;
    for (size_t end = size; end > 0;) {
        size_t start = nodes[end].start;
        bool unknown = nodes[end].id == self->unknown;
        if (unknown && before) {
            struct span *last = &cuts->items[cuts->count - 1];
            last->size += last->start - (uint32_t)start;
            last->start = (uint32_t)start;
        } else if (!spans_add(cuts, start, end - start)) {
            return false;
        }
        before = unknown;
        end = start;
    }
    return true;
}

/* What no token stands for. */
static bool unknown_encode(const struct unigram *self, const char *text, size_t size,
                           struct ids *ids)
{
    bool spelled = self->byte_fallback;
    for (size_t i = 0; i < size && spelled; i++)
        spelled = self->bytes[(unsigned char)text[i]] >= 0;
    if (!spelled)
        return ids_add(ids, self->unknown);
    for (size_t i = 0; i < size; i++)
        if (!ids_add(ids, self->bytes[(unsigned char)text[i]]))
            return false;
    return true;
}

bool unigram_encode(const struct unigram *self, struct unigram_scratch *scratch, const char *piece,
                    size_t size, struct ids *ids)
{
    if (scratch->room <= size) {
        void *moved =
            strand_grow(scratch->nodes, &scratch->room, 0, size + 1, sizeof *scratch->nodes);
        if (!moved) {
            ids->failed = true;
            return false;
        }
        scratch->nodes = moved;
    }
    paths(self, scratch->nodes, piece, size);
    if (!cuts_read(self, scratch->nodes, size, &scratch->cuts)) {
        ids->failed = true;
        return false;
    }
    for (size_t i = scratch->cuts.count; i-- > 0;) {
        struct span cut = scratch->cuts.items[i];
        int32_t id = trie_find(self->tokens, piece + cut.start, cut.size);
        if (!(id >= 0 ? ids_add(ids, id) : unknown_encode(self, piece + cut.start, cut.size, ids)))
            return false;
    }
    return true;
}
