#include "client/audit/findings.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *word;
    enum verify_result result;
} KINDS[FOUND__COUNT] = {
    [FOUND_FORK] = {"fork", VERIFY_FORK},
    [FOUND_ROLLBACK] = {"rollback", VERIFY_FORK},
    [FOUND_NOTE] = {"checkpoint", VERIFY_TAMPERED},
    [FOUND_ROOT] = {"root", VERIFY_TAMPERED},
    [FOUND_SUBTREE] = {"subtree", VERIFY_TAMPERED},
    [FOUND_ENTRY] = {"entry", VERIFY_TAMPERED},
    [FOUND_FORM] = {"form", VERIFY_TAMPERED},
    [FOUND_ORDER] = {"order", VERIFY_TAMPERED},
    [FOUND_COUNTER] = {"counter", VERIFY_TAMPERED},
    [FOUND_LOG] = {"log", VERIFY_TAMPERED},
    [FOUND_RULES] = {"rules", VERIFY_TAMPERED},
    [FOUND_MISSING] = {"missing", VERIFY_INCOMPLETE},
    [FOUND_CANNOT] = {"cannot-check", VERIFY_CANNOT},
};

const char *finding_word(enum finding_kind kind)
{
    return KINDS[kind].word;
}

enum verify_result finding_result(enum finding_kind kind)
{
    return KINDS[kind].result;
}

void findings_add(struct findings *f, enum finding_kind kind, uint64_t seq,
                  const char *format, ...)
{
    uint64_t n = f->count[kind]++;
    va_list args;

    if (n >= FINDINGS_KEPT)
        return;
    f->first[kind][n].seq = seq;
    va_start(args, format);
    vsnprintf(f->first[kind][n].text, FINDING_TEXT, format, args);
    va_end(args);
}

void findings_join(struct findings *all, const struct findings *more)
{
    for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++) {
        for (uint64_t i = 0; i < more->count[kind] && i < FINDINGS_KEPT; i++) {
            uint64_t at = all->count[kind] + i;

            if (at < FINDINGS_KEPT)
                all->first[kind][at] = more->first[kind][i];
        }
        all->count[kind] += more->count[kind];
    }
}

enum verify_result findings_result(const struct findings *f)
{
    static const enum verify_result WORST_FIRST[] = {VERIFY_FORK, VERIFY_TAMPERED,
                                                     VERIFY_INCOMPLETE, VERIFY_CANNOT};

    for (size_t i = 0; i < sizeof WORST_FIRST / sizeof *WORST_FIRST; i++)
        for (enum finding_kind kind = 0; kind < FOUND__COUNT; kind++)
            if (f->count[kind] > 0 && KINDS[kind].result == WORST_FIRST[i])
                return WORST_FIRST[i];
    return VERIFY_GOOD;
}
