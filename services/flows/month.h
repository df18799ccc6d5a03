/* Calendar months in UTC, for windows that do not cross them and for tables partitioned by them. */
#ifndef LEAT_MONTH_H
#define LEAT_MONTH_H

#include <stdint.h>

/* A month's number: 12 · year + month - 1, so that the next one is one more. */
int32_t leat_month(int64_t us);

/* µs since 1970 at which a month begins. */
int64_t leat_month_begin(int32_t month);

#endif
