#include "services/persist/store.h"

#include <string.h>

const char *store_sqlite_path(const char *url)
{
    static const char scheme[] = "sqlite:";
    return strncmp(url, scheme, sizeof scheme - 1) == 0 ? url + sizeof scheme - 1 : NULL;
}

struct store *store_open(const struct store_options *options, const struct load *load,
                         struct leat_error *err)
{
    if (store_sqlite_path(options->url))
        return sqlite_open(options, load, err);
    return postgres_open(options, load, err);
}

void store_close(struct store **self)
{
    if (*self)
        (*self)->type->close(*self);
    *self = NULL;
}
