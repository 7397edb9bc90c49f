#pragma once
/* What the commands of liaison(1) share: options, the profile, errors, answers. */
#include "client/json/json.h"
#include "client/json/profile.h"
#include "client/lib/liaison.h"
#include "proto/arena.h"
#include "proto/err.h"
#include "proto/version.h"

enum option {
    /* of every command */
    OPT_PROFILE,
    OPT_BROKER,
    OPT_OFFICER,
    OPT_PURPOSE,
    OPT_BASIS,
    OPT_TIMEOUT,
    OPT_JSON,
    OPT_HELP,
    OPT_VERSION,
    OPT_LIST_COMMANDS,
    OPT_LIST_OPTIONS,
    /* of some */
    OPT_NETWORK,
    OPT_AGENCY,
    OPT_AUDITOR,
    OPT_SIGN_KEY,
    OPT_SEAL_KEY,
    OPT_APPROVER,
    OPT_INSTALL,
    OPT_TO,
    OPT_STRIP,
    OPT_SAVE,
    OPT_WAIT,
    OPT_ALL,
    OPT_REASON,
    OPT_OUTCOME,
    OPT_NOTES,
    OPT_STATE_VERSION,
    OPT_KIND,
    OPT_AREA,
    OPT_SKILL,
    OPT_LANGUAGE,
    OPT_EXPORT,
    OPT_EXEC,
    OPT_ONCE,
    OPT_EVERY,
    OPT_OUTBOX,
    OPT_LISTEN,
    OPT_RECEIPT,
    OPT_POLICY,
    OPT_REFERRAL,
    OPT__COUNT
};

#define BIT(option) (UINT64_C(1) << (option))

/* One run of the program. */
struct cli {
    const char *opt[OPT__COUNT]; /* NULL: not given; "" for those without a value */
    struct arena *arena;         /* lives until the end */
    struct profile profile;      /* after cli_profile() */
    struct liaison *lib;         /* after cli_open() */
};

struct command {
    const char *name, *args, *help, *example;
    uint64_t options;       /* BIT()s of its own */
    int min_args, max_args; /* max -1: any number */
    int (*run)(struct cli *c, int argc,
               char **argv); /* its arguments, without options; returns the exit status */
};

/* ---- options.c */

/* Sorts options from arguments: afterwards argv[0..*argc-1] are the arguments. `allowed` are BIT()s.
 * Errors: LIAISON_USAGE, said on stderr. */
MUST_CHECK
enum liaison_code options_read(struct cli *c, int *argc, char **argv, uint64_t allowed);

/* The options in `set`, one line each, for --help. */
void options_help(uint64_t set);

/* The same for programs: "--name" or "--name VALUE" on each line. */
void options_list(uint64_t set);

/* An option's name, without "--". */
const char *options_name(enum option o);

/* BIT()s of the options that every command has. */
extern const uint64_t OPTIONS_OF_ALL;

/* True if `text` is a number from `low` to `high`. */
MUST_CHECK
bool options_number(const char *text, uint32_t low, uint32_t high, uint32_t *out);

/* ---- cli.c */

/* Says "liaison: ..." on stderr. Returns the exit status for `code`. */
__attribute__((format(printf, 2, 3))) int cli_fail(enum liaison_code code,
                                                   const char *format, ...);

/* The same with the library's sentence about its last call. */
int cli_lib_fail(struct cli *c, enum liaison_code code);

/* Memory is out. */
int cli_no_memory(void);

/* Reads the profile into c->profile. Errors are said; the exit status is in *status. */
MUST_CHECK
bool cli_profile(struct cli *c, int *status);

/* Reads the profile, which must be an agency's, and makes c->lib ready with all settings; connects to nobody yet. */
MUST_CHECK
bool cli_open(struct cli *c, int *status);

/* The same for any member's: auditors are witnesses, and verify receipts. */
MUST_CHECK
bool cli_open_any(struct cli *c, int *status);

/* After cli_open(): may what we are about to do be logged as it must be? Reads say for which purpose and on which
 * basis, moves for which officer too. On false it was said how to. */
MUST_CHECK
bool cli_reads(const struct cli *c, int *status);
MUST_CHECK
bool cli_moves(const struct cli *c, int *status);

/* The Frame of an answer, decoded strictly; lives in c->arena. NULL if it has none or is not one (said). */
const Liaison__V1__Frame *cli_frame(struct cli *c, const struct liaison_answer *a);

/* Decodes strictly into c->arena; NULL if it is not that. */
const void *cli_decode(struct cli *c, const ProtobufCMessageDescriptor *type,
                       struct slice bytes);

/* A text in c->arena; "" when memory is out. */
__attribute__((format(printf, 2, 3))) const char *cli_text(struct cli *c,
                                                           const char *format, ...);

const char *cli_hex(struct cli *c, ProtobufCBinaryData bytes);
const char *cli_id(struct cli *c, ProtobufCBinaryData id); /* UUID text */
const char *cli_time(struct cli *c,
                     uint64_t unix_ms); /* "2026-11-23 08:00" in UTC; "" for 0 */
const char *cli_state(struct cli *c, Liaison__V1__State s); /* "in-progress" */
const char *cli_word(struct cli *c, const ProtobufCEnumDescriptor *type, int number);

/* ---- print.c */

/* Writes one JSON object as one line. Takes o (NULL says that memory is out). Returns the exit status. */
int print_json(json_t *o);

/* Writes text so that it cannot steer a terminal: control characters become '?'. New lines do too if `indent` is
 * NULL; else they stay, with `indent` behind each. */
void print_safe(const char *text, const char *indent);

/* Rows of cells in columns. */
struct table;

/* `titles` end with NULL and live as long as the table, in `a`, as the cells do. NULL when memory is out. */
struct table *table_new(struct arena *a, const char *const *titles);

/* Adds one row of as many cells as there are titles. */
void table_row(struct table *t, const char *const *cells);

/* Writes it: the header bold on a terminal without NO_COLOR. */
void table_print(const struct table *t);

/* ---- answer.c */

/* Says what became of a submit or a move: one line (or JSON object, with `extra`'s members first). Takes extra,
 * frees the answer. `what` is "submit" or a move; `id` is the referral's. Returns the exit status. */
int cli_say_answer(struct cli *c, enum liaison_code code, struct liaison_answer *a,
                   const char *what, const char *id, json_t *extra);

/* The rules of an answer, indented, one per line; or as JSON [{"where", "text"}]. */
void answer_rules(const struct liaison_answer *a);
json_t *answer_rules_json(const struct liaison_answer *a);

/* ---- obligations.c */

/* The list, with commas; "" if there is nothing in it. */
const char *cli_names(struct cli *c, char **list, size_t n);

/* An obligation in words; `text` is "" where there is none. */
struct obligation {
    const char *name, *text;
};
enum { OBLIGATIONS = 6 };
void cli_obligations(struct cli *c, const Liaison__V1__Obligations *o,
                     struct obligation out[OBLIGATIONS]);

/* ---- card.c: what a party sees */

/* A card and its envelope. `trouble` says why its signature does not hold; NULL: verified, signed by
 * envelope->from. */
struct card {
    const Liaison__V1__Card *card;
    const Liaison__V1__Envelope *envelope;
    const char *trouble;
    Liaison__V1__Box box;
};

/* Checks the i-th signed thing of `a` and fills *out from `card`. False if it is not even an envelope (said). */
MUST_CHECK
bool card_read(struct cli *c, const struct liaison_answer *a, size_t i,
               const Liaison__V1__Card *card, struct card *out);

json_t *card_json(const struct card *card);

/* The state and, in brackets, the flags. */
const char *card_state(struct cli *c, const Liaison__V1__Card *card);
void card_print(struct cli *c, const struct card *card);

/* Calls `each` with every card of a box until it returns false. Errors: those of liaison_query_next. */
typedef bool card_each(struct cli *c, const struct card *card, void *arg);
MUST_CHECK
enum liaison_code card_list(struct cli *c, Liaison__V1__Box box, bool finished,
                            card_each *each, void *arg);

/* Which referral a person means: an id, FROM:ID, or the beginning or end of an id that stands in the inbox or in
 * sent.
 *
 * version is 0, card and envelope NULL if it was not looked up, which happens for FROM:ID with the whole id unless
 * `look`.
 * On false the reason was said and *status is the exit status. */
struct target {
    const char *from, *id;
    uint32_t version;
    const Liaison__V1__Card *card;
    const Liaison__V1__Envelope *envelope;
};
MUST_CHECK
bool card_find(struct cli *c, const char *text, bool look, struct target *out,
               int *status);

/* ---- item.c: what comes out of the mailbox */

/* Checks the signature in a delivery. Gives: *json, with "item", "mailbox" and "attempt" first, and *line, the same
 * in one line of text that lives in c->arena. Errors: LIAISON_MALFORMED, LIAISON_MEMORY, and those of
 * liaison_verify: all are said. */
MUST_CHECK
enum liaison_code item_read(struct cli *c, const struct liaison_answer *delivery,
                            json_t **json, const char **line);

/* ---- files.c */

/* Reads a referral document and checks it. On false the reason was said. */
MUST_CHECK
bool files_referral(struct cli *c, const char *path, struct liaison_referral **out,
                    int *status);

/* Content for a section that a person gives as FILE.json or as text. */
MUST_CHECK
bool files_content(struct cli *c, const char *given, const char **type, struct slice *out,
                   int *status);

/* Reads a whole file of at most `max` bytes into c->arena. On false the reason was said. */
MUST_CHECK
bool files_read(struct cli *c, const char *path, size_t max, struct slice *out,
                int *status);

/* Writes a new file, mode 0600, on disk afterwards. */
MUST_CHECK
bool files_write_new(const char *path, struct slice bytes, int *status);

/* ---- outbox.c: signed referrals that wait in the profile until the broker has answered for each */

/* True afterwards: the signed bytes of all of r[0..n-1] are on disk in the profile's outbox, or none is. `strip` is
 * kept with them. On false the reason was said. */
MUST_CHECK
bool outbox_keep(struct cli *c, struct liaison_referral *const *r, size_t n, bool strip,
                 int *status);

/* Sends what waits, in order: all, or one batch, which is named by the id of its first referral. What the broker
 * answered leaves the outbox: taken, or kept aside as refused. Returns the exit status; 75: the broker did not
 * answer, and it still waits. */
int outbox_send(struct cli *c, const char *batch);

/* ---- receipt.c: receipts in the profile, one file each beside nothing that changes */

/* What came of the receipt of one answer. */
struct receipt_news {
    struct liaison_receipt *receipt; /* NULL: the profile has no policy, or the answer no entry */
    const char *file;                /* where it is, proven or not */
    int status;                      /* exit status: what came is evidence, or --receipt was not met */
};

/* Keeps the claim of an answer at once, and its receipt if it comes in time: shortly, or with --receipt within
 * --timeout. */
struct receipt_news receipt_keep(struct cli *c, const struct liaison_answer *a, const char *id);

/* One line, or as JSON (null if there is none). */
void receipt_say(struct cli *c, const struct receipt_news *news);
json_t *receipt_json(struct cli *c, const struct receipt_news *news);

/* ---- export.c */

/* Writes the signed pieces of a referral into the new folder `dir`. Returns the exit status. */
int export_view(struct cli *c, const Liaison__V1__SignedReferral *r, const char *dir);

/* ---- templates.c */

/* Writes the template for a category, or the general one, with its recipient (NULL: one to be replaced). Returns
 * its length. */
int template_print(const char *category, const char *to, char *out, size_t out_len);

/* ---- the commands */
int cmd_enrol(struct cli *c, int argc, char **argv);
int cmd_new(struct cli *c, int argc, char **argv);
int cmd_check(struct cli *c, int argc, char **argv);
int cmd_submit(struct cli *c, int argc, char **argv);
int cmd_inbox(struct cli *c, int argc, char **argv);
int cmd_sent(struct cli *c, int argc, char **argv);
int cmd_show(struct cli *c, int argc, char **argv);
int cmd_accept(struct cli *c, int argc, char **argv);
int cmd_reject(struct cli *c, int argc, char **argv);
int cmd_start(struct cli *c, int argc, char **argv);
int cmd_complete(struct cli *c, int argc, char **argv);
int cmd_withdraw(struct cli *c, int argc, char **argv);
int cmd_approve(struct cli *c, int argc, char **argv);
int cmd_acknowledge(struct cli *c, int argc, char **argv);
int cmd_permit(struct cli *c, int argc, char **argv);
int cmd_reseal(struct cli *c, int argc, char **argv);
int cmd_history(struct cli *c, int argc, char **argv);
int cmd_directory(struct cli *c, int argc, char **argv);
int cmd_watch(struct cli *c, int argc, char **argv);
int cmd_outbox(struct cli *c, int argc, char **argv);
int cmd_cert(struct cli *c, int argc, char **argv);
int cmd_tunnel(struct cli *c, int argc, char **argv);
int cmd_receipt(struct cli *c, int argc, char **argv);
int cmd_witness(struct cli *c, int argc, char **argv);
