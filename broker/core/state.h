#pragma once
/* What the files of this room share: the core, one batch of it, and the referrals the batch has in hand. */
#include <time.h>

#include "broker/core/call.h"
#include "broker/core/core.h"
#include "broker/core/log.h"
#include "broker/core/map.h"
#include "broker/core/rows.pb-c.h"
#include "broker/core/tables.h"
#include "broker/core/vault.h"
#include "broker/delivery/delivery.h"
#include "broker/ledger/clock.h"
#include "broker/ledger/ledger.h"
#include "broker/ops/metrics.h"
#include "broker/referral/referral.h"

extern const struct store_table TABLES[T__COUNT]; /* open.c */

/* Somebody the ledger counts. Lives as long as the core. */
struct party {
    uint32_t number;
    char name[ID_NAME_MAX +
              16]; /* with its role before it, but for agencies: "auditor:fr/dpa" */
    uint64_t counter, mail;
    uint32_t taken; /* referrals it has accepted and not finished */
    struct {
        uint64_t counter, mail;
        uint32_t taken;
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
    bool receipts;      /* it asked for them */
    uint64_t told_size; /* of the last checkpoint it was told of */
    uint64_t *awaiting; /* leaves of its submits and actions that no checkpoint covers yet, rising */
    size_t n_awaiting, awaiting_room;
};

/* When the last summary was. */
struct summaries {
    uint64_t number; /* its entry's */
    uint64_t day;    /* since 1970, UTC */
};

/* Kinds of deadlines; 0 is where the answer clock is kept. */
enum deadline { DEADLINE_CLOCK, DEADLINE_ANSWER, DEADLINE_ERASE, DEADLINE__COUNT };
enum { DEADLINE_KEY = 17 };

/* What is due, and when; see deadline.c. */
struct deadlines {
    struct answer_clock clock;
    uint64_t kept_ns; /* clock.alive_ns, as the store has it */
    uint64_t first_ms[DEADLINE__COUNT]; /* nothing of that kind is due before; UINT64_MAX: there is none */
    uint64_t looked_ms;                 /* monotonic */
};

/* Readers of the store in other processes, as they were seen last; see tend.c. */
struct tended {
    uint64_t at_ms; /* monotonic */
    int held_by;    /* process; 0: nobody */
    uint64_t held_since_ms;
    bool held_told;
};

/* Where the core is in what it goes through whenever rules, directory or day are new; zeros: at the beginning. */
struct rounds {
    enum { ROUND_PUBLISHED, ROUND_WITHDRAWN, ROUND_MERGED, ROUND_BARRED, ROUND_DONE } stage;
    int32_t day;
    size_t published; /* of the directory's rows */
    struct keys_place {
        uint8_t key[40];
        size_t n;
    } withdrawn; /* of T_KEY: from which key on */
    struct inbox_place {
        size_t agency;   /* of the rules' */
        uint64_t number; /* of the referral in its inbox from which on to go on */
    } merged;
    uint64_t barred; /* the first referral that was not looked at yet */
};

struct core {
    struct core_settings settings;
    char broker[ID_NAME_MAX + 1]; /* settings.broker */
    struct hash *hash;
    struct store *store;
    struct vault *vault;
    struct delivery *delivery;
    struct store_head head; /* as committed */
    struct log *log;
    struct notes *notes;
    struct ledger_clock clock;
    bool step_told; /* an entry says that the clock is held */
    bool held_said; /* the log does */
    struct summaries summaries;
    struct deadlines deadlines;
    bool evidence;          /* the log is not what was signed: nothing is written or signed, only auditors are served */
    uint64_t replayed;      /* the last referral that was compared with its entries */
    uint64_t scrubbed_ms;   /* monotonic: when entries were last hashed again */
    uint64_t indexed;       /* the referral whose index is looked at next */
    uint64_t time_ns;       /* of the last entry */
    uint64_t next_number;   /* of referrals */
    uint8_t rule_set[32];
    struct map *cited;    /* lines of these rules that are kept, by the first 8 bytes of their ids */
    struct call *reloads; /* that wait to be put into force, the first one in progress */
    size_t text_left;     /* bytes of its rules that are yet to be kept */
    void **sockets; /* gates, then main */
    struct map *sessions;
    struct party **parties; /* by number - 1 */
    size_t n_parties, stored_parties;
    struct map *party_names; /* by hash of the name; see party.c */
    struct tended tended;
    struct rates *rates; /* NULL: no rule has limited one yet */
    struct map *known_keys; /* certificates that have their KEY entry; see keys.c */
    struct rounds rounds;
    bool stopping;
    bool was_full; /* the last batch found no room */
};

/* The referral that another one continues, if it came to the one that sends that on, and who refuses. */
struct onward {
    struct item *from; /* NULL: it did not */
    const struct rules_decision *refusal;
    const char *why;
};

/* A checkpoint with more cosignatures than before, put into the batch; known once that is committed. */
struct cosigned {
    uint64_t size;
    struct slice note; /* in the batch's arena */
    struct cosigned *next;
};

/* A leaf that a session wants a receipt for, once its batch is committed. */
struct await {
    uint64_t session, leaf;
    struct await *next;
};

/* What the rules in force say of a referral, as against those it was taken under. */
struct again {
    const struct rules *rules; /* that were asked; NULL: none were yet */
    const struct rules_decision *decision;
    const char *why; /* it is not allowed; NULL: it is */
    uint32_t shown;  /* bit n: section n of those that are kept may still be seen */
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
    struct again again;
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
    uint64_t seq; /* number of the next entry in the store; its place in the log is log_base() less */
    struct log_batch tree;
    bool note;    /* a checkpoint is in the transaction */
    bool mends;   /* what no entry tells of is in it: an index put right, a deadline put off, the time, a text of rules */
    bool timed;   /* the answer clock is in it */
    bool turns_key; /* something is erased: the key file's key is replaced with the commit */
    bool stepped; /* the wall clock has, and no entry says so yet */
    struct summaries summaries;
    struct await *awaits;
    struct cosigned *cosigned;
    uint64_t next_number;
    struct map *items;
    struct item *first, **last;
    struct party *dirty_parties;
    struct call *pushes, **last_push;
    struct undo *undos;
    struct rated *rated; /* rate.c */
    enum liaison_code
        failed; /* the first failure that is not the store's: damage or memory */
};

/* The day of the batch, as rules count days. */
static inline int32_t batch_day(const struct batch *b)
{
    return rules_day(b->time_ns / 1000000000);
}

/* Who has the work of `name` on that day: itself, or the one it was merged into. NULL: the rules do not declare it. */
static inline const struct rules_agency *batch_successor(const struct batch *b, const char *name)
{
    return rules_successor(b->core->settings.rules, name, batch_day(b));
}

static inline struct slice binary_slice(ProtobufCBinaryData b)
{
    return slice(b.data, b.len);
}

/* ------------------------------------------------------------ core.c */

uint64_t core_clock_ns(clockid_t which);

/* Ledger time at this moment, which the gates are told too. */
uint64_t core_time_ns(struct core *c);

/* Releases a chain of calls with all that they hold. */
void core_free_chain(struct call *c);

/* ------------------------------------------------------------ handle.c */

/* Does what one call asks; its answer, if there is one, lies in it until the commit. */
void core_handle(struct batch *b, struct call *c);

/* Does it if it is a call that never leaves an entry, and says so. */
bool core_handle_proof(struct batch *b, struct call *c);

/* ------------------------------------------------------------ batch.c */

/* Opens a transaction for entries of this moment; `full`: on the reserve. Errors: as store_begin(). */
MUST_CHECK
enum liaison_code batch_begin(struct core *core, struct arena *arena, bool full,
                              struct batch *b);

/* After LIAISON_OK all of it is durable and may be told. Otherwise batch_undo() is due. */
MUST_CHECK
enum liaison_code batch_commit(struct batch *b);

/* Takes the batch back in memory, as the store has. */
void batch_undo(struct batch *b);

/* Handles the calls, commits and answers. What finds no room is tried again on the reserve, where only reads, denials and their
 * entries go. *more: deliveries wait still. Takes calls. Errors: what ends the process. */
MUST_CHECK
enum liaison_code batch_run(struct core *core, struct arena *arena, struct call *calls,
                            bool *more);

/* Does some work of the broker's own in a batch by itself; `full`: on the reserve. Resets the arena.
 * Errors: LIAISON_FULL, LIAISON_MEMORY: nothing was done; what ends the process. */
typedef void batch_work(struct batch *b, void *arg);
MUST_CHECK
enum liaison_code batch_alone(struct core *core, struct arena *arena, bool full,
                              batch_work *work, void *arg);

/* Sends a chain to its gates, each gate's part as one message, in order. Takes the chain. */
void core_send(struct core *core, struct call *chain);

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

/* The same of the month of an earlier entry, from the store. Errors: LIAISON_NOT_FOUND, LIAISON_DAMAGED, LIAISON_IO. */
MUST_CHECK
enum liaison_code party_old_keys(struct batch *b, const struct party *p, uint64_t time_ns,
                                 struct vault_keys *out);

/* ------------------------------------------------------------ item.c */

/* The referral of that number, from the batch or the store. NULL: damaged or out of memory, and the batch has failed. */
struct item *item_get(struct batch *b, uint64_t number);

/* A new one with fresh keys; the caller fills the row. NULL when memory is out. */
struct item *item_make(struct batch *b);

/* True once it is erased: state, number and entries are left, nothing that could be opened. */
static inline bool item_erased(const struct item *i)
{
    return i->row.erased_seq != 0;
}

static inline bool item_has(const struct item *i, Liaison__V1__Flag flag)
{
    return (i->row.flags >> flag & 1) != 0;
}

static inline void item_flag(struct item *i, Liaison__V1__Flag flag, bool on)
{
    uint32_t bit = UINT32_C(1) << flag;

    i->row.flags = on ? i->row.flags | bit : i->row.flags & ~bit;
    i->dirty = true;
}

/* True of its sender and its recipient; and of those, too, who were told of it: they see the card and the history. */
bool item_party(const struct item *i, const struct party *who);
bool item_knows(const struct item *i, const struct party *who);

/* It has come to that state, which may be the one it was in, at this moment; its recipient's places are counted. */
void item_moved(struct batch *b, struct item *i, Liaison__V1__State next);

/* Its recipient is another from now on. */
void item_readdress(struct batch *b, struct item *i, const struct party *to);

/* It takes none of its recipient's places any more: it is erased. */
void item_leave(struct batch *b, const struct item *i);

/* True while its recipient does not know of it: approvals are wanted first. */
static inline bool item_hidden(const struct item *i)
{
    return item_has(i, LIAISON__V1__FLAG__FLAG_UNAPPROVED);
}


/* The other party of it, as `who` sees it; of those who were told of it, the sender. */
struct party *item_other(const struct batch *b, const struct item *i,
                         const struct party *who);

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

/* Writes every touched row into the transaction. */
void item_flush(struct batch *b);

/* Seals and stores, loads and opens, one action; `certificate` is put back. */
void item_put_action(struct batch *b, struct item *i, uint32_t version,
                     const Liaison__V1__SignedAction *a, const uint8_t signer[32]);
MUST_CHECK
enum liaison_code item_get_action(struct batch *b, struct item *i, uint32_t version,
                                  const Liaison__V1__SignedAction **out);

/* ------------------------------------------------------------ rate.c */

struct rates;

/* Counts what was committed within the last hour, once. False: the batch has failed. */
bool rate_recount(struct batch *b);

/* The limit that this sender has reached with what it sent within the last hour, NULL: none. Nothing is counted. NULL too when the
 * batch has failed. */
const struct rules_rate *rate_reached(struct batch *b, const struct rules_decision *d, const struct party *sender);

/* Counts what was taken. */
void rate_taken(struct batch *b, const struct rules_decision *d, const struct party *sender);
void rate_undo(struct batch *b); /* after a failure */
void rate_free(struct rates *r); /* NULL is harmless */

/* ------------------------------------------------------------ onward.c */

/* Whether `who` may send `e` as far as the referral it continues is concerned. Nothing moves.
 * Errors: LIAISON_FIELD (that one is not theirs), LIAISON_DENIED, those of rules_decide(); the batch's. */
MUST_CHECK
enum liaison_code onward_judge(struct batch *b, const struct party *who, const Liaison__V1__Envelope *e,
                               struct onward *o);

/* It was sent on to `to`: the permission for that is used up. */
void onward_taken(struct onward *o, const struct party *to);

/* ------------------------------------------------------------ again.c */

/* Notes that it was judged in this batch, when it was taken: `d` lives as long as the batch. */
void again_taken(struct batch *b, struct item *i, const struct rules_decision *d);

/* True if the rules in force allow it; i->again says more. Nothing moves. False too when the batch has failed. */
MUST_CHECK
bool again_allowed(struct batch *b, struct item *i);

/* The same before more of it is seen: what is not allowed any more is barred, with an entry, an alert to its sender, and its
 * mail taken out; what was barred and is allowed again goes on. */
bool again_settled(struct batch *b, struct item *i);

/* It is erased: nothing waits for other rules any more. */
void again_forgotten(struct batch *b, const struct item *i);

/* Settles some of the barred ones, from number *from on, which is moved on. True: there may be more. */
MUST_CHECK
bool barred_look(struct batch *b, uint64_t *from);

/* ------------------------------------------------------------ index.c */

enum { INDEX_KNOWN_BYTES = 5 + ID_BYTES, INDEX_INBOX_BYTES = 12 };

/* Keys of T_KNOWN and T_INBOX. */
struct slice index_known_key(uint32_t from, struct slice id, uint8_t key[INDEX_KNOWN_BYTES]);
struct slice index_inbox_key(uint32_t to, uint64_t number, uint8_t key[INDEX_INBOX_BYTES]);

/* Its row in its recipient's inbox goes. */
void index_hide(struct batch *b, const struct item *i);

/* The rows of a new referral; its recipient's once it may know of it. */
void index_put(struct batch *b, const struct item *i);
void index_show(struct batch *b, const struct item *i);

/* The referral that (from, id) names, or NULL: there is none, or b->failed says more. A row that leads elsewhere is made again. */
struct item *item_find(struct batch *b, const struct party *from, struct slice id);

/* The referral that an index says. NULL: there is none of that number, and nothing has failed; or b->failed says more. */
struct item *index_item(struct batch *b, uint64_t number);

/* Compares the indexes with at most n referrals from a number on, and puts right what is wrong. Returns where to go on. */
uint64_t index_look(struct batch *b, uint64_t from, size_t n);

/* ------------------------------------------------------------ groups.c */

/* Opens the key file at the epoch that the store says. Evidence is read without it, if it must be: c->vault is NULL then.
 * On error `why` is a sentence. Errors: those of vault_open and the store. */
MUST_CHECK
enum liaison_code groups_load(struct core *c, char *why, size_t why_len);

/* The epoch of the key file that the store wants; 0 if it does not say. Errors: LIAISON_DAMAGED, LIAISON_IO. */
MUST_CHECK
enum liaison_code groups_epoch(struct store *s, uint64_t *epoch);

/* Draws keys for a slot and wraps them; opens wrapped ones. Errors: LIAISON_DAMAGED, LIAISON_EVIDENCE (no key
 * file), those of the store. */
MUST_CHECK
enum liaison_code group_make_keys(struct batch *b, struct vault_slot slot, struct vault_keys *out,
                            uint8_t wrapped[VAULT_WRAPPED_BYTES]);
MUST_CHECK
enum liaison_code group_open_keys(struct batch *b, struct vault_slot slot, struct slice wrapped,
                            struct vault_keys *out);

/* Draws a new key for the group of that referral, under which those of it that are not erased are wrapped from then on. */
MUST_CHECK
enum liaison_code group_renew(struct batch *b, uint64_t number);

/* Draws the key file's next key and wraps every group's key under it; vault_turn() or vault_drop() has to follow the batch's end,
 * unless its outcome is not known. Errors: LIAISON_FULL, LIAISON_IO, LIAISON_DAMAGED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code groups_rotate(struct batch *b);

/* ------------------------------------------------------------ trail.c */

/* Adds an entry to its trail. */
void item_trail(struct batch *b, struct item *i, uint64_t seq);

/* True if the row's part of the trail has the form it must have. */
bool item_trail_whole(const Liaison__Rows__V1__Referral *row);

/* Entries about a referral from a number on, oldest first. */
struct trail {
    uint64_t from;
    uint8_t *seqs; /* 8 bytes each, in the batch's arena */
    size_t n, room;
};

/* Fills t->seqs from `from` on with at most `room` of them. A trail that does not lead to the referral's entries is made again
 * from the log. False: the batch has failed. */
MUST_CHECK
bool trail_read(struct batch *b, struct item *i, struct trail *t);

/* ------------------------------------------------------------ record.c */

/* One entry made: its bytes (in the batch's arena), number and commitment key. */
struct recorded {
    struct slice entry;
    uint64_t seq; /* number in the store */
    uint8_t opening[32];
};

/* Appends one entry: fills in seq, time, counters, rule set and names of the parties; its opening hangs on `item`'s keys, or on
 * `who`'s month when item is NULL or erased. An officer that no signed bytes hold is kept sealed beside it. False: the batch has failed. */
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
void core_refused(struct batch *b, struct call *c, struct session *s,
                  const struct denial *d);

/* Accepted, or Duplicate with the same bytes. */
void core_accepted(struct batch *b, struct call *c, struct session *s, bool duplicate,
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
handler prove_call, hashes_call; /* prove.c */

handler rule_text_call;                                     /* kept_rules.c */
handler cosign_call;                                        /* cosign.c */
handler summarize_call;                                     /* summary.c */
handler grant_call, ack_call;                               /* mail.c */

/* ------------------------------------------------------------ take.c */

/* Sends it on its way to its recipient: that it leaves the regime it was held under is an entry, and it waits in the mailbox. */
void item_release(struct batch *b, struct item *i, const struct rules_decision *d, const uint8_t signer[32]);

/* ------------------------------------------------------------ oblige.c */

/* What it is bound to; lives in the batch's arena. NULL: memory is out. */
Liaison__V1__Obligations *obligations_kept(struct batch *b, const struct item *i);

/* ------------------------------------------------------------ card.c */

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

/* ------------------------------------------------------------ kept_rules.c */

/* Keeps the whole text of a rule set for whoever reads entries later, a part at a call: *left is how many bytes of it are yet
 * to be kept. False: it is all there. */
bool kept_rules_keep(struct batch *b, const struct rules *rules, size_t *left);

/* Ids of the lines that an entry cites, for ledger_fact.rules, in the batch's arena; each line is kept when it is first
 * cited. NULL: the batch has failed. */
const struct slice *kept_rules_cite(struct batch *b, const struct rules_line *const *lines, size_t n);

/* After a batch that failed: what it kept is not there. */
void kept_rules_undo(struct core *c);

/* ------------------------------------------------------------ reload.c */

/* Says in the start's batch what is in force, and what was when the broker ran last. */
void reload_begin(struct batch *b);

/* Goes on with the reload that waits, a batch a step, so that calls are served in between. Errors: what ends the process. */
MUST_CHECK
enum liaison_code reload_step(struct core *core, struct arena *arena);

/* ------------------------------------------------------------ erase.c */

/* Erases in a batch of its own: it wraps keys anew that other calls of a batch may have in hand. */
void erase_call(struct batch *b, struct call *c);

/* After that batch has ended with `code`: the key file's old key is destroyed, or its new one, and the answer is complete.
 * Errors: what must end the process; the next start sees by the store's epoch whether it was committed. */
MUST_CHECK
enum liaison_code erase_settle(struct core *core, struct call *c, enum liaison_code code);

/* Erases what is not erased yet, of a legal ground, asked for by an officer (NULL: by the rules), in a batch that holds nothing
 * else; erase_turn() has to follow it. False: the batch has failed. */
MUST_CHECK
bool erase_items(struct batch *b, struct item *const *items, size_t n, const char *basis,
                 const char *officer);

/* After that batch has ended with `code`: the key file's old key is destroyed, or its new one where nothing was erased.
 * *done (LIAISON_OK, or why nothing was). Errors: as erase_settle(). */
MUST_CHECK
enum liaison_code erase_turn(struct core *core, enum liaison_code code, size_t n,
                             enum liaison_code *done);

/* "erased under entry 12", in the arena. */
const char *erased_text(struct arena *a, const struct item *i);

/* ------------------------------------------------------------ deadline.c */

/* Reads the answer clock. Errors: LIAISON_DAMAGED, LIAISON_IO, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code deadline_open(struct core *c);

/* It was submitted, or has moved: how long it is kept begins anew, and whoever has answered is not waited for. */
void deadline_moved(struct batch *b, struct item *i);

/* The recipient was told of it: if that was the first time, the time to answer begins. */
void deadline_delivered(struct batch *b, struct item *i);

/* Nobody waits for an answer, or to erase it, any more. */
void deadline_drop(struct batch *b, struct item *i);

/* When the recipient has to have answered, and when it is erased unless it moves (the end of a day, UTC), by ledger time; 0: no
 * such time. */
uint64_t deadline_answer_by_ms(const struct batch *b, const struct item *i);
uint64_t deadline_keep_until_ms(const Liaison__Rows__V1__Referral *row);

/* Takes a row out of the table. */
void deadline_take_out(struct batch *b, enum deadline kind, uint64_t at_ms,
                       uint64_t number);

/* Nobody waits for an answer any more. Its erasure is due later, as it has moved. */
void deadline_answered(struct batch *b, struct item *i);
void deadline_put_off(struct batch *b, struct item *i);

/* True if the table has what the row says; puts it there. */
bool deadline_whole(struct batch *b, const Liaison__Rows__V1__Referral *row, uint64_t number);
void deadline_mend(struct batch *b, uint64_t number);

/* Puts the answer clock into a batch, if that is due. While an answer is awaited it is due without anything else, too. */
void deadline_keep_time(struct batch *b);
bool deadline_time_due(const struct core *c, uint64_t now_ns);

/* ------------------------------------------------------------ due.c */

/* Once a second: lets what is due happen, some of it if there is much. *more: there is something to deliver now. */
MUST_CHECK
enum liaison_code deadline_run(struct core *core, struct arena *arena, bool *more);

/* ------------------------------------------------------------ mail.c */

/* Puts a referral (version 0) or an action's notice into `to`'s mailbox. Returns the item's number. */
uint64_t mail_put(struct batch *b, struct party *to, unsigned class, uint64_t referral,
                  uint32_t version);

/* Puts an alert into `to`'s mailbox: the referral's card without sections, a flag, and the entry of that number in the store,
 * which says so. `to` is a party of the referral or among those told of it (row.told). */
void mail_alert(struct batch *b, struct party *to, const struct item *i,
                Liaison__V1__Flag flag, uint64_t entry_seq);

/* Takes the referral's own item out of the recipient's mailbox, if it still waits. */
void mail_drop(struct batch *b, struct item *i);

/* Takes every item of erased referrals in the batch's hands out of an agency's mailbox. */
void mail_erase(struct batch *b, uint32_t agency);

/* Leases and encodes all that credit allows; bounded, so *more says that there may be more. */
void mail_push(struct batch *b, uint64_t now_mono_ms, bool *more);

/* Gives delivery back what it thought gone, after a batch that failed. */
void mail_undo(struct batch *b);

/* ------------------------------------------------------------ peer.c */

void peer_opened(struct batch *b, struct call *c);
void peer_closed(struct core *core, uint64_t session);
void peer_free(struct session *s); /* NULL is harmless */
void peer_refused(struct batch *b, const struct call *c, Liaison__V1__Event event);
void peer_strangers(struct batch *b, const struct call *c);
void broker_entry(struct batch *b, Liaison__V1__Event event, const uint8_t digest[32]);

/* The broker itself, as the ledger knows it. NULL: the batch has failed. */
struct party *broker_party(struct batch *b);

/* ------------------------------------------------------------ notes.c */

/* Asks the notary what it has signed, and whether the store is of the same mind: if it is not, why says so and *sound is false.
 * A notary whose key is of the log after the store's begins that one, behind settings.last_note if it is not the first.
 * Of a log that is evidence already nothing more is asked. Gives: c->notes.
 * Errors: LIAISON_CONFIG (the key is another log's, or there is no last_note), LIAISON_IO, LIAISON_TIMEOUT, LIAISON_DAMAGED, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code notes_open(struct core *c, bool *sound, char *why, size_t why_len);
void notes_free(struct notes *n); /* NULL is harmless */

/* The descriptor to wait on, -1: there is no notary. */
int notes_fd(const struct notes *n);

/* True if a log has to be begun before the first entry. */
bool notes_begin_due(const struct core *c);

/* Begins it: its row, and the entry that names the last checkpoint of the one before. */
void notes_begin(struct batch *b);

/* True if no entry of the log says yet that its key was rotated to the one it has; puts that entry. */
bool notes_rotation_due(const struct core *c);
void notes_rotate(struct batch *b);

/* Takes the notary's answer, if there is one. What it refuses to sign is evidence. */
void notes_hear(struct core *c);

/* Waits, for some seconds at most, for the answer that is due: what is committed next can then be asked for at once, and no clean
 * end leaves entries that nobody has signed. */
void notes_settle(struct core *c);

/* Puts what the notary signed into the batch, and thins out what stood there. */
void notes_put(struct batch *b);

/* After a commit: what it held is the newest checkpoint, and receipts may go out, in *pushes; the notary is asked to sign what is
 * there by now. */
void notes_committed(struct batch *b, struct call **pushes);

/* True if nothing has been signed for so long that nothing new is taken. */
bool notes_overdue(const struct core *c);

/* True if a signed checkpoint waits to be kept. */
bool notes_pending(const struct notes *n);

/* The newest checkpoint that is kept: empty, if there is none. Lives until the next commit. */
struct slice notes_newest(const struct notes *n, uint64_t *size);

/* The keys of this log's notes; see note_judge(). NULL: no policy was given. */
const struct note_key *notes_key(const struct notes *n);

/* Puts a cosigned checkpoint into the batch. `note` lives in the batch's arena. */
void notes_cosigned(struct batch *b, uint64_t size, struct slice note);

/* A kept checkpoint of at least `size` leaves; `witnessed`: that the quorum has cosigned. {NULL, 0}: there is none.
 * Copied into the arena. */
struct slice notes_find(struct batch *b, struct arena *a, uint64_t size, bool witnessed, uint64_t *found);

/* Remembers that the session wants a receipt for the entry just recorded. */
void receipt_await(struct batch *b, struct session *s, uint64_t seq);

/* ------------------------------------------------------------ receipts.c */

/* Hands what the committed batch promised to the sessions. */
void receipts_promised(const struct batch *b);

/* A Receipts frame for each session that waits for leaves below `size`, put in front of *pushes. */
void receipts_push(struct core *c, struct call **pushes);

/* Proofs, 32 bytes an element, in the arena. Errors: as merkle_prove(); LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code prove_leaf(struct core *c, struct arena *a, uint64_t leaf, uint64_t size, ProtobufCBinaryData *path);
MUST_CHECK
enum liaison_code prove_growth(struct core *c, struct arena *a, uint64_t old, uint64_t size, ProtobufCBinaryData *proof);

/* ------------------------------------------------------------ summary.c */

/* Reads when the last summary was. */
MUST_CHECK
enum liaison_code summary_open(struct core *c);

/* At the end of a batch: writes a summary if one is due. */
void summary_if_due(struct batch *b);

/* ------------------------------------------------------------ replay.c */

/* Compares the next few referrals with what their entries come to, over and over again; changes nothing. Resets the arena. */
void replay_some(struct core *c, struct arena *arena);

/* ------------------------------------------------------------ keys.c */

enum key_use { KEY_SIGN = 1, KEY_APPROVE, KEY_SEAL };

/* Has a KEY entry made when the certificate is the first time seen in this use in that name. False: the batch has failed. */
MUST_CHECK
bool key_seen(struct batch *b, const struct party *owner, enum key_use use, const uint8_t sha256[32]);

/* The same of one that logged in, or signed, in this session. */
MUST_CHECK
bool key_spoke(struct batch *b, const struct session *s, const uint8_t sha256[32]);

/* True if the Directory shows it on that day: its agency is declared and still there, and no rule denies it. */
bool key_listed(const struct core *c, const struct published *p, int32_t day);

/* Some of the directory, from row *next on: each that is listed gets its KEY entry. True: there may be more. */
bool keys_publish(struct batch *b, size_t *next);

/* Some of the sealing certificates that have one: each that is not listed any more gets another that says so. */
bool keys_withdraw(struct batch *b, struct keys_place *next);
void keys_free(struct core *c);

/* Numbers of all KEY entries about its certificates, 8 bytes each, rising, in the batch's arena. False: the batch has failed. */
MUST_CHECK
bool keys_of(struct batch *b, const struct party *owner, struct slice *out);

/* ------------------------------------------------------------ succession.c */

/* If its recipient was merged into another agency by this day, and it waits for that recipient still: flagged, with an entry and an
 * alert to its sender, and its mail taken out. True if it is flagged now. False too when the batch has failed. */
bool succession_flag(struct batch *b, struct item *i);

/* Flags some of those in the inboxes of merged agencies. True: there may be more. */
bool succession_look(struct batch *b, struct inbox_place *next);

/* True if `who` does the work that one of the referral's parties did, which is no more. */
bool succession_reads(const struct batch *b, const struct item *i, const struct party *who);

/* ------------------------------------------------------------ rounds.c */

/* Rules or directory are new: all of it once more. */
void rounds_begin(struct core *c);

/* One part of it, if something is left; *more is set then. Resets the arena. Errors: what ends the process. */
MUST_CHECK
enum liaison_code rounds_run(struct core *c, struct arena *arena, bool *more);

/* ------------------------------------------------------------ agencies.c */

/* A page of the agencies that `d` asks for, at most `rows`, and the broker's CRLs. False: the batch has failed. */
MUST_CHECK
bool agencies_fill(struct batch *b, const Liaison__V1__Directory *d, size_t rows, Liaison__V1__Agencies *page);

/* Part of the revocation lists, from byte `from` on. False: the batch has failed. */
MUST_CHECK
bool agencies_lists(struct batch *b, uint64_t from, Liaison__V1__Agencies *page);

/* ------------------------------------------------------------ tend.c */

/* Every few seconds: frees what dead readers of the store held, and says who holds too much. */
void tend(struct core *c);

/* ------------------------------------------------------------ evidence */

/* From now on nothing is written or signed. */
void core_evidence(struct core *c, const char *why);

/* A call has met what cannot be read as it was hashed: from now on the log is evidence, and the call is told so. */
void core_found_damage(struct batch *b, struct call *c, const char *why);
