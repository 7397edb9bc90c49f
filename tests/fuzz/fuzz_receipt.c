/* Receipts: what is read prints again to the byte, and nothing verifies but the entry that is in the log.
 *
 * Input: a byte that says what the rest is: a text that claims to be a receipt; or edits to a good one, 4 bytes
 * each. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/liaison.h"
#include "proto/base64.h"
#include "proto/hash.h"
#include "proto/liaison.pb-c.h"
#include "proto/note.h"
#include "tests/fuzz/must.h"

enum { RAW, EDITED, MODES, EDIT_BYTES = 4, LEAVES = 5, MINE = 2, TEXT_MAX = 4096 };

#define ORIGIN "test.example/fr/hub/1"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set once, before the first input. */
static struct liaison *l;
static char good[TEXT_MAX];
static size_t good_n;
static uint8_t entry[64];
static size_t entry_n;

/* The checkpoint of the leaves, signed. */
static struct slice make_note(struct hash *h, const struct note_signer *key,
                              uint8_t (*leaves)[HASH_BYTES], char *out)
{
    struct checkpoint c = {.origin = ORIGIN, .size = LEAVES};
    char line[NOTE_LINE_MAX];
    size_t n, line_n;

    merkle_root(h, (const uint8_t(*)[HASH_BYTES])leaves, LEAVES, c.root);
    n = checkpoint_print(&c, out);
    must(note_sign(key, slice(out, n), 0, line, &line_n) == LIAISON_OK);
    out[n] = '\n';
    memcpy(out + n + 1, line, line_n);
    return slice(out, n + 1 + line_n);
}

static void make_good(struct hash *h, const struct note_signer *key)
{
    Liaison__V1__LedgerEntry e = LIAISON__V1__LEDGER_ENTRY__INIT;
    static struct note_proof p;
    static char proof[NOTE_PROOF_MAX];
    char note[NOTE_CHECKPOINT_MAX + 1 + NOTE_LINE_MAX], b64[BASE64_LEN(64) + 1];
    uint8_t leaves[LEAVES][HASH_BYTES];

    e.version = 1;
    e.seq = MINE;
    e.log = 1;
    entry_n = liaison__v1__ledger_entry__pack(&e, entry);
    for (uint8_t i = 0; i < LEAVES; i++)
        merkle_leaf(h, i == MINE ? slice(entry, entry_n) : slice(&i, 1), leaves[i]);
    p.index = MINE;
    p.path_len =
        merkle_path(h, (const uint8_t(*)[HASH_BYTES])leaves, LEAVES, MINE, p.path);
    p.note = make_note(h, key, leaves, note);
    base64_encode(slice(entry, entry_n), b64);
    good_n = (size_t)snprintf(good, sizeof good, "liaison receipt v1\nentry %s\n", b64);
    size_t n = note_proof_print(&p, proof);

    must(good_n + n <= sizeof good);
    memcpy(good + good_n, proof, n);
    good_n += n;
}

/* Reads it; if it can be read, does it verify? */
static bool verifies(const void *text, size_t n, struct liaison_receipt **out)
{
    return liaison_receipt_read(l, text, n, out) == LIAISON_OK &&
           liaison_receipt_verify(l, *out) == LIAISON_OK;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct hash *h = hash_new();
    struct note_signer key;
    struct liaison_receipt *r = NULL;
    char vkey[NOTE_KEY_TEXT_MAX], path[] = "/tmp/fuzz_receipt.XXXXXX";
    int fd = mkstemp(path);

    must(h != NULL && fd >= 0 &&
         note_signer_make(h, ORIGIN, NOTE_ED25519, &key) == LIAISON_OK);
    note_key_print(&key.key, vkey);
    must(dprintf(fd, "log %s\nquorum none\n", vkey) > 0 && close(fd) == 0);
    make_good(h, &key);
    must(liaison_new(&l) == LIAISON_OK &&
         liaison_set(l, "log_policy", path) == LIAISON_OK);
    must(verifies(good, good_n, &r)); /* from here on the policy is read */
    must(unlink(path) == 0);
    liaison_receipt_free(r);
    hash_free(h);
    return 0;
}

/* The line `extra` of a proof file is passed over and not written. */
static bool has_extra(const uint8_t *text, size_t n)
{
    return memmem(text, n, "\nextra ", 7) != NULL;
}

static void raw(const uint8_t *text, size_t n)
{
    struct liaison_receipt *r = NULL, *again = NULL;
    const char *printed;
    size_t printed_n;

    if (liaison_receipt_read(l, text, n, &r) != LIAISON_OK) {
        must(r == NULL && liaison_errmsg(l)[0] != '\0');
        return;
    }
    must(liaison_receipt_text(r, &printed, &printed_n) == LIAISON_OK);
    must(has_extra(text, n) || (printed_n == n && memcmp(printed, text, n) == 0));
    must(liaison_receipt_read(l, printed, printed_n, &again) == LIAISON_OK);
    must(liaison_receipt_seq(r) == liaison_receipt_seq(again));
    must(liaison_receipt_verify(l, r) != LIAISON_OK || liaison_receipt_verified(r) == 1);
    liaison_receipt_free(r);
    liaison_receipt_free(again);
}

/* Overwrites or inserts as the input says. */
static void edited(const uint8_t *edits, size_t n)
{
    char text[TEXT_MAX + 64];
    size_t len = good_n, have_n = 0;
    struct liaison_receipt *r = NULL;

    memcpy(text, good, good_n);
    for (; n >= EDIT_BYTES && len < TEXT_MAX; n -= EDIT_BYTES, edits += EDIT_BYTES) {
        size_t at = ((size_t)edits[0] << 8 | edits[1]) % len;

        if (edits[2] % 2 == 0) {
            text[at] = (char)edits[3];
        } else {
            memmove(text + at + 1, text + at, len - at);
            text[at] = (char)edits[3];
            len++;
        }
    }
    if (verifies(text, len, &r)) {
        const uint8_t *have = liaison_receipt_entry(r, &have_n);

        must(have_n == entry_n && memcmp(have, entry, entry_n) == 0);
        must(liaison_receipt_size(r) == LEAVES &&
             strcmp(liaison_receipt_origin(r), ORIGIN) == 0);
    }
    liaison_receipt_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % MODES == RAW)
        raw(data + 1, size - 1);
    else
        edited(data + 1, size - 1);
    return 0;
}
