/* Receipts as things: made, read, verified, written. How they come is receipts.c's. */
#include "client/lib/receipt.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/answer.h"
#include "client/lib/check.h"
#include "client/lib/disk.h"
#include "client/lib/inner.h"
#include "client/lib/words.h"
#include "proto/base64.h"
#include "proto/valid.h"

enum { ENTRY_MAX = 65535, RECEIPT_MAX = 2 * ENTRY_MAX + NOTE_PROOF_MAX + 4096 };

static const char FIRST_LINE[] = "liaison receipt v1\n";

/* ---------------------------------------------------------------- life */

enum liaison_code receipt_new(struct slice entry, struct slice opening,
                              struct liaison_receipt **out)
{
    struct liaison_receipt *r = calloc(1, sizeof *r);
    const void *m = NULL;
    enum liaison_code code = LIAISON_MEMORY;

    if (r == NULL || (r->arena = arena_new()) == NULL)
        goto out;
    r->entry = slice(arena_copy(r->arena, entry), entry.n);
    if (r->entry.p == NULL)
        goto out;
    code = LIAISON_MALFORMED;
    if (entry.n == 0 || entry.n > ENTRY_MAX ||
        (opening.n != 0 && opening.n != sizeof r->opening))
        goto out;
    code = valid_decode(&liaison__v1__ledger_entry__descriptor, r->entry, r->arena, &m);
    if (code != LIAISON_OK)
        goto out;
    r->decoded = m;
    r->opening_len = opening.n;
    if (opening.n > 0)
        memcpy(r->opening, opening.p, opening.n);
    *out = r;
    r = NULL; /* handed over */
out:
    liaison_receipt_free(r);
    return code;
}

/* What it stands under. */
static void forget_proof(struct liaison_receipt *r)
{
    free(r->proof);
    r->proof = NULL;
    log_note_free(r->note);
    r->note = NULL;
    free(r->kept);
    r->kept = NULL;
    free(r->text);
    r->text = NULL;
}

void liaison_receipt_free(struct liaison_receipt *r)
{
    if (r == NULL)
        return;
    forget_proof(r);
    OPENSSL_cleanse(r->opening, sizeof r->opening);
    arena_free(r->arena);
    free(r);
}

/* ---------------------------------------------------------------- proof */

/* An entry says in which of the broker's logs it stands; the origin ends in it. */
static bool in_its_log(const Liaison__V1__LedgerEntry *e, const char *origin)
{
    const char *slash = strrchr(origin, '/');
    uint64_t number = 0;

    return e->log == 0 || (slash != NULL && words_u64(slash + 1, UINT32_MAX, &number) &&
                           number == e->log);
}

static bool leads_to(struct liaison *l, const struct liaison_receipt *r,
                     const struct checkpoint *c, struct slice path)
{
    uint8_t leaf[HASH_BYTES];

    merkle_leaf(l->hash, r->entry, leaf);
    return in_its_log(r->decoded, c->origin) &&
           merkle_check(l->hash, leaf, r->decoded->seq, c->size, path, c->root);
}

enum liaison_code receipt_stand(struct liaison *l, struct liaison_receipt *r,
                                struct log_note *note, struct slice path)
{
    struct note_proof *p;

    if (path.n > sizeof p->path || !leads_to(l, r, &note->what.checkpoint, path))
        return LIAISON_PROOF;
    p = calloc(1, sizeof *p);
    if (p == NULL)
        return LIAISON_MEMORY;
    forget_proof(r);
    p->index = r->decoded->seq;
    p->path_len = path.n / HASH_BYTES;
    if (path.n > 0)
        memcpy(p->path, path.p, path.n);
    r->note = log_share(note);
    p->note = slice(r->note->bytes, r->note->len);
    r->proof = p;
    return LIAISON_OK;
}

void receipt_move(struct liaison_receipt *from, struct liaison_receipt *to)
{
    forget_proof(to);
    to->proof = from->proof;
    to->note = from->note;
    to->kept = from->kept;
    from->proof = NULL;
    from->note = NULL;
    from->kept = NULL;
}

/* ---------------------------------------------------------------- text */

static size_t put_base64(char *out, const char *word, struct slice bytes)
{
    size_t n = (size_t)sprintf(out, "%s ", word);

    n += base64_encode(bytes, out + n);
    out[n++] = '\n';
    return n;
}

enum liaison_code liaison_receipt_text(struct liaison_receipt *r, const char **text,
                                       size_t *len)
{
    if (r == NULL)
        return LIAISON_USAGE;
    if (r->text == NULL) {
        char *out = malloc(RECEIPT_MAX);
        size_t n = 0;

        if (out == NULL)
            return LIAISON_MEMORY;
        memcpy(out, FIRST_LINE, sizeof FIRST_LINE - 1);
        n = sizeof FIRST_LINE - 1;
        n += put_base64(out + n, "entry", r->entry);
        if (r->opening_len > 0)
            n += put_base64(out + n, "opening", slice(r->opening, r->opening_len));
        if (r->proof != NULL)
            n += note_proof_print(r->proof, out + n);
        char *fits = realloc(out, n + 1);

        r->text = fits != NULL ? fits : out;
        r->text[n] = '\0';
        r->text_len = n;
    }
    *text = r->text;
    *len = r->text_len;
    return LIAISON_OK;
}

/* Takes "WORD BASE64\n" off the front. False: the text does not begin so. */
static bool take_base64(struct slice *text, const char *word, uint8_t *out, size_t room,
                        size_t *out_n)
{
    size_t w = strlen(word) + 1;
    const uint8_t *end = text->n > w ? memchr(text->p, '\n', text->n) : NULL;

    if (end == NULL || memcmp(text->p, word, w - 1) != 0 || text->p[w - 1] != ' ')
        return false;
    const uint8_t *b64 = text->p + w;

    if (b64 >= end || !base64_decode(slice(b64, (size_t)(end - b64)), out, room, out_n) ||
        *out_n > room)
        return false;
    *text = slice(end + 1, text->n - (size_t)(end + 1 - text->p));
    return true;
}

/* The tlog-proof behind entry and opening. */
static enum liaison_code read_proof(struct liaison_receipt *r, struct slice text)
{
    struct note_proof *p;

    if (text.n == 0)
        return LIAISON_OK;
    r->proof = p = calloc(1, sizeof *p);
    r->kept = malloc(text.n);
    if (p == NULL || r->kept == NULL)
        return LIAISON_MEMORY;
    memcpy(r->kept, text.p, text.n);
    if (note_proof_parse(slice(r->kept, text.n), p) != LIAISON_OK ||
        p->index != r->decoded->seq)
        return LIAISON_MALFORMED;
    return LIAISON_OK;
}

static enum liaison_code read_text(struct slice text, struct liaison_receipt **out)
{
    uint8_t entry[ENTRY_MAX], opening[32];
    size_t entry_n = 0, opening_n = 0, first = sizeof FIRST_LINE - 1;

    if (text.n < first || text.n > RECEIPT_MAX || memcmp(text.p, FIRST_LINE, first) != 0)
        return LIAISON_MALFORMED;
    text = slice(text.p + first, text.n - first);
    if (!take_base64(&text, "entry", entry, sizeof entry, &entry_n))
        return LIAISON_MALFORMED;
    if (text.n > 8 && memcmp(text.p, "opening ", 8) == 0 &&
        !take_base64(&text, "opening", opening, sizeof opening, &opening_n))
        return LIAISON_MALFORMED;
    struct liaison_receipt *r = NULL;
    enum liaison_code code =
        receipt_new(slice(entry, entry_n), slice(opening, opening_n), &r);

    if (code == LIAISON_OK)
        code = read_proof(r, text);
    if (code == LIAISON_OK)
        *out = r;
    else
        liaison_receipt_free(r);
    return code;
}

enum liaison_code liaison_receipt_read(struct liaison *l, const void *bytes, size_t len,
                                       struct liaison_receipt **receipt)
{
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    code = bytes == NULL || receipt == NULL ? LIAISON_USAGE
                                            : read_text(slice(bytes, len), receipt);
    return code == LIAISON_OK ? code
                              : lib_fail(l, code, "%s",
                                         code == LIAISON_MALFORMED
                                             ? "this is not a receipt, or a damaged one"
                                             : "it cannot be read");
}

enum liaison_code liaison_receipt_save(struct liaison *l, struct liaison_receipt *r,
                                       const char *path)
{
    const char *text = NULL;
    size_t n = 0;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    code = path == NULL ? LIAISON_USAGE : liaison_receipt_text(r, &text, &n);
    if (code != LIAISON_OK)
        return lib_fail(l, code, "there is no receipt to be saved, or no place");
    code = disk_replace(path, slice(text, n));
    return code == LIAISON_OK ? code
                              : lib_fail(l, code, "%.400s: %s", path, strerror(errno));
}

/* ---------------------------------------------------------------- verifying without the network */

/* A note of the very size last seen must be the one that was seen. */
static enum liaison_code against_seen(struct liaison *l, struct log_note *note)
{
    const struct log_note *seen = l->log.seen;

    if (seen == NULL ||
        strcmp(seen->what.checkpoint.origin, note->what.checkpoint.origin) != 0 ||
        seen->what.checkpoint.size != note->what.checkpoint.size)
        return LIAISON_OK;
    enum liaison_code code = log_grow(l, l->log.seen, note, slice(NULL, 0));

    return code == LIAISON_OK ? code : lib_fail(l, code, "%s", l->log.why);
}

enum liaison_code liaison_receipt_verify(struct liaison *l, struct liaison_receipt *r)
{
    struct log_note *note = NULL;
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (r == NULL)
        return lib_fail(l, LIAISON_USAGE, "there is no receipt");
    if (!log_on(l))
        return lib_fail(l, LIAISON_CONFIG,
                        "without a policy of the log (setting \"log_policy\") nothing "
                        "can be verified");
    if ((code = log_ready(l)) != LIAISON_OK)
        return code;
    if (r->proof == NULL)
        return lib_fail(l, LIAISON_PROOF,
                        "this is only a claim: its proof has not come yet");
    code = log_judge(l, r->proof->note, &note);
    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s", l->log.why);
    if (!leads_to(l, r, &note->what.checkpoint,
                  slice(r->proof->path, r->proof->path_len * HASH_BYTES)))
        code = lib_fail(l, LIAISON_PROOF,
                        "the proof does not lead from this entry to the checkpoint: one "
                        "of them was changed");
    if (code == LIAISON_OK)
        code = against_seen(l, note);
    if (code == LIAISON_OK) {
        r->proof->note = slice(note->bytes, note->len);
        log_note_free(r->note);
        r->note = log_share(note);
    }
    log_note_free(note);
    return code;
}

enum liaison_code liaison_receipt_about(struct liaison *l,
                                        const struct liaison_receipt *r, const char *what,
                                        const void *bytes, size_t len)
{
    enum sign_kind kind =
        what != NULL && strcmp(what, "action") == 0 ? SIGN_ACTION : SIGN_REFERRAL;
    struct sealed *s = NULL;
    const char *wrong = "";
    enum liaison_code code = lib_enter(l);

    if (code != LIAISON_OK)
        return code;
    if (r == NULL || bytes == NULL || what == NULL ||
        (kind == SIGN_REFERRAL && strcmp(what, "referral") != 0))
        return lib_fail(
            l, LIAISON_USAGE,
            "a receipt, \"referral\" or \"action\", and its bytes are wanted");
    if (r->opening_len == 0)
        return lib_fail(l, LIAISON_SIGNATURE,
                        "this receipt has no opening, so nothing says what it is about");
    code = sealed_read(l->hash, kind, slice(bytes, len), &s, &wrong);
    if (code != LIAISON_OK)
        return lib_fail(l, code, "%s", wrong);
    wrong = check_receipt(l->hash, r->decoded, r->opening, s);
    if (wrong != NULL)
        code = lib_fail(l, LIAISON_SIGNATURE,
                        "the receipt is about something else: %s differs", wrong);
    sealed_free(s);
    return code;
}

/* ---------------------------------------------------------------- getters */

static const uint8_t *give(struct slice bytes, size_t *len)
{
    *len = bytes.n;
    return bytes.n == 0 ? NULL : bytes.p;
}

uint64_t liaison_receipt_seq(const struct liaison_receipt *r)
{
    return r->decoded->seq;
}

const uint8_t *liaison_receipt_entry(const struct liaison_receipt *r, size_t *len)
{
    return give(r->entry, len);
}

const uint8_t *liaison_receipt_opening(const struct liaison_receipt *r, size_t *len)
{
    return give(slice(r->opening, r->opening_len), len);
}

const uint8_t *liaison_receipt_note(const struct liaison_receipt *r, size_t *len)
{
    return give(r->proof == NULL ? slice(NULL, 0) : r->proof->note, len);
}

int liaison_receipt_verified(const struct liaison_receipt *r)
{
    return r->note != NULL;
}

const char *liaison_receipt_origin(const struct liaison_receipt *r)
{
    return r->note == NULL ? "" : r->note->what.checkpoint.origin;
}

uint64_t liaison_receipt_size(const struct liaison_receipt *r)
{
    return r->note == NULL ? 0 : r->note->what.checkpoint.size;
}

size_t liaison_receipt_witnesses(const struct liaison_receipt *r)
{
    return r->note == NULL ? 0 : r->note->what.n_witnesses;
}

uint64_t liaison_receipt_quorum_s(const struct liaison_receipt *r)
{
    return r->note == NULL ? 0 : r->note->what.quorum_s;
}
