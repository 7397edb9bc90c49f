/* Words for enums, and times. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/json/json.h"

/* Length of the prefix that all names of an enum share: "SUBJECT_CATEGORY_" of SubjectCategory. */
static size_t prefix(const ProtobufCEnumDescriptor *type)
{
    size_t n = 0;

    for (const char *p = type->short_name; *p != '\0'; p++)
        n += isupper((unsigned char)*p) && p > type->short_name ? 2 : 1;
    return n + 1;
}

static void word_of(const ProtobufCEnumDescriptor *type, const char *name, char *out,
                    size_t out_len)
{
    size_t n = 0;

    for (const char *p = name + prefix(type); *p != '\0' && n + 1 < out_len; p++)
        out[n++] = *p == '_' ? '-' : (char)tolower((unsigned char)*p);
    out[n] = '\0';
}

const char *json_word(const ProtobufCEnumDescriptor *type, int number, char *out,
                      size_t out_len)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, number);

    if (v == NULL)
        return NULL;
    word_of(type, v->name, out, out_len);
    return out;
}

bool json_number(const ProtobufCEnumDescriptor *type, const char *word, int *out)
{
    char own[64];

    for (unsigned i = 0; i < type->n_values; i++) {
        word_of(type, type->values[i].name, own, sizeof own);
        if (strcmp(own, word) != 0)
            continue;
        if (type->values[i].value == 0 && strcmp(own, "unspecified") == 0)
            return false;
        *out = type->values[i].value;
        return true;
    }
    return false;
}

void json_time_text(uint64_t seconds, uint32_t ns, int decimals, char *out,
                    size_t out_len)
{
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    char date[32] = "";

    if (gmtime_r(&t, &tm) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    if (decimals == 0)
        snprintf(out, out_len, "%sZ", date);
    else if (decimals == 3)
        snprintf(out, out_len, "%s.%03" PRIu32 "Z", date, ns / 1000000U);
    else
        snprintf(out, out_len, "%s.%09" PRIu32 "Z", date, ns);
}

/* n digits at *p as a number up to `max`; moves *p past them. */
static bool digits(const char **p, int n, int max, int *out)
{
    int v = 0;

    for (int i = 0; i < n; i++, ++*p) {
        if (!isdigit((unsigned char)**p))
            return false;
        v = v * 10 + (**p - '0');
    }
    *out = v;
    return v <= max;
}

static bool literal(const char **p, char c)
{
    return *(*p)++ == c;
}

static bool date(const char **p, struct tm *tm)
{
    if (!digits(p, 4, 9999, &tm->tm_year) || !literal(p, '-') ||
        !digits(p, 2, 12, &tm->tm_mon) || !literal(p, '-') ||
        !digits(p, 2, 31, &tm->tm_mday))
        return false;
    tm->tm_year -= 1900;
    tm->tm_mon--;
    return true;
}

static bool clock_time(const char **p, struct tm *tm)
{
    return (literal(p, 'T') || (*p)[-1] == 't') && digits(p, 2, 23, &tm->tm_hour) &&
           literal(p, ':') && digits(p, 2, 59, &tm->tm_min) && literal(p, ':') &&
           digits(p, 2, 59, &tm->tm_sec);
}

/* "Z" or "+02:00" as seconds east. */
static bool zone(const char **p, int *out)
{
    int hours, minutes;
    char sign = *(*p)++;

    *out = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !digits(p, 2, 23, &hours) || !literal(p, ':') ||
        !digits(p, 2, 59, &minutes))
        return false;
    *out = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
    return true;
}

static bool fraction(const char **p, int decimals, uint32_t *ns)
{
    uint32_t scale = 100000000;

    *ns = 0;
    if (**p != '.')
        return true;
    for (++*p; isdigit((unsigned char)**p) && decimals > 0; ++*p, decimals--, scale /= 10)
        *ns += (uint32_t)(**p - '0') * scale;
    return isdigit((unsigned char)(*p)[-1]) && !isdigit((unsigned char)**p);
}

/* Seconds since 1970. False for the 30th of February (which timegm() would mend) and before 1970. */
static bool seconds_of(struct tm tm, int east, uint64_t *out)
{
    struct tm mended = tm;
    time_t t = timegm(&mended);

    if (mended.tm_mon != tm.tm_mon || mended.tm_mday != tm.tm_mday || t < 0 || t < east)
        return false;
    *out = (uint64_t)(t - east);
    return true;
}

bool json_time_parse(const char *text, int decimals, uint64_t *seconds, uint32_t *ns)
{
    const char *p = text;
    struct tm tm = {0};
    uint64_t t;
    uint32_t rest;
    int east;

    if (!date(&p, &tm) || !clock_time(&p, &tm) || !fraction(&p, decimals, &rest) ||
        !zone(&p, &east) || *p != '\0' || !seconds_of(tm, east, &t))
        return false;
    *seconds = t;
    *ns = rest;
    return true;
}

bool json_date_parse(const char *text, uint64_t *seconds)
{
    const char *p = text;
    struct tm tm = {0};

    return date(&p, &tm) && *p == '\0' && seconds_of(tm, 0, seconds);
}
