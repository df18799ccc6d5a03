#include "services/leat/rejects.h"

#include "services/leat/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1000 };

bool rejects_init(struct rejects *self, const char *const *files, size_t shown,
                  const char *log_path, struct leat_error *err)
{
    *self = (struct rejects){.files = files, .shown = shown, .log_path = log_path};
    self->max_kept = shown > KEPT ? shown : KEPT;
    if (!log_path)
        return true;
    self->log = fopen(log_path, "we");
    return self->log || leat_fail(err, "cannot write %s: %s", log_path, strerror(errno));
}

bool rejects_end(struct rejects *self, struct leat_error *err)
{
    free(self->kept);
    self->kept = NULL;
    if (!self->log)
        return true;
    bool failed = ferror(self->log) != 0;
    failed |= fclose(self->log) != 0;
    self->log = NULL;
    return !failed || leat_fail(err, "%s is not complete: %s", self->log_path, strerror(errno));
}

static json_t *to_json(const struct rejects *self, const struct reject *reject)
{
    /* A file's name may be any bytes; JSON takes text only. */
    json_t *file = json_string(self->files[reject->file]);
    if (!file)
        file = json_sprintf("file %u of the command line", reject->file + 1);
    json_t *out = json_pack("{s:o, s:I, s:s, s:s}", "file", file, "line", (json_int_t)reject->line,
                            "code", reject->code, "reason", reject->reason);
    if (reject->rows > 1)
        json_object_set_new(out, "rows", json_integer((json_int_t)reject->rows));
    return out;
}

void rejects_add(struct rejects *self, uint32_t file, uint64_t line, uint64_t rows,
                 const char *code, const char *reason)
{
    struct reject reject = {.file = file, .line = line, .rows = rows};
    snprintf(reject.code, sizeof reject.code, "%s", code);
    snprintf(reject.reason, sizeof reject.reason, "%s", reason);
    draft_mend(reject.reason);
    self->count += rows;
    if (self->log) {
        json_t *one = to_json(self, &reject);
        json_dumpf(one, self->log, JSON_COMPACT);
        fputc('\n', self->log);
        json_decref(one);
    }
    if (self->n_kept == self->max_kept)
        return;
    if ((self->n_kept & (self->n_kept - 1)) == 0) { /* room for twice as many at 0, 1, 2, 4, … */
        size_t room = self->n_kept ? self->n_kept * 2 : 1;
        struct reject *larger = realloc(self->kept, room * sizeof *larger);
        if (!larger)
            return;
        self->kept = larger;
    }
    self->kept[self->n_kept++] = reject;
}

static int by_place(const void *a, const void *b)
{
    const struct reject *x = a, *y = b;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

static void sort(struct rejects *self)
{
    if (self->n_kept > 1)
        qsort(self->kept, self->n_kept, sizeof *self->kept, by_place);
}

void rejects_print(struct rejects *self, const struct render *to)
{
    char number[32];
    sort(self);
    size_t n = self->n_kept < self->shown ? self->n_kept : self->shown;
    uint64_t told = 0;
    for (size_t i = 0; i < n; i++) {
        const struct reject *reject = &self->kept[i];
        render_line(to, render_span(self->files[reject->file]), 200, false);
        fprintf(to->out, ":%llu: ", (unsigned long long)reject->line);
        render_line(to, render_span(reject->reason), 400, false);
        told += reject->rows;
        if (reject->rows > 1)
            render_print(to, RENDER_DIM, " (%s, %s rows)", reject->code,
                         render_count(reject->rows, number));
        else
            render_print(to, RENDER_DIM, " (%s)", reject->code);
        fputc('\n', to->out);
    }
    if (self->count > told && n > 0)
        fprintf(to->out, "and %s more\n", render_count(self->count - told, number));
}

json_t *rejects_json(struct rejects *self)
{
    sort(self);
    json_t *array = json_array();
    for (size_t i = 0; i < self->n_kept; i++)
        json_array_append_new(array, to_json(self, &self->kept[i]));
    return array;
}
