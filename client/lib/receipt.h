#pragma once
/* One receipt: an entry, its opening, and where it stands under which checkpoint. */
#include "client/lib/log.h"
#include "proto/liaison.pb-c.h"

struct arena;

struct liaison_receipt {
    struct liaison_receipt *next;
    struct arena *arena; /* holds entry and opening */
    struct slice entry;
    const Liaison__V1__LedgerEntry *decoded;
    uint8_t opening[32];
    size_t opening_len;       /* 32; 0: it is not known */
    struct note_proof *proof; /* NULL: a claim. Its note lies in `note` or in `kept` */
    struct log_note *note;    /* as judged by the policy; NULL: not verified by this process */
    uint8_t *kept;            /* the note of a receipt that was read and not yet verified */
    char *text;               /* what a file of it holds, once asked for */
    size_t text_len;
    int64_t since_ms; /* in the list of the awaited: monotonic; 0: nobody will push it */
};

/* Gives: *out, a claim. The entry is copied and decoded strictly. Errors: LIAISON_MALFORMED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code receipt_new(struct slice entry, struct slice opening,
                              struct liaison_receipt **out);

/* Puts the receipt under `note`, if the path (32 bytes an element) leads there. Errors: LIAISON_PROOF,
 * LIAISON_MEMORY; else it is as it was. */
MUST_CHECK
enum liaison_code receipt_stand(struct liaison *l, struct liaison_receipt *r, struct log_note *note,
                                struct slice path);

/* Gives what `from` stands under to `to`, which is of the same entry. */
void receipt_move(struct liaison_receipt *from, struct liaison_receipt *to);
