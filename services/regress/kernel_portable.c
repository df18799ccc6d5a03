/* For any processor: vectors of two doubles, which every 64-bit processor has. */
#include "services/regress/kernel_window.h"

#include <math.h>

enum { GROUP_LANES = 2, GROUP_VECTORS = 3 };

#define GROUP_FIT     fit
#define group_sqrt(v) ((vector){sqrt((v)[0]), sqrt((v)[1])})

#include "services/regress/kernel_group.h"

const struct kernel_group kernel_group_portable = {"portable", fit, GROUP_ROWS};
