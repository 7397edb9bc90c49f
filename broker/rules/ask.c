#include "broker/rules/ask.h"

enum liaison_code rules_ask(const Liaison__V1__Envelope *e,
                            Liaison__V1__Section *const *sections,
                            const char *const *names, size_t n_sections, bool strip,
                            int32_t day, struct rules_question *out)
{
    size_t bytes = 0;

    if (n_sections > RULES_SECTIONS_MAX)
        return LIAISON_LIMIT;
    for (size_t i = 0; i < n_sections; i++)
        bytes += sections[i]->ciphertext.len;
    *out = (struct rules_question){
        .from = e->from,
        .to = e->to,
        .type = e->type,
        .category = e->category,
        .purpose = e->purpose,
        .basis = e->basis,
        .minor = e->minor,
        .handling = e->handling,
        .regime = e->regime,
        .informed = e->informed,
        .urgency = e->urgency,
        .subject = e->subject_category,
        .day = day,
        .bytes = bytes,
        .sections = names,
        .n_sections = n_sections,
        .strip = strip,
    };
    return LIAISON_OK;
}
