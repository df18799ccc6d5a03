#include "services/leat/format.h"

#include <string.h>
#include <strings.h>

enum { PEEK = 8192 }; /* bytes that tell the format */

/* By what stands behind the last dot, a ".gz" left aside. */
static enum reader_format by_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[256];
    strncpy(name, slash ? slash + 1 : path, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char *dot = strrchr(name, '.');
    if (dot && strcasecmp(dot, ".gz") == 0) {
        *dot = '\0';
        dot = strrchr(name, '.');
    }
    enum reader_format format = READER_AUTO;
    if (dot)
        reader_format_parse(dot + 1, &format);
    return format;
}

/* The first byte that says something. */
static uint8_t first_byte(struct leat_span head)
{
    for (size_t i = 0; i < head.size; i++)
        if (!strchr(" \t\r\n", head.data[i]))
            return head.data[i];
    return 0;
}

static enum reader_format by_content(struct leat_span head)
{
    if (first_byte(head) == '{')
        return READER_NDJSON;
    const uint8_t *newline = memchr(head.data, '\n', head.size);
    size_t length = newline ? (size_t)(newline - head.data) : head.size;
    return memchr(head.data, '\t', length) ? READER_TSV : READER_CSV;
}

/* What is certainly none of the formats is refused whole, not line by line. */
static bool refuse_foreign(const char *name, enum reader_format format, struct leat_span head,
                           struct leat_error *err)
{
    if (head.size >= 2 &&
        (memcmp(head.data, "\xff\xfe", 2) == 0 || memcmp(head.data, "\xfe\xff", 2) == 0))
        return leat_fail(err, "%s is UTF-16; make it UTF-8 first: iconv -f UTF-16 -t UTF-8", name);
    const uint8_t *nul = memchr(head.data, 0, head.size);
    if (nul && format == READER_AUTO)
        return leat_fail(err, "%s is binary (byte %zu is NUL), not NDJSON, CSV or TSV", name,
                         (size_t)(nul - head.data) + 1);
    return true;
}

bool format_find(struct lines *lines, const char *name, enum reader_format given,
                 enum reader_format *out, struct leat_error *err)
{
    struct leat_span head;
    if (!lines_peek(lines, PEEK, &head, err))
        return false;
    enum reader_format format = given == READER_AUTO ? by_name(name) : given;
    if (!refuse_foreign(name, format, head, err))
        return false;
    if (head.size >= 3 && memcmp(head.data, "\xef\xbb\xbf", 3) == 0) {
        head.data += 3;
        head.size -= 3;
    }
    /* A name that ends in .json is usually one JSON text, not one a line. */
    const char *dot = strrchr(name, '.');
    bool lines_meant =
        given == READER_NDJSON || (format == READER_NDJSON && dot && strcasecmp(dot, ".json") != 0);
    if (!lines_meant && (format == READER_AUTO || format == READER_NDJSON) &&
        first_byte(head) == '[')
        return leat_fail(err,
                         "%s is one JSON array; Leat reads one object a line: jq -c '.[]' makes "
                         "that of it",
                         name);
    *out = format == READER_AUTO ? by_content(head) : format;
    return true;
}
