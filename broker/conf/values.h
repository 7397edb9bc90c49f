#pragma once
/* Words that stand for the values of an enum. Private to broker/conf. */
#include <stddef.h>

struct value {
    const char *word; /* NULL ends a list */
    unsigned number;
};

extern const struct value HANDLINGS[], INFORMEDS[], URGENCIES[], SUBJECTS[], REGIMES[];

/* The value of a word, 0 if it is not in the list; the word of a value, NULL if it is not. */
unsigned values_number(const struct value *list, const char *word);
const char *values_word(const struct value *list, unsigned number);

/* "yes, later or not-reached". Returns out. */
const char *values_list(const struct value *list, char *out, size_t out_len);
