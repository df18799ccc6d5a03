/* What a command is and says of itself. One table a command: its help text, the words it
 * understands, and the checks of its command line all come from it. */
#ifndef LEAT_CLI_MANUAL_H
#define LEAT_CLI_MANUAL_H

#include "services/leat/render.h"

/* An option. Its name is written with the dashes; a repeated option is up to the command. */
struct manual_option {
    const char *name;     /* "--to"; NULL ends a list */
    const char *argument; /* "ENDPOINT"; NULL: it takes none */
    const char *help;
};

/* A part of the text. Paragraphs are separated by empty lines; a line that begins with two spaces
 * is printed as it is. */
struct manual_section {
    const char *title; /* "Exit status"; NULL ends a list */
    const char *text;
};

struct manual {
    const char *name;     /* "send" */
    const char *summary;  /* one line, no full stop */
    const char *synopsis; /* lines, without "leat send" in front */
    const char *description;
    const struct manual_option *options;
    const struct manual_section *sections; /* after the options */
};

/* A command of `leat`. `main` gets the words behind the command's name (argv[0] is the name), and
 * gives the exit status. */
struct command {
    const struct manual *manual;
    int (*main)(int argc, char **argv);
};

/* Prints all of it, laid out as man does. */
void manual_print(const struct manual *self, FILE *out);

/* The same as a man page of section 1: leat-NAME(1). */
void manual_roff(const struct manual *self, FILE *out);

/* The option of that name, or NULL. The length is the name's, without what an "=" adds. */
const struct manual_option *manual_option_find(const struct manual *self, const char *name,
                                               size_t length);

/* How unlike two words are: letters to change, add, drop or swap. */
int manual_distance(const char *a, const char *b);

/* The option most like a word that is none; NULL when nothing is close. */
const char *manual_option_like(const struct manual *self, const char *word);

#endif
