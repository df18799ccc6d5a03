#include "services/runtime/host.h"

#include <stdlib.h>
#include <string.h>

const char *host_reason(struct host_reasons *self, const char *text)
{
    if (!text)
        return NULL;
    for (int i = 0; i < self->n; i++)
        if (strcmp(self->texts[i], text) == 0)
            return self->texts[i];
    char *copy = self->n < (int)(sizeof self->texts / sizeof self->texts[0]) ? strdup(text) : NULL;
    if (!copy)
        return "see the log";
    return self->texts[self->n++] = copy;
}

void host_reasons_free(struct host_reasons *self)
{
    while (self->n > 0)
        free((char *)self->texts[--self->n]);
}
