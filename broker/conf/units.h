#pragma once
/* Numbers with units. Private to broker/conf. */
#include <stdbool.h>
#include <stdint.h>

#include "broker/rules/rules.h"

/* "256K" -> 262144: a number, and perhaps K, M or G (of 1,024). At most 2^53. */
bool units_size(const char *text, uint64_t *bytes);

/* "60s" -> 60000: a number and ms, s, m, h or d. At most 1,000 days. */
bool units_time(const char *text, uint64_t *ms);

/* "12": a number and nothing else. At most 2^53. */
bool units_number(const char *text, uint64_t *n);

/* A length of time as rules write it: 1..9999 and h, d, m or y, without leading zeros. m and y are calendar months and years. */
bool units_span(const char *text, struct rules_span *span);

enum { UNITS_COUNT_MAX = 1000000 };

/* "12" and "12/hour": 1 to UNITS_COUNT_MAX, without leading zeros. */
bool units_count(const char *text, uint32_t *n);
bool units_rate(const char *text, uint32_t *per_hour);

/* "2027-06-30" -> days since 1970: a day of the calendar from 1971 to 9999. */
bool units_date(const char *text, int32_t *day);

/* Writes them back with the largest unit that divides; `out` has room for 32. Return out. */
const char *units_show_size(uint64_t bytes, char out[32]);
const char *units_show_time(uint64_t ms, char out[32]);
