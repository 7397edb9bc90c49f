#include "broker/conf/units.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const uint64_t NUMBER_MAX = UINT64_C(1) << 53;
static const uint64_t TIME_MAX_MS = UINT64_C(1000) * 24 * 3600 * 1000;

struct unit {
    const char *name;
    uint64_t times;
};

static const struct unit SIZES[] = {
    {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};
static const struct unit TIMES[] = {{"d", 24 * 3600 * 1000},
                                    {"h", 3600 * 1000},
                                    {"m", 60 * 1000},
                                    {"s", 1000},
                                    {"ms", 1}};

/* Digits at the beginning; what follows them is in *rest. */
static bool digits(const char *text, uint64_t *n, const char **rest)
{
    uint64_t value = 0;
    const char *c = text;

    for (; *c >= '0' && *c <= '9'; c++) {
        value = 10 * value + (uint64_t)(*c - '0');
        if (value > NUMBER_MAX)
            return false;
    }
    *n = value;
    *rest = c;
    return c != text;
}

static bool with_unit(const char *text, const struct unit *units, size_t n_units,
                      uint64_t most, uint64_t *out)
{
    uint64_t n;
    const char *rest;

    if (!digits(text, &n, &rest))
        return false;
    for (size_t i = 0; i < n_units; i++)
        if (strcmp(units[i].name, rest) == 0 && n <= most / units[i].times) {
            *out = n * units[i].times;
            return true;
        }
    return false;
}

bool units_size(const char *text, uint64_t *bytes)
{
    return with_unit(text, SIZES, sizeof SIZES / sizeof *SIZES, NUMBER_MAX, bytes);
}

bool units_time(const char *text, uint64_t *ms)
{
    return with_unit(text, TIMES, sizeof TIMES / sizeof *TIMES, TIME_MAX_MS, ms);
}

bool units_number(const char *text, uint64_t *n)
{
    const char *rest;

    return digits(text, n, &rest) && *rest == '\0';
}

bool units_span(const char *text, struct rules_span *span)
{
    uint64_t n;
    const char *rest;

    if (!digits(text, &n, &rest) || n == 0 || n > 9999 || *text == '0' || *rest == '\0' ||
        rest[1] != '\0')
        return false;
    switch (*rest) {
    case 'h':
        *span = (struct rules_span){.fixed_s = n * 3600};
        return true;
    case 'd':
        *span = (struct rules_span){.fixed_s = n * 86400};
        return true;
    case 'm':
        *span = (struct rules_span){.months = (uint32_t)n};
        return true;
    case 'y':
        *span = (struct rules_span){.months = (uint32_t)n * 12};
        return true;
    default:
        return false;
    }
}

static bool count_and(const char *text, const char *behind, uint32_t *out)
{
    uint64_t n;
    const char *rest;

    if (!digits(text, &n, &rest) || *text == '0' || n > UNITS_COUNT_MAX ||
        strcmp(rest, behind) != 0)
        return false;
    *out = (uint32_t)n;
    return true;
}

bool units_count(const char *text, uint32_t *n)
{
    return count_and(text, "", n);
}

bool units_rate(const char *text, uint32_t *per_hour)
{
    return count_and(text, "/hour", per_hour);
}

bool units_date(const char *text, int32_t *day)
{
    struct tm t = {0}, again;

    if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 || text[4] != '-' ||
        text[7] != '-' ||
        sscanf(text, "%4d-%2d-%2d", &t.tm_year, &t.tm_mon, &t.tm_mday) != 3)
        return false;
    if (t.tm_year < 1971)
        return false;
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    again = t;
    time_t when = timegm(&again); /* turns 31 June into 1 July */

    if (again.tm_mday != t.tm_mday || again.tm_mon != t.tm_mon)
        return false;
    *day = rules_day((uint64_t)when);
    return true;
}

/* The last unit is 1, so one always divides. */
static const char *show(uint64_t value, const struct unit *units, char out[32])
{
    while (value % units->times != 0 || (value == 0 && units->times != 1))
        units++;
    snprintf(out, 32, "%llu%s", (unsigned long long)(value / units->times), units->name);
    return out;
}

const char *units_show_size(uint64_t bytes, char out[32])
{
    return show(bytes, SIZES, out);
}

const char *units_show_time(uint64_t ms, char out[32])
{
    return show(ms, TIMES, out);
}
