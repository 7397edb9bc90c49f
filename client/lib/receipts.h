#pragma once
/* Receipts as they come: entries that await theirs, and those that came and were not fetched.
 *
 * The broker pushes a receipt to the session that made the call. What it will not push (the session is gone, the
 * answer was a duplicate, it should have come by now) is asked for. Source: PROTOCOL.md, "Receipts". */
#include "client/lib/receipt.h"

struct liaison;
struct liaison_answer;

enum {
    RECEIPTS_MAX = 4096,      /* awaited, and come but not fetched */
    RECEIPTS_ASK = 256,       /* entries of one Prove of our own accord */
    RECEIPTS_PUSH_MS = 5000,  /* a push that did not come by then is asked for */
    RECEIPTS_PAUSE_MS = 250,  /* before asking again; doubles */
    RECEIPTS_PAUSE_MAX_MS = 30 * 1000,
};

struct receipt_list {
    struct liaison_receipt *head, *tail;
    size_t n;
};

enum receipts_ask { ASK_NOTHING, ASK_RECEIPTS, ASK_OTHER };

struct receipts {
    struct receipt_list awaited, come;
    enum receipts_ask asked;    /* what our own Prove that is under way is about */
    struct log_note *asked_from;
    int64_t ask_at_ms;          /* nothing is asked for before */
    int64_t pause_ms;
};

void receipts_clear(struct receipts *r);

/* An answer with an entry that was checked: its receipt is awaited. */
void receipts_await(struct liaison *l, const struct liaison_answer *a);

/* A new session: nobody pushes what is awaited. */
void receipts_welcomed(struct liaison *l);

/* A Receipts frame. On error the conversation is over and *why says why.
 * Errors: LIAISON_SIGNATURE, LIAISON_FORK, LIAISON_PROOF, LIAISON_MALFORMED... */
MUST_CHECK
enum liaison_code receipts_pushed(struct liaison *l, const Liaison__V1__Receipts *pushed,
                                  const char **why);

/* The answer to our own Prove, good or bad. Errors as above. */
MUST_CHECK
enum liaison_code receipts_proven(struct liaison *l, const struct liaison_answer *a,
                                  const char **why);

/* What is due: puts the last checkpoint on disk, asks. Errors: LIAISON_FILE, LIAISON_FORK, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code receipts_turn(struct liaison *l, int64_t now_ms, const char **why);

/* When receipts_turn has something to do next; INT64_MAX: nothing. */
int64_t receipts_due(const struct liaison *l);
