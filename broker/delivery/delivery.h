#pragma once
/* Who is pushed what next: sessions, their credit, and leases. Pure: no socket, no clock, no store; one thread's.
 *
 * The items themselves lie in the store under (agency, class, seq). An agency is known here while it has a session open;
 * for each of its classes delivery keeps how far items have been offered, and the few that came back. So 200,000 waiting items
 * cost nothing here, and what is kept is bounded by the credit that is granted.
 *
 * An item is leased to one session until it is acknowledged, its lease runs out or the session ends; in the latter cases it
 * waits again. An agency's lower class goes first, then the lower seq; its sessions take turns, and so do agencies.
 *
 * The core's loop, inside a batch:
 *
 *     while (delivery_next(d, &offer)) {
 *         if (!first item of (offer.agency, offer.class) with seq >= offer.from_seq, not looking past the class)
 *             delivery_none(d, &offer);
 *         else if (delivery_lease(d, &offer, seq, bytes, now_mono_ms, &lease) == DELIVERY_LEASED)
 *             push it to offer.session;
 *     }
 *
 * Every pass either leases an item or makes an offer less, so the loop ends. It may be left at any point: delivery_next
 * changes nothing. If the batch then fails, call delivery_again() for every item that was leased or acknowledged in it.
 * Source: PROTOCOL.md, "Mailboxes". */
#include "liaison-codes.h"
#include "proto/slice.h"

enum { DELIVERY_CLASSES = 4 }; /* 0 is the most urgent */

struct delivery;

#define DELIVERY_OUT_BYTES (UINT64_C(16) << 20)

struct delivery_settings {
    uint64_t lease_ms;        /* how long an item is one session's */
    uint32_t window_messages; /* the most credit that one session can hold */
    uint64_t window_bytes;
    uint64_t
        first_lease; /* lease numbers rise from here; with the epoch in front none is ever used twice */
};

/* Gives: a state without sessions, or NULL when memory is out. */
struct delivery *delivery_new(const struct delivery_settings *settings);

/* NULL is harmless. */
void delivery_free(struct delivery *d);

/* A session of an agency is open; it holds no credit yet. Session numbers are never used twice. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code delivery_open(struct delivery *d, uint32_t agency, uint64_t session);

/* The session is over: what it had leased waits again. A session that is not open is harmless. */
void delivery_close(struct delivery *d, uint64_t session);

/* Widens the session's window: at most that many messages and bytes are unacknowledged at a time. An acknowledgement, or a
 * lease's end, gives the room back, so one Grant lasts for the whole session.
 * However much is granted, no more than DELIVERY_OUT_BYTES are out to one session at a time.
 * An item larger than all the bytes granted still goes out, alone: when nothing else is unacknowledged.
 * Errors: LIAISON_LIMIT (the window would pass its setting; it stays as it was), LIAISON_NOT_FOUND (not open). */
MUST_CHECK
enum liaison_code delivery_grant(struct delivery *d, uint64_t session, uint32_t messages,
                                 uint64_t bytes);

/* An item was stored for an agency. Nothing to do if no session of it is open. */
void delivery_added(struct delivery *d, uint32_t agency, unsigned class, uint64_t seq);

struct delivery_offer {
    uint32_t agency;
    unsigned class;
    uint64_t session; /* which has credit */
    uint64_t
        from_seq; /* the next item is the first at or after this one, if there is any */
};

/* True if there may be an item to push: look for it, then call one of the three below, with the offer unchanged and no other
 * change of `d` between. False: every session is out of credit or every mailbox of an open session is empty. */
MUST_CHECK
bool delivery_next(const struct delivery *d, struct delivery_offer *out);

/* There is no such item. The class is offered again when one is added or comes back. */
void delivery_none(struct delivery *d, const struct delivery_offer *offer);

/* The item found must not go out now (the rules deny it): it stays in the store and is not offered again until the core says
 * delivery_again(), or the agency's mailbox is gone through anew: with the first session after all had closed, or after
 * thousands of items came back. */
void delivery_pass(struct delivery *d, const struct delivery_offer *offer, uint64_t seq);

enum delivery_lease_result {
    DELIVERY_LEASED,    /* push it, with *lease */
    DELIVERY_ELSEWHERE, /* another session has it: ask for the next offer */
    DELIVERY_NO_CREDIT, /* too large for what this session has left; it is offered nothing until it acknowledges something: ask on */
    DELIVERY_NO_MEMORY, /* stop asking for now */
};

/* Leases the item found, `bytes` long, to the offer's session until now_mono_ms + lease_ms. */
MUST_CHECK
enum delivery_lease_result delivery_lease(struct delivery *d,
                                          const struct delivery_offer *offer,
                                          uint64_t seq, uint64_t bytes,
                                          uint64_t now_mono_ms, uint64_t *lease);

/* True if item `seq` of the agency is known here, leased or come back; *class is its class then. If not, it may still be
 * in the store, in any class. */
MUST_CHECK
bool delivery_find(const struct delivery *d, uint32_t agency, uint64_t seq,
                   unsigned *class);

/* The item has left the store: acknowledged (by whichever session of the agency, whatever lease it named) or withdrawn. */
void delivery_acked(struct delivery *d, uint32_t agency, uint64_t seq);

/* The item waits again after all: a lease that was never pushed, an acknowledgement that was never committed. */
void delivery_again(struct delivery *d, uint32_t agency, unsigned class, uint64_t seq);

/* Ends the leases whose time has come; their items wait again. Returns how many. */
size_t delivery_expire(struct delivery *d, uint64_t now_mono_ms);

/* When the next lease runs out; UINT64_MAX: there is none. */
uint64_t delivery_deadline(const struct delivery *d);

/* What a session has unacknowledged; zeros if it is not open. For metrics and tests. */
void delivery_outstanding(const struct delivery *d, uint64_t session, uint32_t *messages,
                          uint64_t *bytes);
