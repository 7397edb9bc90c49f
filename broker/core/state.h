#pragma once
/* What the files of this room share: the core, one batch of it, and the referrals the batch has in hand. */
#include "broker/core/call.h"
#include "broker/core/core.h"
#include "broker/core/map.h"
#include "broker/core/rows.pb-c.h"
#include "broker/core/vault.h"
#include "broker/delivery/delivery.h"
#include "broker/ledger/ledger.h"
#include "broker/referral/referral.h"

/* Tables of the store; numbers in keys are big-endian, so their order is arrival order. */
enum table {
    T_ENTRY,    /* seq u64 -> LedgerEntry; a log */
    T_REFERRAL, /* number u64 -> Referral row */
    T_BODY, /* number u64 -> SignedReferral without certificate, sealed under the referral's keys */
    T_ACTION, /* number u64, version u32 -> SignedAction, sealed likewise */
    T_KNOWN,  /* agency u32, 'R' or 'A', id 16 -> 'R': number u64; 'A': Done row */
    T_INBOX,  /* recipient u32, number u64 -> nothing */
    T_MAIL,   /* recipient u32, class u8, item u64 -> Mail row */
    T_TRAIL, /* number u64, first seq u64 -> seqs u64 each, in the order of their entries */
    T_PARTY, /* party u32 -> Party row */
    T_MONTH, /* party u32, year * 12 + month u32 -> wrapped keys for what belongs to no referral */
    T_OPENING, /* seq u64 -> officer's number, sealed under the keys of the entry's opening */
    T_SIGNER, /* SHA-256 -> certificate, DER */
    T_GROUP,  /* table u8, number >> 8 u64 -> the wrapped key of a group of keys; and the key file's epoch: keys.c */
    T__COUNT
};

extern const struct store_table TABLES[T__COUNT]; /* core.c */

/* Somebody the ledger counts. Lives as long as the core. */
struct party {
    uint32_t number;
    char name[ID_NAME_MAX +
              16]; /* with its role before it, but for agencies: "auditor:fr/dpa" */
    uint64_t counter, mail;
    struct {
        uint64_t counter, mail;
    } committed;
    bool dirty;
    uint32_t month; /* of month_keys; 0: none in memory */
    struct vault_keys month_keys;
    struct party *next_dirty;
};

struct session {
    uint64_t number;
    enum tls_role role;
    struct party *party;
    char name[ID_NAME_MAX + 1];
    uint8_t certificate[32];
};

struct core {
    struct core_settings settings;
    struct hash *hash;
    struct store *store;
    struct vault *vault;
    struct delivery *delivery;
    struct store_head head; /* as committed */
    uint64_t time_ns;       /* of the last entry */
    uint64_t next_number;   /* of referrals */
    uint8_t rule_set[32];
    void **sockets; /* gates, then main */
    struct map *sessions;
    struct party **parties; /* by number - 1 */
    size_t n_parties, stored_parties;
    struct map *party_names; /* by hash of the name; see party.c */
    bool stopping;
    bool was_full; /* the last batch found no room */
};

/* A referral in the batch's hands. Lives in the batch's arena. */
struct item {
    uint64_t number;
    Liaison__Rows__V1__Referral row;
    bool fresh, dirty;
    bool keyed;
    struct vault_keys keys;
    const Liaison__V1__SignedReferral
        *referral; /* with its certificate; NULL: not loaded */
    const Liaison__V1__Envelope *envelope;
    struct item *next; /* in the order first touched */
};

/* Something of delivery's that must be undone if the batch fails. */
struct undo {
    uint32_t agency;
    unsigned class;
    uint64_t mail;
    struct undo *next;
};

struct batch {
    struct core *core;
    struct store_batch *tx;
    struct arena *arena;
    bool
        full; /* the second try after LIAISON_FULL: changes are refused, reads and denials go on the reserve */
    uint64_t wall_ms; /* when it began */
    uint64_t time_ns; /* of all its entries: one moment, the commit's */
    Liaison__V1__Clock clock;
    uint64_t seq; /* of the next entry */
    uint64_t next_number;
    struct map *items;
    struct item *first, **last;
    struct party *dirty_parties;
    struct call *pushes, **last_push;
    struct undo *undos;
    enum liaison_code
        failed; /* the first failure that is not the store's: damage or memory */
};

static inline struct slice binary_slice(ProtobufCBinaryData b)
{
    return slice(b.data, b.len);
}

/* ------------------------------------------------------------ party.c */

/* Reads the party table. Errors: LIAISON_DAMAGED, LIAISON_IO, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code party_load(struct core *c);
void party_free(struct core *c);

/* The party of that name, made if new (it is stored with the batch). NULL when memory is out. */
struct party *party_named(struct core *c, const char *name);
struct party *party_find(const struct core *c,
                         const char *name); /* NULL: the store knows none of that name */
struct party *party_numbered(const struct core *c, uint32_t number); /* NULL: none */

/* Marks it for the batch's end. */
void party_touch(struct batch *b, struct party *p);
void party_flush(struct batch *b);     /* into the transaction */
void party_committed(struct batch *b); /* after the commit */
void party_undo(struct batch *b);      /* after a failure */

/* Its keys for values that belong to no referral, of the month of the batch; made if new. */
MUST_CHECK
enum liaison_code party_month_keys(struct batch *b, struct party *p,
                                   const struct vault_keys **out);

/* ------------------------------------------------------------ item.c */

/* The referral of that number, from the batch or the store. NULL: damaged or out of memory, and the batch has failed. */
struct item *item_get(struct batch *b, uint64_t number);

/* The referral that (from, id) names, or NULL: there is none, or b->failed says more. */
struct item *item_find(struct batch *b, const struct party *from, struct slice id);

/* A new one with fresh keys; the caller fills the row. NULL when memory is out. */
struct item *item_make(struct batch *b);

/* True once it is erased: state, number and entries are left, nothing that could be opened. */
static inline bool item_erased(const struct item *i)
{
    return i->row.erased_seq != 0;
}

/* Unwraps its keys if that was not done yet. LIAISON_ERASED, and no failure of the batch: it has none any more. */
MUST_CHECK
enum liaison_code item_keys(struct batch *b, struct item *i);

/* Wraps the keys it has once more, as its group's key is another; of an erased one there is nothing to wrap. */
void item_rewrap(struct batch *b, struct item *i);

/* Loads envelope and referral if that was not done yet. */
MUST_CHECK
enum liaison_code item_body(struct batch *b, struct item *i);

/* Stores what it was made from. */
void item_put_body(struct batch *b, struct item *i, const Liaison__V1__SignedReferral *r,
                   const uint8_t signer[32]);

/* Adds an entry to its trail. */
void item_trail(struct batch *b, struct item *i, uint64_t seq);

/* Writes every touched row into the transaction. */
void item_flush(struct batch *b);

/* Seals and stores, loads and opens, one action; `certificate` is put back. */
void item_put_action(struct batch *b, struct item *i, uint32_t version,
                     const Liaison__V1__SignedAction *a, const uint8_t signer[32]);
MUST_CHECK
enum liaison_code item_get_action(struct batch *b, struct item *i, uint32_t version,
                                  const Liaison__V1__SignedAction **out);

/* ------------------------------------------------------------ keys.c */

/* Opens the key file at the epoch that the store says; wraps the keys of a store in groups that had none.
 * On error `why` is a sentence. Errors: those of vault_open and the store. */
MUST_CHECK
enum liaison_code keys_load(struct core *c, char *why, size_t why_len);

/* The epoch of the key file that the store wants; 0 if it does not say. Errors: LIAISON_DAMAGED, LIAISON_IO. */
MUST_CHECK
enum liaison_code keys_epoch(struct store *s, uint64_t *epoch);

/* Draws keys for a slot and wraps them; opens wrapped ones. Errors: LIAISON_DAMAGED, those of the store. */
MUST_CHECK
enum liaison_code keys_make(struct batch *b, struct vault_slot slot, struct vault_keys *out,
                            uint8_t wrapped[VAULT_WRAPPED_BYTES]);
MUST_CHECK
enum liaison_code keys_open(struct batch *b, struct vault_slot slot, struct slice wrapped,
                            struct vault_keys *out);

/* Draws a new key for the group of that referral, under which those of it that are not erased are wrapped from then on. */
MUST_CHECK
enum liaison_code keys_regroup(struct batch *b, uint64_t number);

/* Draws the key file's next key and wraps every group's key under it; vault_turn() or vault_drop() has to follow the batch's end,
 * unless its outcome is not known. Errors: LIAISON_FULL, LIAISON_IO, LIAISON_DAMAGED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code keys_rotate(struct batch *b);

/* ------------------------------------------------------------ record.c */

/* One entry made: its bytes (in the batch's arena), number and commitment key. */
struct recorded {
    struct slice entry;
    uint64_t seq;
    uint8_t opening[32];
};

/* Appends one entry: fills in seq, time, counters, rule set and names of the parties; its opening hangs on `item`'s keys, or on
 * `who`'s month when item is NULL. An officer that no signed bytes hold is kept sealed beside it. False: the batch has failed. */
MUST_CHECK
bool record(struct batch *b, struct ledger_fact *f, struct party *who,
            struct party *counterpart, struct item *item, bool keep_officer,
            struct recorded *out);

/* ------------------------------------------------------------ reply.c */

/* Encodes the terminal reply to `c`. */
void core_answer(struct batch *b, struct call *c, Liaison__V1__Frame *f);

/* "No such thing", "not now": an Error under the call's id, without an entry. */
void core_error(struct batch *b, struct call *c, enum liaison_code code,
                const char *text);

/* Denies with an entry: Refused{code, text, rules, entry, opening}. */
struct denial {
    enum liaison_code code;
    const char *text;
    const struct rules_decision *decision; /* NULL: no rule took part */
    Liaison__V1__Event event;
    struct party *counterpart; /* NULL: none, or not to be told */
    struct slice referral_id, request_id, content;
    const char *officer, *purpose, *basis;
};
void core_refused(struct batch *b, struct call *c, const struct session *s,
                  const struct denial *d);

/* Accepted, or Duplicate with the same bytes. */
void core_accepted(struct batch *b, struct call *c, bool duplicate,
                   const struct recorded *r, Liaison__V1__State state, uint32_t version,
                   char **granted, size_t n_granted);

/* The entry `seq` as it stands, and its opening under the item's keys. */
MUST_CHECK
enum liaison_code recorded_again(struct batch *b, struct item *i, uint64_t seq,
                                 struct recorded *out);

/* Rules of a decision as protobuf, in the arena. */
Liaison__V1__Rule **rules_named(struct arena *a, const struct rules_decision *d,
                                size_t *n);

/* Turns a failure that is nobody's fault (memory, damage) into the batch's. Returns code. */
enum liaison_code batch_fail(struct batch *b, enum liaison_code code);

/* ------------------------------------------------------------ the calls, one file a group */

typedef void handler(struct batch *b, struct call *c, struct session *s);

handler submit_call, check_call;                            /* submit.c */
handler act_call;                                           /* act.c */
handler list_call, open_call, history_call, directory_call; /* read.c */
handler entries_call;                                       /* audit.c */
handler grant_call, ack_call;                               /* mail.c */

/* A card of `i` as `reader` sees it; with `sections`, those that are granted and revealed. NULL: the batch has failed. */
Liaison__V1__Card *card_of(struct batch *b, struct item *i, const struct party *reader,
                           bool sections);

/* Names of sections, for the entry that says they were disclosed; *n grows from what it was. False: the batch has failed. */
MUST_CHECK
bool section_names(struct batch *b, Liaison__V1__Section *const *sections,
                   size_t n_sections, const char **names, size_t *n);

/* True once the recipient may see the granted sections. */
bool card_revealed(const struct item *i);

/* Notes that the recipient has seen it, if it had not: state received, with an entry of its own. False: the batch has failed. */
MUST_CHECK
bool note_received(struct batch *b, struct item *i, struct party *reader,
                   const uint8_t certificate[32], const char *officer);

/* ------------------------------------------------------------ mail.c */

/* Puts a referral (version 0) or an action's notice into `to`'s mailbox. Returns the item's number. */
uint64_t mail_put(struct batch *b, struct party *to, unsigned class, uint64_t referral,
                  uint32_t version);

/* Takes the referral's own item out of the recipient's mailbox, if it still waits. */
void mail_drop(struct batch *b, struct item *i);

/* Leases and encodes all that credit allows; bounded, so *more says that there may be more. */
void mail_push(struct batch *b, uint64_t now_mono_ms, bool *more);

/* Gives delivery back what it thought gone, after a batch that failed. */
void mail_undo(struct batch *b);

/* ------------------------------------------------------------ peer.c */

void peer_opened(struct batch *b, struct call *c);
void peer_closed(struct core *core, uint64_t session);
void peer_refused(struct batch *b, const struct call *c, Liaison__V1__Event event);
void peer_strangers(struct batch *b, const struct call *c);
void broker_entry(struct batch *b, Liaison__V1__Event event, const uint8_t digest[32]);
