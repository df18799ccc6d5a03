#include "services/flows/series/windows.h"
#include "services/tables.h"

const struct leat_setting regress_settings[] = {
    {.name = "regress.inbox",
     .type = LEAT_SET_STRING,
     .value = "tcp://127.0.0.1:5564",
     .help = "Address that regress binds for batches."},
    {.name = "regress.address",
     .type = LEAT_SET_STRING,
     .value = "tcp://127.0.0.1:5564",
     .help = "Where other stages find regress: a list of addresses; every address behind each "
             "name is used."},
    {.name = "regress.http",
     .type = LEAT_SET_STRING,
     .value = "127.0.0.1:9553",
     .help = "Address of /metrics, /healthz and /readyz of leat-regress; empty: none."},
    {.name = "regress.windows",
     .type = LEAT_SET_STRING,
     .value = SERIES_WINDOWS_DEFAULT,
     .help = "Windows that parabolas are fitted to, as NAME=ROWS, the current row included; names "
             "end the names of columns. All programs of one Leat must agree on it."},
    {.name = "series.columns",
     .type = LEAT_SET_STRING,
     .value = "idx,bqx",
     .help = "Domains that a block may bring ready-made in its columns; each has a table "
             "features_NAME. All programs of one Leat must agree on it."},
    {.name = "series.max_rows",
     .type = LEAT_SET_INT,
     .value = "2000",
     .min = 1,
     .max = 20000,
     .help = "Most rows of a block, besides those that windows look back on."},
    {.name = NULL},
};
