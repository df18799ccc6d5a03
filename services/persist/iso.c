#include "services/persist/iso.h"

#include <stdio.h>
#include <string.h>

/* Days since 1970 to a date of the proleptic Gregorian calendar. Counted from 1 March of a year
 * divisible by 400, so that the leap day is the last of its year; 146097 days are 400 years. */
static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468; /* from 0000-03-01 to 1970-01-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned in_era = (unsigned)(days - era * 146097);
    unsigned of_era = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * of_era + of_era / 4 - of_era / 100);
    unsigned shifted = (5 * in_year + 2) / 153; /* 0 is March */
    *day = in_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)of_era + era * 400 + (*month <= 2);
}

static char *digits(char *to, unsigned value, int count)
{
    for (int i = count - 1; i >= 0; i--) {
        to[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

size_t iso_time(int64_t us, char to[ISO_TIME_MAX])
{
    static const int64_t day_us = 86400000000;
    int64_t days = us / day_us, rest = us % day_us, year;
    unsigned month, day;
    if (rest < 0) {
        rest += day_us;
        days--;
    }
    date_of(days, &year, &month, &day);
    char *at = to;
    if (year >= 0 && year <= 9999)
        at = digits(at, (unsigned)year, 4);
    else
        at += snprintf(at, ISO_TIME_MAX - 24, "%+06lld", (long long)year);
    unsigned second = (unsigned)(rest / 1000000);
    *at++ = '-';
    at = digits(at, month, 2);
    *at++ = '-';
    at = digits(at, day, 2);
    *at++ = 'T';
    at = digits(at, second / 3600, 2);
    *at++ = ':';
    at = digits(at, second / 60 % 60, 2);
    *at++ = ':';
    at = digits(at, second % 60, 2);
    *at++ = '.';
    at = digits(at, (unsigned)(rest % 1000000), 6);
    *at++ = 'Z';
    return (size_t)(at - to);
}

void iso_uuid(const uint8_t bytes[16], char to[ISO_UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[bytes[i] >> 4];
        *to++ = hex[bytes[i] & 15];
    }
}
