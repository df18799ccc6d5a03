#include "services/flows/month.h"

static const int64_t day_us = 86400000000;

/* Days since 1970-01-01 of the first day of a month. A year is taken to begin in March, so that the
 * leap day is its last; 400 such years are an era of 146097 days. */
static int64_t first_day(int32_t month)
{
    int64_t from_march = (int64_t)month - 2;
    int64_t year = from_march >= 0 ? from_march / 12 : -((11 - from_march) / 12);
    int64_t era = year >= 0 ? year / 400 : -((399 - year) / 400);
    int64_t of_era = year - era * 400, of_year = from_march - year * 12;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * of_year + 2) / 5 -
           719468;
}

int64_t leat_month_begin(int32_t month)
{
    return first_day(month) * day_us;
}

int32_t leat_month(int64_t us)
{
    /* A guess from the mean length of a month, which is off by one at most. */
    int64_t day = us >= 0 ? us / day_us : -((day_us - 1 - us) / day_us);
    int32_t month = (int32_t)(1970 * 12 + (day * 4800 - (day < 0 ? 146096 : 0)) / 146097);
    while (first_day(month) > day)
        month--;
    while (first_day(month + 1) <= day)
        month++;
    return month;
}
