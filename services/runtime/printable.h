/* Which characters may be shown to a person as they are. */
#ifndef LEAT_PRINTABLE_H
#define LEAT_PRINTABLE_H

#include <stdbool.h>
#include <stdint.h>

/* False for what a terminal might obey (C0, DEL, C1), and for what would turn the reading direction
 * of all that follows, or is not seen; joiners are parts of words. `point`: of Unicode. */
bool leat_printable(int32_t point);

#endif
