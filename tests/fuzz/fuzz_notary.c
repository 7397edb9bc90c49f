/* What comes to the notary: requests over its socket, and its own files as a disk or an operator may have left them.
 *
 * Input: a byte that says as what. A conversation: five bytes a request - kind, which of two logs, old size, size, an
 * edit of the message. A message, as it is. Edits of a state file, of a key file and of an answer to the broker, three
 * bytes each. Whatever comes, what is signed is one log that only grows, and is on the disk when it is answered. The
 * keys are made of a seed that anybody can read here. */
#include <sys/mman.h>
#include <unistd.h>

#include "broker/notary/desk.h"
#include "broker/ops/log.h"
#include "proto/ed25519.h"
#include "tests/fuzz/must.h"

#define ORIGIN "synthetic.example/eu/main/1"

enum { CONVERSATION, MESSAGE, STATE, KEYS, ANSWER, MODES };
enum { LEAVES = 16, ALIKE = 3, STEP = 5 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct grown {
    uint8_t stored[2 * LEAVES][HASH_BYTES];
    uint8_t root[LEAVES + 1][HASH_BYTES];
};

/* Set once, before the first input. The two logs are alike in their first leaves. */
static struct hash *hash;
static struct grown logs[2];
static struct note_signer signer;
static int file;

static enum liaison_code read_stored(void *arg, uint64_t index, uint8_t out[HASH_BYTES])
{
    memcpy(out, ((const struct grown *)arg)->stored[index], HASH_BYTES);
    return LIAISON_OK;
}

static void grow(struct grown *g, uint8_t which)
{
    struct merkle_edge e = {0};
    size_t n = 0;

    merkle_edge_root(hash, &e, g->root[0]);
    for (uint8_t i = 0; i < LEAVES; i++) {
        uint8_t bytes[2] = {i, i < ALIKE ? 0 : which}, leaf[HASH_BYTES];

        merkle_leaf(hash, slice(bytes, 2), leaf);
        n += merkle_edge_add(hash, &e, leaf, g->stored + n);
        merkle_edge_root(hash, &e, g->root[i + 1]);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const uint8_t type = NOTE_ED25519;
    uint8_t digest[HASH_BYTES];

    (void)argc, (void)argv;
    log_level((enum log_level)(LOG_ERROR_ + 1));
    must((hash = hash_new()) != NULL);
    grow(&logs[0], 0);
    grow(&logs[1], 1);
    signer = (struct note_signer){.key = {.name = ORIGIN, .type = NOTE_ED25519}};
    must(ed25519_public(signer.seed, signer.key.public) == LIAISON_OK);
    hash_sha256(
        hash,
        (struct slice[]){
            slice_text(ORIGIN), slice_text("\n"), {&type, 1}, {signer.key.public, 32}},
        4, digest);
    memcpy(signer.key.id, digest, sizeof signer.key.id);
    file = memfd_create("fuzz", MFD_CLOEXEC);
    must(file >= 0);
    return 0;
}

static struct desk fresh_desk(void)
{
    must(ftruncate(file, 0) == 0 && ftruncate(file, WATER_FILE_BYTES) == 0);
    return (struct desk){.hash = hash,
                         .keys = {.n = 1, .signer = {signer}},
                         .water_fd = file,
                         .water = water_none(hash),
                         .has_state = true};
}

/* ------------------------------------------------------------ conversations */

static bool is_of(const struct grown *g, uint64_t size, const uint8_t *root)
{
    return size <= LEAVES && memcmp(g->root[size], root, HASH_BYTES) == 0;
}

/* `next` may be signed after `last`: the same, or a tree that truly extends it. */
static bool may_follow(const struct checkpoint *last, const struct checkpoint *next)
{
    if (last->size == next->size)
        return memcmp(last->root, next->root, HASH_BYTES) == 0;
    if (last->size == 0)
        return true; /* whatever a log begins with */
    for (int i = 0; i < 2; i++)
        if (last->size < next->size && is_of(&logs[i], last->size, last->root) &&
            is_of(&logs[i], next->size, next->root))
            return true;
    return false;
}

static void is_signed(const struct notary_answer *a, struct checkpoint *out)
{
    struct note note;
    struct note_verdict verdict;

    must(note_parse(slice(a->note, a->note_len), &note) == LIAISON_OK);
    must(note_verify(&note, &signer.key, 1, &verdict) == LIAISON_OK && verdict.signed_by);
    must(checkpoint_parse(note.text, out) == LIAISON_OK);
    must(strcmp(out->origin, ORIGIN) == 0 && out->size == a->status.size &&
         memcmp(out->root, a->status.root, HASH_BYTES) == 0);
}

static void is_on_disk(const struct checkpoint *c)
{
    uint8_t bytes[WATER_FILE_BYTES];
    struct water w;
    bool torn;

    must(pread(file, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    must(water_parse(hash, ORIGIN, slice(bytes, sizeof bytes), &w, &torn) && !torn);
    must(w.size == c->size && memcmp(w.root, c->root, HASH_BYTES) == 0);
}

static void make_request(const uint8_t *step, uint8_t message[WIRE_REQUEST_BYTES])
{
    struct grown *g = &logs[step[1] & 1];
    uint64_t size = step[3] % (LEAVES + 1), old = step[2] % (size + 1);
    struct notary_tree t = {.old_size = old, .size = size};
    size_t at = step[4];

    memcpy(t.root, g->root[size], HASH_BYTES);
    must(merkle_prove_growth(hash, read_stored, g, old, size, t.proof, &t.proof_len) ==
         LIAISON_OK);
    wire_put_request((enum wire_kind)(step[0] & 3), &t, message);
    if ((step[1] & 2) != 0)
        message[at] ^= step[0] | 1;
}

static void converse(struct slice input)
{
    struct desk d = fresh_desk();
    struct checkpoint last = {0}, now;
    uint8_t message[WIRE_REQUEST_BYTES];
    struct notary_answer a;

    memcpy(last.root, logs[0].root[0], sizeof last.root); /* of nothing */
    for (; input.n >= STEP; input = slice(input.p + STEP, input.n - STEP)) {
        make_request(input.p, message);
        desk_answer(&d, slice(message, sizeof message), &a);
        must(a.code == LIAISON_OK || a.note_len == 0);
        if (a.note_len == 0)
            continue;
        is_signed(&a, &now);
        must(may_follow(&last, &now));
        is_on_disk(&now);
        last = now;
    }
}

/* ------------------------------------------------------------ bytes */

static void take_message(struct slice bytes)
{
    struct desk d = fresh_desk();
    struct notary_answer a;
    struct checkpoint c;

    desk_answer(&d, bytes, &a);
    must(bytes.n == WIRE_REQUEST_BYTES || a.code == LIAISON_MALFORMED);
    if (a.note_len > 0)
        is_signed(&a, &c);
}

/* What is found in a damaged file is one of the two that were written. */
static void take_state(struct slice edits)
{
    struct desk d = fresh_desk();
    struct water first = {1, 3, {1}}, second = {2, 5, {2}}, found;
    uint8_t bytes[WATER_FILE_BYTES];
    bool torn;

    must(water_write(hash, d.water_fd, ORIGIN, &first) == LIAISON_OK &&
         water_write(hash, d.water_fd, ORIGIN, &second) == LIAISON_OK);
    must(pread(file, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    for (; edits.n >= 3; edits = slice(edits.p + 3, edits.n - 3))
        bytes[(size_t)(edits.p[0] << 8 | edits.p[1]) % sizeof bytes] ^= edits.p[2];
    if (!water_parse(hash, ORIGIN, slice(bytes, sizeof bytes), &found, &torn))
        return;
    const struct water *w = found.counter == 1 ? &first : &second;

    must(found.counter == w->counter && found.size == w->size &&
         memcmp(found.root, w->root, HASH_BYTES) == 0);
    must(w == &second || torn);
}

/* Edits of a file of up to three lines. What is taken is two keys at most and prints back to the byte. */
static void take_keys(struct slice edits)
{
    char text[3 * NOTE_SIGNER_TEXT_MAX], again[KEYS_TEXT_MAX + 1];
    struct keys k;
    size_t n = 0, back = 0;

    for (int lines = edits.n > 0 ? edits.p[0] % 4 : 0; lines > 0; lines--) {
        note_signer_print(&signer, text + n);
        n += strlen(text + n);
        text[n++] = '\n';
    }
    text[n] = '\0';
    for (size_t i = 1; n > 0 && i + 3 <= edits.n; i += 3)
        text[(size_t)(edits.p[i] << 8 | edits.p[i + 1]) % n] ^= (char)edits.p[i + 2];
    if (keys_parse(text, &k) != LIAISON_OK)
        return;
    must(k.n == 1 || k.n == 2);
    for (size_t i = 0; i < k.n; i++) {
        note_signer_print(&k.signer[i], again + back);
        back += strlen(again + back);
        again[back++] = '\n';
    }
    must(back == strlen(text) && memcmp(again, text, back) == 0);
}

/* Edits of a right answer: what is taken is within its bounds. */
static void take_answer(struct slice edits)
{
    struct notary_answer a = {.status.key = signer.key}, back;
    uint8_t message[WIRE_ANSWER_BYTES];

    wire_put_answer(&a, message);
    for (; edits.n >= 3; edits = slice(edits.p + 3, edits.n - 3))
        message[(size_t)(edits.p[0] << 8 | edits.p[1]) % sizeof message] ^= edits.p[2];
    if (!wire_get_answer(slice(message, sizeof message - edits.n), &back))
        return;
    must(edits.n == 0 && back.note_len <= sizeof back.note);
    must(memchr(back.status.key.name, '\0', sizeof back.status.key.name) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const TAKE[MODES])(struct slice input) = {
        [CONVERSATION] = converse, [MESSAGE] = take_message, [STATE] = take_state,
        [KEYS] = take_keys,        [ANSWER] = take_answer,
    };

    if (size > 0)
        TAKE[data[0] % MODES](slice(data + 1, size - 1));
    return 0;
}
