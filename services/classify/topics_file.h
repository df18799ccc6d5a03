/* The topic file: JSON, checked strictly, as plain tables for topics.c to compile.
 *
 *     {"topics": [
 *         {"key": "housing", "name": "Housing", "description": "Homes, rents …",
 *          "category": "society", "keywords": ["rent control", "mortgage", …]},
 *         {"key": "fuel", …, "keyword_groups": [{"or": ["petrol", "diesel"]}, {"and": […]}],
 *          "require_all_groups": false, "match": "start"}
 *     ]}
 *
 *   key          1-64 letters, digits, '_', '-', '.'; no two alike; what is stored with a text
 *   name         1-200 bytes, for people
 *   description  1-4000 bytes; "name description" is what an embedding model makes a vector of
 *   category     1-64 bytes, for reports
 *   keywords     1-500 strings; may be absent if there are groups, which replace the list
 *   keyword_groups      1-64 groups, each {"or": […]} or {"and": […]} with 1-500 strings
 *   require_all_groups  true or false (default); only with groups
 *   match        what counts as an occurrence of a keyword: "anywhere" (default), "start" (where a
 *                word starts: "elect" is in "electoral", not in "selection") or "whole"
 *
 * A keyword has 1-128 bytes, no white space around it or doubled inside, no control character, at
 * least one letter, digit or symbol, and no list has the same one twice (case folded). There are 1
 * to 10 000 topics, and the file has at most 4 MiB. Unknown keys and keys given twice are refused.
 */
#ifndef LEAT_CLASSIFY_TOPICS_FILE_H
#define LEAT_CLASSIFY_TOPICS_FILE_H

#include "proto/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOPICS_FILE_BYTES = 4 * 1024 * 1024,
    TOPICS_FILE_TOPICS = 10000,
    TOPICS_FILE_KEYWORDS = 500, /* in a list or group */
    TOPICS_FILE_GROUPS = 64,
    TOPICS_FILE_KEY_BYTES = 64,
    TOPICS_FILE_NAME_BYTES = 200,
    TOPICS_FILE_DESCRIPTION_BYTES = 4000,
    TOPICS_FILE_CATEGORY_BYTES = 64,
    TOPICS_FILE_KEYWORD_BYTES = 128,
};

enum topics_file_match { TOPICS_FILE_ANYWHERE, TOPICS_FILE_START, TOPICS_FILE_WHOLE };

enum topics_file_kind { TOPICS_FILE_PLAIN, TOPICS_FILE_OR, TOPICS_FILE_AND };

struct topics_file_keyword {
    size_t offset; /* in `folded` */
    size_t size;
};

/* A plain list or a group: keywords [first, first + count). */
struct topics_file_list {
    enum topics_file_kind kind;
    size_t first;
    size_t count;
};

/* Lists [first, first + count): one plain one, or groups only. */
struct topics_file_topic {
    const char *key;
    const char *name;
    const char *description;
    const char *category;
    enum topics_file_match match;
    bool require_all_groups;
    size_t first_list;
    size_t list_count;
};

struct topics_file {
    struct topics_file_topic *topics;
    size_t topic_count;
    struct topics_file_list *lists;
    size_t list_count;
    struct topics_file_keyword *keywords;
    size_t keyword_count;
    char *folded; /* bytes of all keywords, by words_fold */
    size_t folded_size;
    void *tree; /* owns the strings of the topics */
};

/* NULL on failure; the reason begins with `name`, line and place. */
struct topics_file *topics_file_parse(const char *json, size_t size, const char *name,
                                      struct leat_error *err);

/* Frees and sets to NULL; does nothing if it is NULL already. */
void topics_file_close(struct topics_file **self);

#endif
