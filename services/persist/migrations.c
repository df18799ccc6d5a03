/* A migration that has been released is never changed: a new one follows it. To add one, put its
 * two files into deploy/migrations and a row into each list here. */
#include "services/persist/migrations.h"

#include <stddef.h>

/* The file's bytes and a NUL, under a symbol. Paths are relative to the root of the tree, where the
 * compiler runs. */
#define EMBED(symbol, path)                                                                        \
    __asm__(".pushsection .rodata\n.global " #symbol "\n.hidden " #symbol "\n" #symbol ":\n"       \
            ".incbin \"deploy/migrations/" path "\"\n.byte 0\n.popsection\n");                     \
    extern const char symbol[] __attribute__((visibility("hidden")))

EMBED(migrations_postgresql_001, "postgresql/001_texts.sql");
EMBED(migrations_postgresql_002, "postgresql/002_dead_letters.sql");
EMBED(migrations_postgresql_003, "postgresql/003_embedding.sql");
EMBED(migrations_sqlite_001, "sqlite/001_texts.sql");
EMBED(migrations_sqlite_002, "sqlite/002_dead_letters.sql");
EMBED(migrations_sqlite_003, "sqlite/003_embedding.sql");

const struct migration migrations_postgresql[] = {
    {1, "texts", migrations_postgresql_001},
    {2, "dead_letters", migrations_postgresql_002},
    {3, "embedding", migrations_postgresql_003},
    {0, NULL, NULL},
};

const struct migration migrations_sqlite[] = {
    {1, "texts", migrations_sqlite_001},
    {2, "dead_letters", migrations_sqlite_002},
    {3, "embedding", migrations_sqlite_003},
    {0, NULL, NULL},
};
