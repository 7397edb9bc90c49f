#pragma once
/* What was signed, in the exact bytes that are sent, with what an answer about it must say. Shared by counting: a
 * referral and the calls that carry it hold one each, so sending again costs no copy. Never changes. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"
#include "proto/sign.h"

struct sealed {
    unsigned refs;
    enum sign_kind kind;
    int event; /* of the entry that accepts it */
    int type;  /* of a referral; 0: an action's entry may say any */
    uint8_t id[16], referral_id[16], case_id[16];
    uint8_t certificate[32]; /* SHA-256 of the signer's */
    const char *agency, *counterpart, *officer, *purpose,
        *basis;         /* counterpart "": an action cannot know it */
    const char *onward; /* a third agency that the entry names: to whom it may be passed on, or who took the
                         * recipient's place; "": none */
    char id_text[37];
    struct slice bytes;    /* SignedReferral or SignedAction */
    struct slice content;  /* in it: Envelope or Action */
    struct slice sections; /* in it: the sections' fields, tags included */
};

/* Puts one together. All is copied. Gives: a reference, or NULL when memory is out. `like`'s slices are not looked
 * at. */
struct sealed *sealed_new(struct hash *h, const struct sealed *like, struct slice content,
                          struct slice certificate, const struct sign_part *signature,
                          struct slice sections);

/* Fills in what an envelope or an action says; text is borrowed from it. */
void sealed_like_envelope(const Liaison__V1__Envelope *e, struct sealed *like);
void sealed_like_action(const Liaison__V1__Action *a, struct sealed *like);

/* Takes bytes apart that were kept. Gives: *out. On error *why is a sentence.
 * Errors: LIAISON_MALFORMED, LIAISON_FIELD, LIAISON_ID, LIAISON_UNSUPPORTED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code sealed_read(struct hash *h, enum sign_kind kind, struct slice bytes,
                              struct sealed **out, const char **why);

struct sealed *sealed_share(struct sealed *s);
void sealed_free(struct sealed *s);

/* Sections packed as field 3 of a SignedReferral or SignedAction; in `a`. {NULL, 0} when memory is out. */
struct slice sealed_pack_sections(struct arena *a, Liaison__V1__Section *const *sections,
                                  size_t n);
