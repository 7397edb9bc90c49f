/* Makes the logs that tests/e2e/61-audit-offline verifies and spoils: one log with real, fresh keys, and what an operator with
 * its keys, or a thief of one of them, could make of it. Nobody in it exists.
 *
 *     log_maker DIR N [REST]
 *
 * Leaves in DIR: policy (any 2 of 3 witnesses), policy-none (none is wanted); the bundles
 *   good      N entries                             grown     N + REST entries of the same log
 *   tail      of grown: what lies behind N          rebuilt   as grown, but entry 300 is another one
 *   other     N entries, of which 300 is another    unwitnessed  as grown, with one cosignature
 *   stranger  as good, signed by another key of the same name
 *   rotated   as grown, then a new key, REST more   stolen    as rotated, signed by the old key
 *   erased    as good, then an erasure              empty     no entry at all
 * and the notes good.note, other.note, grown.note. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "client/lib/disk.h"
#include "tests/lib/make_log.h"

struct making {
    struct make_log log;
    const char *dir;
    uint64_t n, rest;
};

static const char *path(const struct making *m, const char *name)
{
    static char out[4096];

    snprintf(out, sizeof out, "%s/%s", m->dir, name);
    return out;
}

static void put_file(const struct making *m, const char *name, struct slice bytes)
{
    make_must(disk_replace(path(m, name), bytes) == LIAISON_OK, name);
}

/* The whole log so far as a bundle, from `from` on. */
static void put(struct making *m, const char *name, uint64_t from, size_t witnesses)
{
    uint8_t note[MAKE_NOTE_MAX];

    make_bundle(&m->log, path(m, name), from, m->log.n,
                make_note(&m->log, m->log.n, witnesses, note));
}

static void put_note(struct making *m, const char *name)
{
    uint8_t note[MAKE_NOTE_MAX];

    put_file(m, name, make_note(&m->log, m->log.n, 2, note));
}

static void put_policies(struct making *m)
{
    char text[4096];

    make_policy(&m->log, 2, text, sizeof text);
    put_file(m, "policy", slice_text(text));
    make_policy(&m->log, 0, text, sizeof text);
    put_file(m, "policy-none", slice_text(text));
}

/* Entry `seq` becomes another one; and back again when called twice. */
static void change(struct making *m, uint64_t seq)
{
    Liaison__V1__LedgerEntry *e = liaison__v1__ledger_entry__unpack(
        NULL, m->log.entries[seq].n, m->log.entries[seq].p);

    make_must(e != NULL, "an entry");
    e->nonce.data[0] ^= 1;
    make_set(&m->log, seq, e);
    liaison__v1__ledger_entry__free_unpacked(e, NULL);
}

static void signed_by(struct making *m, const char *name, const struct note_signer *key)
{
    struct note_signer own = m->log.key;

    m->log.key = *key;
    put(m, name, 0, 2);
    m->log.key = own;
}

static void rotate(struct making *m, struct note_signer *old)
{
    struct note_rotation r = {.size = m->log.n};
    struct note_signer fresh;
    char text[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX];
    uint8_t note[MAKE_NOTE_MAX];
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;

    make_must(note_signer_make(m->log.h, m->log.origin, NOTE_ED25519, &fresh) ==
                  LIAISON_OK,
              "a new key");
    memcpy(r.origin, m->log.origin, sizeof m->log.origin);
    r.key = fresh.key;
    size_t len = note_rotation_print(&r, text);

    e.event = LIAISON__V1__EVENT__EVENT_KEY_ROTATE;
    e.note = make_bytes(
        note, make_signed(text, len, (const struct note_signer *[]){&m->log.key, &fresh},
                          2, 0, note));
    make_entry(&m->log, &e, 0, 0);
    *old = m->log.key;
    m->log.key = fresh;
}

static void erase(struct making *m)
{
    Liaison__V1__LedgerEntry *of =
        liaison__v1__ledger_entry__unpack(NULL, m->log.entries[4].n, m->log.entries[4].p);
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;

    make_must(of != NULL && of->referral_id.len == 16, "a referral to erase");
    e.event = LIAISON__V1__EVENT__EVENT_ERASE;
    e.operation = LIAISON__V1__OPERATION__OPERATION_ERASURE;
    e.referral_id = of->referral_id;
    make_entry(&m->log, &e, 0, 0);
    liaison__v1__ledger_entry__free_unpacked(of, NULL);
}

static void make_all(struct making *m)
{
    struct note_signer stranger, old;

    make_begin(&m->log, 1);
    m->log.time_ns = ((uint64_t)time(NULL) - 3600) * 1000000000; /* cosignatures are not of the future */
    put_policies(m);
    put(m, "empty", 0, 2);
    make_grow(&m->log, m->n);
    put(m, "good", 0, 2);
    put_note(m, "good.note");
    make_must(note_signer_make(m->log.h, m->log.origin, NOTE_ED25519, &stranger) ==
                  LIAISON_OK,
              "a stranger's key");
    signed_by(m, "stranger", &stranger);
    change(m, 300);
    put(m, "other", 0, 2);
    put_note(m, "other.note");
    change(m, 300);
    make_grow(&m->log, m->n + m->rest);
    put(m, "grown", 0, 3);
    put_note(m, "grown.note");
    put(m, "tail", m->n / SOURCE_WIDTH * SOURCE_WIDTH, 2);
    put(m, "unwitnessed", 0, 1);
    change(m, 300);
    put(m, "rebuilt", 0, 2);
    change(m, 300);
    erase(m);
    put(m, "erased", 0, 2);
    rotate(m, &old);
    make_grow(&m->log, m->log.n + m->rest);
    put(m, "rotated", 0, 2);
    signed_by(m, "stolen", &old);
    make_end(&m->log);
}

int main(int argc, char *argv[])
{
    static struct making m;

    if (argc < 3 || (mkdir(argv[1], 0700) != 0 && errno != EEXIST))
        make_die("usage: log_maker DIR N [REST]");
    m.dir = argv[1];
    m.n = strtoull(argv[2], NULL, 10);
    m.rest = argc > 3 ? strtoull(argv[3], NULL, 10) : 500;
    if (m.n < 400)
        make_die("N: at least 400");
    make_all(&m);
    return 0;
}
