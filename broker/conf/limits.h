#pragma once
/* The table of limits. Private to broker/conf. */
#include "broker/conf/conf.h"

enum limit_unit { UNIT_BYTES, UNIT_COUNT, UNIT_TIME };

struct limit {
    const char *name;
    enum limit_unit unit;
    size_t at; /* of its field in struct conf_limits */
    uint64_t usual, least, most;
    const char *help;
};

/* Limit number i, NULL past the last. */
const struct limit *limits_at(size_t i);

/* Where its value goes. */
uint64_t *limits_field(struct conf_limits *l, const struct limit *limit);

/* Reads a value as the limit's unit wants it; false if it does not look so or is out of bounds. */
bool limits_read(const struct limit *limit, const char *text, uint64_t *value);

/* Writes a value as it is read. Returns out. */
const char *limits_show(const struct limit *limit, uint64_t value, char out[32]);

/* Every limit with default, bounds and meaning, a line each. */
void limits_print(FILE *out);
