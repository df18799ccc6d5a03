/* Which format an input has: as told, else by its name, else by how it begins. */
#ifndef LEAT_CLI_FORMAT_H
#define LEAT_CLI_FORMAT_H

#include "services/leat/lines.h"
#include "services/leat/reader.h"

/* Looks at lines of which none was taken; `name` is the input's. False: it is certainly none of the
 * formats (UTF-16, binary, one JSON array), or cannot be read. */
bool format_find(struct lines *lines, const char *name, enum reader_format given,
                 enum reader_format *out, struct leat_error *err);

#endif
