/* A manual as a man page. What `leat help` shows and what `man leat-send` shows is one text. */
#include "services/leat/manual.h"

#include <ctype.h>
#include <string.h>

/* A piece of a line: roff's own characters are made harmless. */
static void roff_text(FILE *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else
            fputc(text[i], out);
    }
}

/* A whole line: one that begins with a dot or a quote would be a command of roff. */
static void roff_line(FILE *out, const char *text, size_t size)
{
    if (size > 0 && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    roff_text(out, text, size);
    fputc('\n', out);
}

static void roff_heading(FILE *out, const char *title)
{
    fputs(".SH \"", out);
    for (; *title; title++)
        fputc(toupper((unsigned char)*title), out);
    fputs("\"\n", out);
}

/* Lines that begin with two spaces stay as they are; others are filled, an empty one between
 * paragraphs. */
static void roff_body(FILE *out, const char *text)
{
    bool as_is = false;
    while (*text) {
        size_t size = strcspn(text, "\n");
        bool example = size > 2 && text[0] == ' ' && text[1] == ' ';
        if (example != as_is)
            fputs(example ? ".nf\n" : ".fi\n", out);
        as_is = example;
        if (size == 0)
            fputs(".PP\n", out);
        else
            roff_line(out, text + (example ? 2 : 0), size - (example ? 2 : 0));
        text += size + (text[size] == '\n');
    }
    if (as_is)
        fputs(".fi\n", out);
}

static void roff_synopsis(FILE *out, const struct manual *self)
{
    roff_heading(out, "Synopsis");
    for (const char *line = self->synopsis; *line;) {
        size_t size = strcspn(line, "\n");
        fputs(line == self->synopsis ? "" : ".br\n", out);
        fprintf(out, ".B leat %s\n", self->name);
        roff_line(out, line, size);
        line += size + (line[size] == '\n');
    }
}

static void roff_options(FILE *out, const struct manual_option *options)
{
    roff_heading(out, "Options");
    for (const struct manual_option *option = options; option->name; option++) {
        fputs(".TP\n\\fB", out);
        roff_text(out, option->name, strlen(option->name));
        fputs("\\fR", out);
        if (option->argument) {
            fputs(" \\fI", out);
            roff_text(out, option->argument, strlen(option->argument));
            fputs("\\fR", out);
        }
        fputc('\n', out);
        roff_body(out, option->help);
    }
}

void manual_roff(const struct manual *self, FILE *out)
{
    fprintf(out, ".TH LEAT-");
    for (const char *c = self->name; *c; c++)
        fputc(toupper((unsigned char)*c), out);
    fprintf(out, " 1 \"\" \"leat " LEAT_VERSION "\" \"Leat\"\n.ad l\n.nh\n");
    roff_heading(out, "Name");
    fprintf(out, "leat\\-%s \\- ", self->name);
    roff_line(out, self->summary, strlen(self->summary));
    roff_synopsis(out, self);
    roff_heading(out, "Description");
    roff_body(out, self->description);
    if (self->options && self->options->name)
        roff_options(out, self->options);
    for (const struct manual_section *part = self->sections; part && part->title; part++) {
        roff_heading(out, part->title);
        roff_body(out, part->text);
    }
    roff_heading(out, "See also");
    fputs(".BR leat (1),\n.BR leat.conf (5)\n", out);
}
