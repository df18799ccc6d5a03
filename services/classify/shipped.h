/* Files that ship with Leat: beside the programs, in ../share/leat. */
#ifndef LEAT_CLASSIFY_SHIPPED_H
#define LEAT_CLASSIFY_SHIPPED_H

#include "proto/error.h"

#include <stddef.h>

/* Writes the path of the shipped file `name`: PREFIX/share/leat/NAME for a program in PREFIX/bin,
 * so a build folder and an installation look alike. */
bool shipped_path(const char *name, char *path, size_t size, struct leat_error *err);

#endif
