#pragma once
/* Turns a referral into the question that the rules answer. */
#include "broker/rules/rules.h"

/* Asks for the envelope and its sections on a day (rules_day()); names[i] is the name of sections[i], as
 * valid_sections() gave it.
 *
 * Borrows: everything; *out lives as long as they do. Errors: LIAISON_LIMIT (more than RULES_SECTIONS_MAX sections). */
MUST_CHECK
enum liaison_code rules_ask(const Liaison__V1__Envelope *e,
                            Liaison__V1__Section *const *sections,
                            const char *const *names, size_t n_sections, bool strip,
                            int32_t day, struct rules_question *out);
