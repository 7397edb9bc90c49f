/* Lengths of time: hours and days are fixed, months and years follow the calendar. */
#include <stdio.h>
#include <time.h>

#include "broker/rules/rules.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, YEAR_MONTHS = 12 };

static int days_in(int year, int month)
{
    static const int DAYS[YEAR_MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return DAYS[month] + (month == 1 && leap);
}

/* The same time of day some months later; past the month's end its last day. */
static uint64_t months_later(uint64_t from_unix_s, uint32_t months)
{
    time_t from = (time_t)from_unix_s;
    struct tm t;

    if (gmtime_r(&from, &t) == NULL)
        return UINT64_MAX;
    int month = t.tm_mon + (int)(months % YEAR_MONTHS);

    t.tm_year += (int)(months / YEAR_MONTHS) + month / YEAR_MONTHS;
    t.tm_mon = month % YEAR_MONTHS;
    int last = days_in(t.tm_year + 1900, t.tm_mon);

    if (t.tm_mday > last)
        t.tm_mday = last;
    return (uint64_t)timegm(&t);
}

uint64_t rules_span_ends(struct rules_span s, uint64_t from_unix_s)
{
    uint64_t fixed = s.fixed_s > 0 ? from_unix_s + s.fixed_s : UINT64_MAX;
    uint64_t calendar = s.months > 0 ? months_later(from_unix_s, s.months) : UINT64_MAX;

    return fixed < calendar ? fixed : calendar;
}

const char *rules_span_text(struct rules_span s, char out[64])
{
    bool days = s.fixed_s % DAY_S == 0, years = s.months % YEAR_MONTHS == 0;
    int n = 0;

    out[0] = '\0';
    if (s.fixed_s > 0)
        n = snprintf(out, 64, "%llu%c",
                     (unsigned long long)(s.fixed_s / (days ? DAY_S : HOUR_S)),
                     days ? 'd' : 'h');
    if (s.months > 0)
        snprintf(out + n, 64 - (size_t)n, "%s%u%c", n > 0 ? " or " : "",
                 years ? s.months / YEAR_MONTHS : s.months, years ? 'y' : 'm');
    return out;
}

const char *rules_day_text(int32_t day, char out[RULES_DAY_TEXT])
{
    time_t at = (time_t)day * DAY_S;
    struct tm t;

    if (gmtime_r(&at, &t) == NULL || strftime(out, RULES_DAY_TEXT, "%Y-%m-%d", &t) == 0)
        out[0] = '\0';
    return out;
}
