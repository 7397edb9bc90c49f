#include "broker/conf/limits.h"

#include <inttypes.h>
#include <string.h>

#include "broker/conf/units.h"

#define AT(field) offsetof(struct conf_limits, field)

static const struct limit LIMITS[] = {
    {"message", UNIT_BYTES, AT(message_bytes), 1 << 20, 4 << 10, 16 << 20,
     "bytes of one message"},
    {"sections", UNIT_COUNT, AT(sections), 32, 1, RULES_SECTIONS_MAX,
     "sections of one referral"},
    {"window", UNIT_COUNT, AT(window), 64, 1, 1024,
     "calls of one session without an answer yet"},
    {"credit", UNIT_BYTES, AT(credit_bytes), 1 << 20, 64 << 10, 64 << 20,
     "bytes that one session may leave unread"},
    {"tls-timeout", UNIT_TIME, AT(tls_timeout_ms), 5000, 100, 60000,
     "to finish the TLS handshake"},
    {"zmtp-timeout", UNIT_TIME, AT(zmtp_timeout_ms), 2000, 100, 60000,
     "to finish the ZMTP handshake after that"},
    {"hello-timeout", UNIT_TIME, AT(hello_timeout_ms), 2000, 100, 60000,
     "to say Hello after that"},
    {"idle", UNIT_TIME, AT(idle_ms), 60000, 1000, 3600000, "silence that ends a session"},
    {"ping", UNIT_TIME, AT(ping_ms), 20000, 500, 3600000,
     "silence after which the broker asks"},
    {"lease", UNIT_TIME, AT(lease_ms), 60000, 1000, 3600000,
     "to acknowledge a delivery before it is sent again"},
    {"sessions", UNIT_COUNT, AT(sessions), 4096, 1, 65536, "sessions at once"},
    {"sessions-per-agency", UNIT_COUNT, AT(sessions_per_agency), 256, 1, 65536,
     "of one agency"},
    {"sessions-per-address", UNIT_COUNT, AT(sessions_per_address), 1024, 1, 65536,
     "from one address"},
    {"handshakes", UNIT_COUNT, AT(handshakes), 512, 1, 65536,
     "handshakes in progress at once"},
    {"page", UNIT_COUNT, AT(page), 200, 1, 1000, "rows of one page"},
};

#undef AT

enum { N_LIMITS = sizeof LIMITS / sizeof *LIMITS };

const struct limit *limits_at(size_t i)
{
    return i < N_LIMITS ? &LIMITS[i] : NULL;
}

uint64_t *limits_field(struct conf_limits *l, const struct limit *limit)
{
    return (uint64_t *)((char *)l + limit->at);
}

static bool read_unit(enum limit_unit unit, const char *text, uint64_t *value)
{
    switch (unit) {
    case UNIT_BYTES:
        return units_size(text, value);
    case UNIT_COUNT:
        return units_number(text, value);
    case UNIT_TIME:
        return units_time(text, value);
    }
    return false;
}

bool limits_read(const struct limit *limit, const char *text, uint64_t *value)
{
    return read_unit(limit->unit, text, value) && *value >= limit->least &&
           *value <= limit->most;
}

const char *limits_show(const struct limit *limit, uint64_t value, char out[32])
{
    switch (limit->unit) {
    case UNIT_BYTES:
        return units_show_size(value, out);
    case UNIT_TIME:
        return units_show_time(value, out);
    case UNIT_COUNT:
        break;
    }
    snprintf(out, 32, "%" PRIu64, value);
    return out;
}

void limits_print(FILE *out)
{
    char usual[32], least[32], most[32];

    for (const struct limit *l = LIMITS; l < LIMITS + N_LIMITS; l++)
        fprintf(out, "  %-21s %6s  (%s to %s)  %s\n", l->name,
                limits_show(l, l->usual, usual), limits_show(l, l->least, least),
                limits_show(l, l->most, most), l->help);
}
