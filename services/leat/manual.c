#include "services/leat/manual.h"

#include <ctype.h>
#include <string.h>

enum {
    BODY = 7,    /* column of the text, as in man pages */
    DEEPER = 14, /* of an option's help */
    WORD_MAX = 40,
};

static void heading(const struct render *to, const char *title)
{
    render_style(to, RENDER_BOLD);
    for (; *title; title++)
        fputc(toupper((unsigned char)*title), to->out);
    render_style(to, RENDER_PLAIN);
    fputc('\n', to->out);
}

/* One paragraph, or one line that is meant as it is. */
static void write_block(const struct render *to, const char *text, size_t size, int indent)
{
    fprintf(to->out, "%*s", indent, "");
    if (text[0] == ' ')
        fprintf(to->out, "%.*s\n", (int)(size - 2), text + 2);
    else
        render_wrap(to, (struct leat_span){(const uint8_t *)text, size}, indent);
}

/* Lines that belong together are joined and wrapped anew. */
static void write_text(const struct render *to, const char *text, int indent)
{
    while (*text) {
        if (*text == '\n') {
            fputc('\n', to->out);
            text++;
            continue;
        }
        size_t size = strcspn(text, "\n");
        if (text[0] != ' ')
            while (text[size] == '\n' && text[size + 1] && text[size + 1] != '\n' &&
                   text[size + 1] != ' ')
                size += 1 + strcspn(text + size + 1, "\n");
        write_block(to, text, size, indent);
        text += size;
        if (*text == '\n')
            text++;
    }
}

static void write_synopsis(const struct render *to, const struct manual *self)
{
    for (const char *line = self->synopsis; *line;) {
        size_t size = strcspn(line, "\n");
        fprintf(to->out, "%*s", BODY, "");
        render_print(to, RENDER_BOLD, "leat %s ", self->name);
        int indent = BODY + 6 + (int)strlen(self->name);
        render_wrap(to, (struct leat_span){(const uint8_t *)line, size}, indent);
        line += size + (line[size] == '\n');
    }
}

static void write_options(const struct render *to, const struct manual_option *options)
{
    for (const struct manual_option *option = options; option->name; option++) {
        fprintf(to->out, "%s%*s", option == options ? "" : "\n", BODY, "");
        render_print(to, RENDER_BOLD, "%s", option->name);
        fprintf(to->out, "%s%s\n", option->argument ? " " : "",
                option->argument ? option->argument : "");
        write_text(to, option->help, DEEPER);
    }
}

void manual_print(const struct manual *self, FILE *out)
{
    struct render to;
    render_init(&to, out);
    if (to.width > 80)
        to.width = 80;
    heading(&to, "Name");
    fprintf(out, "%*sleat %s - %s\n\n", BODY, "", self->name, self->summary);
    heading(&to, "Synopsis");
    write_synopsis(&to, self);
    fputc('\n', out);
    heading(&to, "Description");
    write_text(&to, self->description, BODY);
    if (self->options && self->options->name) {
        fputc('\n', out);
        heading(&to, "Options");
        write_options(&to, self->options);
    }
    for (const struct manual_section *part = self->sections; part && part->title; part++) {
        fputc('\n', out);
        heading(&to, part->title);
        write_text(&to, part->text, BODY);
    }
}

const struct manual_option *manual_option_find(const struct manual *self, const char *name,
                                               size_t length)
{
    for (const struct manual_option *option = self->options; option && option->name; option++)
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    return NULL;
}

/* Damerau's distance (neighbours that changed places count once), by three rows of its table. */
int manual_distance(const char *a, const char *b)
{
    int rows[3][WORD_MAX + 1];
    size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *manual_option_like(const struct manual *self, const char *word)
{
    const char *like = NULL;
    int best = 3;
    for (const struct manual_option *option = self->options; option && option->name; option++) {
        int distance = manual_distance(option->name, word);
        bool begins = strlen(word) > 3 && strncmp(option->name, word, strlen(word)) == 0;
        if (begins)
            distance = 1;
        if (distance < best) {
            best = distance;
            like = option->name;
        }
    }
    return like;
}
