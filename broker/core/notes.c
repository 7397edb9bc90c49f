/* Checkpoints: asked of the notary after a commit, kept by the next one, and only then told. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

enum {
    START_MS = 10000,  /* for the notary's first answer */
    SETTLE_MS = 5000,  /* for the last that was asked of it */
    LOOKED_AT = 10080, /* checkpoints, at start */
    SPACED_MS = 60000, /* of checkpoints that nobody cosigned, one in this time is kept */
};

struct notes {
    struct notary *notary; /* NULL: there is none, or it has ended */
    struct note_key key;
    uint8_t *rotation; /* to that key, if no entry holds it yet */
    size_t rotation_len;
    bool begin;           /* the notary's log is the one after the store's */
    bool asked;           /* an answer is due */
    uint64_t signed_size; /* what the notary signed last */
    struct notary_answer answer;
    bool pending; /* `answer` holds a note that is not kept yet */
    uint64_t pending_size;
    uint8_t *newest; /* the newest that is kept */
    size_t newest_len;
    uint64_t size; /* of it; 0: none */
    uint64_t made_ms,
        spaced_ms;      /* when it was made, and the one that keeps its distance */
    bool cosigned;      /* it has a cosignature */
    uint64_t witnessed; /* size of the newest with a quorum; 0: none */
    uint64_t
        unsigned_ms; /* monotonic: since when there are entries beyond `size`; 0: there are none */
    bool overdue;
};

static uint64_t mono_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct slice note_key_of(const struct core *c, uint64_t size, uint8_t key[12])
{
    be32_put(key, log_number(c->log));
    be64_put(key + 4, size);
    return slice(key, 12);
}

/* ------------------------------------------------------------ opening */

/* The number that an origin ends in. 0: none. */
static uint32_t number_of(const char *origin)
{
    const char *slash = strrchr(origin, '/');
    char *end;
    unsigned long n = slash == NULL ? 0 : strtoul(slash + 1, &end, 10);

    return slash == NULL || *end != '\0' || n > UINT32_MAX ? 0 : (uint32_t)n;
}

/* Up to the number that an origin ends in both say the same. */
static bool same_broker(const char *a, const char *b)
{
    const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');

    return end_a != NULL && end_b != NULL && end_a - a == end_b - b &&
           strncmp(a, b, (size_t)(end_a - a)) == 0;
}

/* The notary's key may be of the log after the store's, which then begins: the first one by itself, another one only behind the
 * last checkpoint of the one before. */
static bool may_begin(const struct core *c, const struct notary_status *s)
{
    return number_of(s->key.name) == log_number(c->log) + 1 && s->size == 0 &&
           (log_number(c->log) == 0 || same_broker(s->key.name, log_origin(c->log)));
}

/* The notary's high-water must be of this log, and this log must contain it. */
static enum liaison_code compare(struct core *c, const struct notary_status *s,
                                 bool *sound, char *why, size_t why_len)
{
    uint8_t root[HASH_BYTES];

    if (may_begin(c, s)) {
        c->notes->begin = true;
        if (log_number(c->log) == 0 || c->settings.last_note.n > 0)
            return LIAISON_OK;
        snprintf(why, why_len,
                 "the notary's key is of log %s, which is to follow the store's log %s: "
                 "start with --new-log NOTE, as before",
                 s->key.name, log_origin(c->log));
        return LIAISON_CONFIG;
    }
    if (strcmp(s->key.name, log_origin(c->log)) != 0) {
        snprintf(why, why_len, "the notary's key is of log %s, the store's log is %s",
                 s->key.name, log_number(c->log) == 0 ? "not begun" : log_origin(c->log));
        return LIAISON_CONFIG;
    }
    if (!s->has_state || c->evidence)
        return LIAISON_OK; /* it signs nothing, and says so; or that it is not sound is known */
    enum liaison_code code =
        s->size > log_size(c->log) ? LIAISON_FIELD : log_root(c->log, s->size, root);

    *sound = code == LIAISON_OK && memcmp(root, s->root, sizeof root) == 0;
    if (!*sound)
        snprintf(
            why, why_len,
            code == LIAISON_FIELD
                ? "a checkpoint of %llu entries has been signed, the store holds %llu: "
                  "it was rolled back, or its end was cut off"
                : "the first %llu of %llu entries are not those that were signed",
            (unsigned long long)s->size, (unsigned long long)log_size(c->log));
    return code == LIAISON_FIELD ? LIAISON_OK : code;
}

struct kept {
    struct notes *notes;
    bool found;
};

static int kept_row(void *arg, struct slice key, struct slice value)
{
    struct kept *k = arg;

    if (key.n != 12)
        return 1;
    k->notes->newest = malloc(value.n);
    if (k->notes->newest == NULL)
        return 1;
    memcpy(k->notes->newest, value.p, value.n);
    k->notes->newest_len = value.n;
    k->notes->size = be64_get(key.p + 4);
    k->found = true;
    return 1;
}

/* The newest checkpoint that is kept, which must be of this tree too. */
static enum liaison_code load_newest(struct core *c, bool *sound, char *why,
                                     size_t why_len)
{
    struct kept k = {.notes = c->notes};
    struct note note;
    struct checkpoint is;
    uint8_t low[12], high[12], root[HASH_BYTES];
    enum liaison_code code =
        store_scan_back(c->store, T_NOTE, note_key_of(c, 0, low),
                        note_key_of(c, UINT64_MAX, high), 1, kept_row, &k);

    if (code != LIAISON_OK || !k.found)
        return code;
    c->notes->spaced_ms = mono_ms();
    if (c->evidence)
        return LIAISON_OK;
    if (note_parse(slice(c->notes->newest, c->notes->newest_len), &note) != LIAISON_OK ||
        checkpoint_parse(note.text, &is) != LIAISON_OK || is.size > log_size(c->log) ||
        log_root(c->log, is.size, root) != LIAISON_OK ||
        memcmp(root, is.root, sizeof root) != 0) {
        *sound = false;
        snprintf(why, why_len,
                 "the checkpoint of %llu entries that is kept beside them is not theirs",
                 (unsigned long long)c->notes->size);
    }
    c->notes->cosigned = note.n > 1;
    return LIAISON_OK;
}

/* ------------------------------------------------------------ witnesses */

static void note_quorum(struct core *c, uint64_t size, struct slice note, uint64_t now_s)
{
    struct note_judgement j;

    if (size <= c->notes->witnessed || c->settings.witnesses == NULL ||
        note_judge(c->settings.witnesses, note, now_s, &j) != LIAISON_OK || !j.quorum ||
        j.quorum_s == 0)
        return;
    c->notes->witnessed = size;
    metrics_set(c->settings.metrics, METRIC_WITNESSED, size);
    metrics_set(c->settings.metrics, METRIC_QUORUM, j.quorum_s);
}

static int witnessed_row(void *arg, struct slice key, struct slice value)
{
    struct core *c = arg;

    if (key.n == 12)
        note_quorum(c, be64_get(key.p + 4), value, (uint64_t)time(NULL));
    return c->notes->witnessed != 0;
}

/* The newest that the quorum has cosigned; of those that nobody did, one a minute is kept, so a week of them is looked at. */
static enum liaison_code load_witnessed(struct core *c)
{
    uint8_t low[12], high[12];

    return store_scan_back(c->store, T_NOTE, note_key_of(c, 0, low),
                           note_key_of(c, UINT64_MAX, high), LOOKED_AT, witnessed_row, c);
}

/* ------------------------------------------------------------ rotation */

/* Fetches the rotation that no entry of the log holds yet. */
static enum liaison_code load_rotation(struct core *c)
{
    struct notes *n = c->notes;
    enum liaison_code code;

    if (memcmp(log_rotated_to(c->log), n->key.public, sizeof n->key.public) == 0)
        return LIAISON_OK;
    if ((code = notary_ask_rotation(n->notary)) != LIAISON_OK ||
        (code = notary_wait(n->notary, START_MS, &n->answer)) != LIAISON_OK ||
        n->answer.note_len == 0)
        return code;
    n->rotation = malloc(n->answer.note_len);
    if (n->rotation == NULL)
        return LIAISON_MEMORY;
    memcpy(n->rotation, n->answer.note, n->answer.note_len);
    n->rotation_len = n->answer.note_len;
    return LIAISON_OK;
}

bool notes_rotation_due(const struct core *c)
{
    return c->notes->rotation != NULL;
}

void notes_rotate(struct batch *b)
{
    struct notes *n = b->core->notes;
    struct party *self = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_KEY_ROTATE,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .note = slice(n->rotation, n->rotation_len)};

    if (self == NULL)
        return;
    if (!record(b, &f, self, NULL, NULL, false, &made))
        batch_fail(b, LIAISON_MEMORY);
    else
        log_rotate(b->core->log, b->tx, n->key.public);
}

/* ------------------------------------------------------------ both together */

enum liaison_code notes_open(struct core *c, bool *sound, char *why, size_t why_len)
{
    struct notes *n = calloc(1, sizeof *n);
    enum liaison_code code;

    *sound = true;
    c->notes = n;
    if (n == NULL)
        return LIAISON_MEMORY;
    n->notary = c->settings.notary;
    c->settings.notary = NULL;
    if (n->notary == NULL) {
        n->begin = log_number(c->log) == 0;
        return LIAISON_OK;
    }
    if ((code = notary_ask_status(n->notary)) != LIAISON_OK ||
        (code = notary_wait(n->notary, START_MS, &n->answer)) != LIAISON_OK) {
        snprintf(why, why_len, "the notary does not answer: %s", err_text(code));
        return code;
    }
    n->key = n->answer.status.key;
    n->signed_size = n->answer.status.size;
    if (!n->answer.status.has_state)
        log_error("notary.no-state", "what=\"%s\"",
                  "its high-water file is gone: nothing is signed until `liaisond notary "
                  "adopt` "
                  "has given it a checkpoint that witnesses have cosigned");
    code = compare(c, &n->answer.status, sound, why, why_len);
    if (code == LIAISON_OK && !n->begin)
        code = load_newest(c, sound, why, why_len);
    if (code == LIAISON_OK && n->size > 0 && n->answer.status.has_state &&
        n->signed_size == 0) {
        snprintf(why, why_len,
                 "checkpoints of this log were signed, but not by this notary, which has "
                 "signed nothing: put its key and state files back");
        code = LIAISON_CONFIG;
    }
    if (code == LIAISON_OK && !n->begin)
        code = load_witnessed(c);
    if (code == LIAISON_OK)
        code = load_rotation(c);
    if (log_size(c->log) > n->size)
        n->unsigned_ms = mono_ms();
    return code;
}

void notes_free(struct notes *n)
{
    if (n == NULL)
        return;
    notary_free(n->notary);
    free(n->rotation);
    free(n->newest);
    free(n);
}

int notes_fd(const struct notes *n)
{
    return n == NULL || n->notary == NULL ? -1 : notary_fd(n->notary);
}

const struct note_key *notes_key(const struct notes *n)
{
    return &n->key;
}

/* ------------------------------------------------------------ a log begins */

bool notes_begin_due(const struct core *c)
{
    return c->notes->begin;
}

void notes_begin(struct batch *b)
{
    struct core *c = b->core;
    char origin[NOTE_NAME_MAX + 1];
    struct party *self = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_NEW_LOG,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .note = c->settings.last_note};
    bool first = log_number(c->log) == 0;

    if (self == NULL)
        return;
    snprintf(origin, sizeof origin, "%s",
             c->notes->key.name[0] != '\0' ? c->notes->key.name : "unsigned/1");
    log_begin(c->log, b->tx, &b->tree, b->seq, origin);
    if (!first && !record(b, &f, self, NULL, NULL, false, &made))
        batch_fail(b, LIAISON_MEMORY);
}

/* ------------------------------------------------------------ the notary's answers */

static void lost(struct core *c, enum liaison_code code)
{
    log_error("notary.lost", "code=%s what=\"%s\"", err_name(code),
              "nothing is signed any more: restart the broker");
    notary_free(c->notes->notary);
    c->notes->notary = NULL;
    c->notes->asked = false;
    metrics_set(c->settings.metrics, METRIC_NOTARY, 0);
}

/* It will not sign: what the store holds is not what it signed before. */
static void refused(struct core *c, const struct notary_answer *a)
{
    char why[256];

    if (a->code == LIAISON_FORK || a->code == LIAISON_PROOF) {
        snprintf(why, sizeof why,
                 "the notary refuses to sign %llu entries: it has signed %llu others",
                 (unsigned long long)log_size(c->log),
                 (unsigned long long)a->status.size);
        core_evidence(c, why);
        return;
    }
    log_error("notary.refuses", "code=%s", err_name(a->code));
}

void notes_hear(struct core *c)
{
    struct notes *n = c->notes;

    if (n->notary == NULL)
        return;
    enum liaison_code code = notary_answer(n->notary, &n->answer);

    if (code == LIAISON_BUSY)
        return;
    n->asked = false;
    if (code != LIAISON_OK) {
        lost(c, code);
    } else if (n->answer.code != LIAISON_OK) {
        refused(c, &n->answer);
    } else {
        n->signed_size = n->pending_size = n->answer.status.size;
        n->pending = n->answer.note_len > 0;
    }
}

void notes_settle(struct core *c)
{
    const uint64_t until = mono_ms() + SETTLE_MS;
    struct notes *n = c->notes;

    for (uint64_t now = mono_ms(); n->asked && now < until; now = mono_ms()) {
        struct pollfd p = {.fd = notes_fd(n), .events = POLLIN};

        poll(&p, 1, (int)(until - now));
        notes_hear(c);
    }
}

static void ask(struct core *c)
{
    struct notes *n = c->notes;
    struct notary_tree t = {.old_size = n->signed_size, .size = log_size(c->log)};

    if (n->notary == NULL || n->asked || n->pending || t.size <= n->signed_size ||
        c->evidence)
        return;
    enum liaison_code code = log_root(c->log, t.size, t.root);

    if (code == LIAISON_OK)
        code = merkle_prove_growth(c->hash, log_read, c->log, t.old_size, t.size, t.proof,
                                   &t.proof_len);
    if (code != LIAISON_OK) {
        core_evidence(c, "hashes that were stored cannot be read again");
        return;
    }
    code = notary_ask_sign(n->notary, &t);
    if (code != LIAISON_OK)
        lost(c, code);
    else
        n->asked = true;
}

/* ------------------------------------------------------------ keeping */

/* True if this batch holds cosignatures of the newest checkpoint. */
static bool is_cosigned_now(const struct batch *b)
{
    const struct cosigned *c = b->cosigned;

    while (c != NULL && c->size != b->core->notes->size)
        c = c->next;
    return c != NULL;
}

void notes_put(struct batch *b)
{
    struct notes *n = b->core->notes;
    uint8_t key[12];

    b->note = n->pending;
    if (!n->pending)
        return;
    if (n->size > 0 && !n->cosigned && !is_cosigned_now(b) && n->made_ms != n->spaced_ms)
        store_delete(b->tx, T_NOTE, note_key_of(b->core, n->size, key));
    store_put(b->tx, T_NOTE, note_key_of(b->core, n->pending_size, key),
              slice(n->answer.note, n->answer.note_len));
}

static bool take_newest(struct notes *n, struct slice note, uint64_t size)
{
    uint8_t *copy = malloc(note.n);

    if (copy == NULL)
        return false;
    memcpy(copy, note.p, note.n);
    free(n->newest);
    n->newest = copy;
    n->newest_len = note.n;
    n->size = size;
    return true;
}

/* The pending note is kept now. */
static void kept(struct core *c)
{
    struct notes *n = c->notes;

    n->pending = false;
    if (!take_newest(n, slice(n->answer.note, n->answer.note_len), n->pending_size))
        return; /* no receipts for want of memory: the next checkpoint brings them */
    n->made_ms = mono_ms();
    if (n->made_ms - n->spaced_ms >= SPACED_MS)
        n->spaced_ms = n->made_ms;
    n->cosigned = false;
    n->unsigned_ms = n->size < log_size(c->log) ? n->made_ms : 0;
    n->overdue = false;
    metrics_set(c->settings.metrics, METRIC_SIGNED, n->size);
}

/* Once the log's row says so, an entry holds the rotation. */
static void rotation_kept(struct core *c)
{
    struct notes *n = c->notes;

    if (n->rotation == NULL ||
        memcmp(log_rotated_to(c->log), n->key.public, sizeof n->key.public) != 0)
        return;
    free(n->rotation);
    n->rotation = NULL;
}

/* The batch's cosignatures are kept now. The list runs from the last to the first, and the last of a checkpoint holds all. */
static void cosigned_kept(const struct batch *b)
{
    struct notes *n = b->core->notes;
    bool taken = false;

    for (const struct cosigned *c = b->cosigned; c != NULL; c = c->next) {
        if (c->size == n->size && !taken) {
            n->cosigned = true; /* in the store, whether there is memory for it or not */
            taken = take_newest(n, c->note, c->size);
        }
        note_quorum(b->core, c->size, c->note, b->wall_ms / 1000);
    }
}

void notes_committed(struct batch *b, struct call **pushes)
{
    struct core *c = b->core;
    struct notes *n = c->notes;

    cosigned_kept(b);
    if (b->note) {
        kept(c);
        receipts_push(c, pushes);
    }
    if (n->unsigned_ms == 0 && log_size(c->log) > n->size)
        n->unsigned_ms = mono_ms();
    metrics_set(c->settings.metrics, METRIC_UNSIGNED, log_size(c->log) - n->size);
    n->begin = n->begin && log_size(c->log) == 0;
    rotation_kept(c);
    ask(c);
}

bool notes_pending(const struct notes *n)
{
    return n->pending;
}

bool notes_overdue(const struct core *c)
{
    struct notes *n = c->notes;
    const struct core_settings *s = &c->settings;
    bool late = n->unsigned_ms != 0 && (mono_ms() - n->unsigned_ms > s->unsigned_ms ||
                                        log_size(c->log) - n->size > s->unsigned_entries);

    if (late && !n->overdue)
        log_error("notary.overdue", "signed=%llu entries=%llu what=\"%s\"",
                  (unsigned long long)n->size, (unsigned long long)log_size(c->log),
                  "no checkpoint for too long: nothing new is taken; see to the notary");
    n->overdue = late;
    return late;
}

struct slice notes_newest(const struct notes *n, uint64_t *size)
{
    *size = n->size;
    return slice(n->newest, n->newest_len);
}

/* ------------------------------------------------------------ finding */

struct found {
    struct arena *arena;
    struct slice note;
    uint64_t size;
};

static int found_row(void *arg, struct slice key, struct slice value)
{
    struct found *f = arg;

    f->note = slice(arena_copy(f->arena, value), value.n);
    f->size = key.n == 12 ? be64_get(key.p + 4) : 0;
    return 1;
}

struct slice notes_find(struct batch *b, struct arena *a, uint64_t size, bool witnessed,
                        uint64_t *found)
{
    const struct notes *n = b->core->notes;
    struct found f = {.arena = a};
    uint8_t low[12], high[12];

    if (witnessed && (n->witnessed == 0 || n->witnessed < size))
        return slice(NULL, 0);
    if (!witnessed && size == 0)
        size = n->size;
    if (witnessed)
        size = n->witnessed;
    if (size == 0 || store_batch_scan(b->tx, T_NOTE, note_key_of(b->core, size, low),
                                      note_key_of(b->core, UINT64_MAX, high), 1,
                                      found_row, &f) != LIAISON_OK)
        return slice(NULL, 0);
    *found = f.size;
    return f.note;
}

void notes_cosigned(struct batch *b, uint64_t size, struct slice note)
{
    struct cosigned *c = arena_alloc(b->arena, sizeof *c);
    uint8_t key[12];

    if (c == NULL) {
        batch_fail(b, LIAISON_MEMORY);
        return;
    }
    *c = (struct cosigned){size, note, b->cosigned};
    b->cosigned = c;
    store_put(b->tx, T_NOTE, note_key_of(b->core, size, key), note);
}
