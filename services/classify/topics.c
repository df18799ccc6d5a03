#include "services/classify/topics.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "services/classify/automaton.h"
#include "services/classify/topics_file.h"
#include "services/classify/weights.h"
#include "services/classify/words.h"

/* How a keyword was found; SEEN_WHOLE implies the others. */
enum {
    SEEN = 1,
    SEEN_START = 2, /* at the start of a word */
    SEEN_WHOLE = 4,
};

/* One place of a keyword in a list. */
struct slot {
    uint32_t list;
    uint8_t need; /* which way of being found counts there */
};

/* Invariant: keyword k's places are slots[first_slot[k]] to slots[first_slot[k + 1] - 1]. */
struct topics {
    struct topics_options options;
    struct topics_file *file;
    struct automaton *automaton;
    uint32_t *topic_of_list;
    uint32_t *first_slot;
    struct slot *slots;
    uint64_t hash;
};

/* Invariant: between two texts `seen`, `tallies` and `touched` are all zero, so that a text costs
 * what it hits and not what the file holds. */
struct topics_scratch {
    char *folded;
    size_t folded_room;
    uint8_t *seen; /* by keyword */
    uint32_t *keywords;
    uint32_t keyword_count; /* seen ones, listed in `keywords` */
    struct tally {
        uint32_t whole, partial;
    } * tallies;      /* by list */
    uint8_t *touched; /* by topic */
    uint32_t *topics;
    uint32_t topic_count; /* touched ones, listed in `topics` */
};

/* What the callback of the automaton works on: the text as the automaton reads it. */
struct scan {
    struct topics_scratch *scratch;
    const char *text;
    size_t size;
};

void topics_options_init(struct topics_options *options)
{
    *options = (struct topics_options){
        .whole_value = 1.2,
        .partial_value = 1.0,
        .boost_above = 1,
        .boost_divisor = 8,
        .keyword_share = 0.4,
        .embedding_share = 0.6,
        .embedding_floor = 0.25,
        .agreement_factor = 1.15,
        .agreement_keyword_above = 0.15,
        .agreement_embedding_above = 0.25,
        .conviction_factor = 1.05,
        .conviction_keyword_above = 0.3,
        .conviction_embedding_above = 0.5,
        .keep_from = 0.2,
        .most = 5,
    };
}

bool topics_options_check(const struct topics_options *options, struct leat_error *err)
{
    const struct {
        const char *name;
        double value;
        double most;
    } numbers[] = {
        {"value of a whole match", options->whole_value, 100},
        {"value of a partial match", options->partial_value, 100},
        {"boost above", options->boost_above, 1000},
        {"boost divisor", options->boost_divisor, 1000},
        {"keyword share", options->keyword_share, 1},
        {"embedding share", options->embedding_share, 1},
        {"embedding floor", options->embedding_floor, 1},
        {"agreement factor", options->agreement_factor, 10},
        {"agreement keyword bound", options->agreement_keyword_above, 1},
        {"agreement embedding bound", options->agreement_embedding_above, 1},
        {"conviction factor", options->conviction_factor, 10},
        {"conviction keyword bound", options->conviction_keyword_above, 1},
        {"conviction embedding bound", options->conviction_embedding_above, 1},
        {"least confidence", options->keep_from, 1},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value <= numbers[i].most))
            return leat_fail(err, "%s: must be a number from 0 to %g", numbers[i].name,
                             numbers[i].most);
    if (options->boost_divisor == 0)
        return leat_fail(err, "boost divisor: must be above 0");
    if (options->most < 1 || options->most > TOPICS_MOST)
        return leat_fail(err, "most topics of a text: must be 1 to %d", TOPICS_MOST);
    return true;
}

/* Numbers every keyword of the file by the automaton's pattern, in `patterns`. */
static bool add_patterns(struct topics *self, uint32_t *patterns, const char *name,
                         struct leat_error *err)
{
    const struct topics_file *file = self->file;
    struct automaton_builder *builder = automaton_builder_open(err);
    bool good = builder != NULL;
    for (size_t i = 0; good && i < file->keyword_count; i++)
        good = automaton_builder_add(builder, file->folded + file->keywords[i].offset,
                                     file->keywords[i].size, &patterns[i], err);
    if (good)
        self->automaton = automaton_build(builder, err);
    automaton_builder_close(&builder);
    return self->automaton ? true : leat_fail_in(err, "%s", name);
}

/* Ensures: the invariant of struct topics, by counting the places of each keyword, then placing. */
static void place_slots(struct topics *self, const uint32_t *patterns)
{
    static const uint8_t needs[] = {
        [TOPICS_FILE_ANYWHERE] = SEEN,
        [TOPICS_FILE_START] = SEEN_START,
        [TOPICS_FILE_WHOLE] = SEEN_WHOLE,
    };
    const struct topics_file *file = self->file;
    uint32_t keywords = automaton_patterns(self->automaton);
    /* first_slot[k + 2] counts first; after the sums first_slot[k + 1] is where k's next goes, and
     * in the end where k + 1 begins. */
    for (size_t i = 0; i < file->keyword_count; i++)
        self->first_slot[patterns[i] + 2]++;
    for (uint32_t k = 0; k < keywords; k++)
        self->first_slot[k + 2] += self->first_slot[k + 1];

    for (size_t t = 0; t < file->topic_count; t++) {
        const struct topics_file_topic *topic = &file->topics[t];
        for (size_t l = topic->first_list; l < topic->first_list + topic->list_count; l++) {
            const struct topics_file_list *list = &file->lists[l];
            self->topic_of_list[l] = (uint32_t)t;
            for (size_t i = list->first; i < list->first + list->count; i++)
                self->slots[self->first_slot[patterns[i] + 1]++] =
                    (struct slot){.list = (uint32_t)l, .need = needs[topic->match]};
        }
    }
}

static bool compile(struct topics *self, const char *name, struct leat_error *err)
{
    const struct topics_file *file = self->file;
    uint32_t *patterns = calloc(file->keyword_count, sizeof *patterns);
    self->topic_of_list = calloc(file->list_count, sizeof *self->topic_of_list);
    self->first_slot = calloc(file->keyword_count + 2, sizeof *self->first_slot);
    self->slots = calloc(file->keyword_count, sizeof *self->slots);
    bool good = patterns && self->topic_of_list && self->first_slot && self->slots
                    ? add_patterns(self, patterns, name, err)
                    : leat_fail(err, "%s: out of memory", name);
    if (good)
        place_slots(self, patterns);
    free(patterns);
    return good;
}

struct topics *topics_parse(const char *json, size_t size, const char *name,
                            const struct topics_options *options, struct leat_error *err)
{
    struct topics *self = calloc(1, sizeof *self);
    if (!self) {
        leat_fail(err, "%s: out of memory", name);
        return NULL;
    }
    topics_options_init(&self->options);
    if (options)
        self->options = *options;
    self->hash = XXH3_64bits(json, size);
    self->file =
        topics_options_check(&self->options, err) ? topics_file_parse(json, size, name, err) : NULL;
    if (!self->file || !compile(self, name, err))
        topics_close(&self);
    return self;
}

/* The whole file, at most one byte more than is allowed (which the parser then refuses). */
static char *read_file(const char *path, size_t *size, struct leat_error *err)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        leat_fail(err, "%s: %s", path, strerror(errno));
        return NULL;
    }
    char *bytes = malloc(TOPICS_FILE_BYTES + 1);
    *size = bytes ? fread(bytes, 1, TOPICS_FILE_BYTES + 1, file) : 0;
    if (!bytes)
        leat_fail(err, "%s: out of memory", path);
    if (bytes && ferror(file)) {
        leat_fail(err, "%s: %s", path, strerror(errno));
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

struct topics *topics_open(const char *path, const struct topics_options *options,
                           struct leat_error *err)
{
    size_t size;
    char *bytes = read_file(path, &size, err);
    struct topics *self = bytes ? topics_parse(bytes, size, path, options, err) : NULL;
    free(bytes);
    return self;
}

void topics_close(struct topics **self)
{
    if (!*self)
        return;
    topics_file_close(&(*self)->file);
    automaton_close(&(*self)->automaton);
    free((*self)->topic_of_list);
    free((*self)->first_slot);
    free((*self)->slots);
    free(*self);
    *self = NULL;
}

size_t topics_count(const struct topics *self)
{
    return self->file->topic_count;
}

const char *topics_key(const struct topics *self, size_t index)
{
    return self->file->topics[index].key;
}

const char *topics_name(const struct topics *self, size_t index)
{
    return self->file->topics[index].name;
}

const char *topics_description(const struct topics *self, size_t index)
{
    return self->file->topics[index].description;
}

const char *topics_category(const struct topics *self, size_t index)
{
    return self->file->topics[index].category;
}

uint64_t topics_hash(const struct topics *self)
{
    return self->hash;
}

struct topics_scratch *topics_scratch_open(const struct topics *self)
{
    struct topics_scratch *scratch = calloc(1, sizeof *scratch);
    if (!scratch)
        return NULL;
    size_t keywords = automaton_patterns(self->automaton);
    scratch->seen = calloc(keywords, sizeof *scratch->seen);
    scratch->keywords = calloc(keywords, sizeof *scratch->keywords);
    scratch->tallies = calloc(self->file->list_count, sizeof *scratch->tallies);
    scratch->touched = calloc(self->file->topic_count, sizeof *scratch->touched);
    scratch->topics = calloc(self->file->topic_count, sizeof *scratch->topics);
    if (!scratch->seen || !scratch->keywords || !scratch->tallies || !scratch->touched ||
        !scratch->topics)
        topics_scratch_close(&scratch);
    return scratch;
}

void topics_scratch_close(struct topics_scratch **self)
{
    if (!*self)
        return;
    free((*self)->folded);
    free((*self)->seen);
    free((*self)->keywords);
    free((*self)->tallies);
    free((*self)->touched);
    free((*self)->topics);
    free(*self);
    *self = NULL;
}

static void found_keyword(void *context, uint32_t keyword, size_t start, size_t end)
{
    const struct scan *scan = context;
    struct topics_scratch *scratch = scan->scratch;
    uint8_t *seen = &scratch->seen[keyword];
    if (*seen & SEEN_WHOLE)
        return;
    if (!*seen)
        scratch->keywords[scratch->keyword_count++] = keyword;
    *seen |= SEEN;
    if (!words_boundary(scan->text, scan->size, start))
        return;
    *seen |= SEEN_START;
    if (words_boundary(scan->text, scan->size, end))
        *seen |= SEEN_WHOLE;
}

/* The automaton takes ASCII as it is. Anything else is folded first; should there be no memory for
 * that, capital letters outside ASCII are not found, and no more than that is lost. */
static struct scan prepare(struct topics_scratch *scratch, const char *text, size_t size)
{
    struct scan as_is = {scratch, text, size};
    if (words_ascii(text, size))
        return as_is;
    size_t room = size * WORDS_FOLD_GROWTH;
    if (room > scratch->folded_room) {
        char *moved = realloc(scratch->folded, room);
        if (!moved)
            return as_is;
        scratch->folded = moved;
        scratch->folded_room = room;
    }
    return (struct scan){scratch, scratch->folded, words_fold(text, size, scratch->folded)};
}

/* Turns the keywords seen into tallies of the lists that have them, and forgets them. */
static void tally_keywords(const struct topics *self, struct topics_scratch *scratch)
{
    for (uint32_t i = 0; i < scratch->keyword_count; i++) {
        uint32_t keyword = scratch->keywords[i];
        uint8_t seen = scratch->seen[keyword];
        scratch->seen[keyword] = 0;
        for (uint32_t s = self->first_slot[keyword]; s < self->first_slot[keyword + 1]; s++) {
            const struct slot *slot = &self->slots[s];
            if (!(seen & slot->need))
                continue;
            struct tally *tally = &scratch->tallies[slot->list];
            tally->whole += (seen & SEEN_WHOLE) != 0;
            tally->partial += !(seen & SEEN_WHOLE);
            uint32_t topic = self->topic_of_list[slot->list];
            if (!scratch->touched[topic]) {
                scratch->touched[topic] = 1;
                scratch->topics[scratch->topic_count++] = topic;
            }
        }
    }
    scratch->keyword_count = 0;
}

static double list_score(const struct topics_options *options, const struct topics_file_list *list,
                         const struct tally *tally)
{
    size_t hits = (size_t)tally->whole + tally->partial;
    double size = (double)list->count;
    if (list->kind == TOPICS_FILE_OR)
        return (double)hits / size;
    if (list->kind == TOPICS_FILE_AND)
        return hits == list->count ? 1 : 0;
    double mass = options->whole_value * tally->whole + options->partial_value * tally->partial;
    double score = fmin(mass / size, 1);
    if (mass > options->boost_above)
        score *= 1 + log(mass + 1) / options->boost_divisor;
    return fmin(score, 1);
}

/* k of a touched topic. */
static double keyword_score(const struct topics *self, const struct topics_scratch *scratch,
                            size_t topic_index)
{
    const struct topics_file_topic *topic = &self->file->topics[topic_index];
    double best = 0, sum = 0;
    bool all = true;
    for (size_t l = topic->first_list; l < topic->first_list + topic->list_count; l++) {
        double score = list_score(&self->options, &self->file->lists[l], &scratch->tallies[l]);
        best = fmax(best, score);
        sum += score;
        all = all && score > 0;
    }
    if (!topic->require_all_groups)
        return best;
    return all ? sum / (double)topic->list_count : 0;
}

/* c of a topic with embedding score e; 0 when it is to be skipped. */
static double combine(const struct topics_options *options, double k, double e)
{
    if (k == 0 && e < options->embedding_floor)
        return 0;
    double c = options->keyword_share * k + options->embedding_share * e;
    if (k > options->agreement_keyword_above && e > options->agreement_embedding_above)
        c = fmin(c * options->agreement_factor, 1);
    if (k > options->conviction_keyword_above || e > options->conviction_embedding_above)
        c = fmin(c * options->conviction_factor, 1);
    return fmin(c, 1);
}

static bool better(const struct topics_match *a, const struct topics_match *b)
{
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence;
    return strcmp(a->key, b->key) < 0;
}

/* Puts a match where it belongs among the best `most`; returns how many there are then. */
static size_t keep(struct topics_match *matches, size_t count, size_t most,
                   const struct topics_match *match)
{
    size_t at = count;
    while (at > 0 && better(match, &matches[at - 1]))
        at--;
    if (at == most)
        return count;
    size_t after = count < most ? count + 1 : most;
    memmove(&matches[at + 1], &matches[at], (after - at - 1) * sizeof *matches);
    matches[at] = *match;
    return after;
}

size_t topics_score(const struct topics *self, struct topics_scratch *scratch, const char *text,
                    size_t size, const float *embedding_scores,
                    struct topics_match matches[TOPICS_MOST])
{
    const struct topics_options *options = &self->options;
    struct scan scan = prepare(scratch, text, size);
    automaton_scan(self->automaton, scan.text, scan.size, found_keyword, &scan);
    tally_keywords(self, scratch);

    /* With embedding scores every topic may be one, without only those that a keyword touched. */
    size_t candidates = embedding_scores ? self->file->topic_count : scratch->topic_count;
    size_t count = 0;
    for (size_t i = 0; i < candidates; i++) {
        size_t topic = embedding_scores ? i : scratch->topics[i];
        double k = scratch->touched[topic] ? keyword_score(self, scratch, topic) : 0;
        /* fmax drops NaN. */
        double e = embedding_scores ? fmin(fmax(embedding_scores[topic], 0), 1) : 0;
        double c = embedding_scores ? combine(options, k, e) : k;
        if (c == 0 || c < options->keep_from)
            continue;
        struct topics_match match = {
            .key = self->file->topics[topic].key,
            .confidence = weights_round(c, 3),
            .keyword_score = weights_round(k, 3),
            .embedding_score = weights_round(e, 3),
            .index = topic,
        };
        count = keep(matches, count, options->most, &match);
    }

    for (uint32_t i = 0; i < scratch->topic_count; i++) {
        const struct topics_file_topic *topic = &self->file->topics[scratch->topics[i]];
        memset(&scratch->tallies[topic->first_list], 0,
               topic->list_count * sizeof *scratch->tallies);
        scratch->touched[scratch->topics[i]] = 0;
    }
    scratch->topic_count = 0;
    return count;
}
