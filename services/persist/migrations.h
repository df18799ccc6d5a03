/* The numbered SQL files of deploy/migrations, carried inside the program. */
#ifndef LEAT_PERSIST_MIGRATIONS_H
#define LEAT_PERSIST_MIGRATIONS_H

struct migration {
    int number; /* 1, 2, 3, …; 0 ends a list */
    const char *name;
    const char *sql; /* any number of statements */
};

extern const struct migration migrations_postgresql[];
extern const struct migration migrations_sqlite[];

#endif
