#include "services/runtime/service.h"

const struct leat_setting leat_runtime_settings[] = {
    {.name = "log.level",
     .type = LEAT_SET_CHOICE,
     .value = "info",
     .choices = "debug info warn error",
     .reloadable = true,
     .help = "Events below this level are not written."},
    {.name = "run.http",
     .type = LEAT_SET_STRING,
     .value = "127.0.0.1:9550",
     .help = "Where `leat run` answers /metrics, /healthz and /readyz; empty: nowhere."},
    {.name = "drain.timeout",
     .type = LEAT_SET_DURATION,
     .value = "30s",
     .min = 0,
     .max = 86400000,
     .help = "How long a process that was told to end may take to finish what is in flight. "
             "What is left then stays in the journal."},
    {.name = "child.enabled",
     .type = LEAT_SET_BOOL,
     .value = "yes",
     .help =
         "Work that can crash runs in a child process, so that a record which kills it is found "
         "and set aside. no: it runs in the service itself."},
    {.name = "child.timeout",
     .type = LEAT_SET_DURATION,
     .value = "60s",
     .min = 100,
     .max = 86400000,
     .help = "How long a child may work on one batch before it is taken for hanging and killed."},
    {.name = "security.keys",
     .type = LEAT_SET_STRING,
     .value = "",
     .help = "Folder of keys, made by `leat keys`: all that goes between processes is encrypted, "
             "and only who holds a key that is known may connect. Empty: no keys."},
    {.name = "security.insecure",
     .type = LEAT_SET_BOOL,
     .value = "no",
     .help = "yes: without keys, talk to other machines all the same, in the clear and with "
             "anybody. Only for networks that nobody else is on."},
    {.name = "peers.refresh",
     .type = LEAT_SET_DURATION,
     .value = "5s",
     .min = 100,
     .max = 3600000,
     .help = "How often the names of other services are looked up again."},
    {.name = "tap.dir",
     .type = LEAT_SET_STRING,
     .value = "",
     .help = "Folder for the socket files through which `leat tap` looks at passing records; made "
             "when it is not there, for this user only. Empty: none. `leat run`: tap in its data "
             "folder."},
#ifdef LEAT_TEST_HOOKS
    {.name = "test.crash_on",
     .type = LEAT_SET_STRING,
     .value = "",
     .help = "Fault injection: a child that meets a record with these bytes crashes."},
    {.name = "test.hang_on",
     .type = LEAT_SET_STRING,
     .value = "",
     .help = "Fault injection: a child that meets a record with these bytes hangs."},
#endif
    {0},
};
