#pragma once
/* Words for the enums of liaison.proto: SUBJECT_CATEGORY_AT_RISK is "at-risk". And settings given as key and value.
 * */
#include "proto/liaison.pb-c.h"
#include "proto/slice.h"

/* The number of a word; 0 if it is none or the unspecified one. */
int words_number(const ProtobufCEnumDescriptor *d, const char *word);

/* The word for a number, "" for 0 and numbers that are none. `out` has room for 48. Returns out. */
const char *words_word(const ProtobufCEnumDescriptor *d, int number, char out[48]);

/* All its words, joined by " | ". Returns out. */
const char *words_list(const ProtobufCEnumDescriptor *d, char *out, size_t n);

/* A decimal number without sign or blanks. */
MUST_CHECK
bool words_u64(const char *text, uint64_t max, uint64_t *out);

/* 32 hex digits. */
MUST_CHECK
bool words_hex16(const char *text, uint8_t out[16]);
