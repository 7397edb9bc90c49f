/* Any bytes as what stands around a checkpoint. The first byte says as what; the rest is read.
 *
 * What is taken prints back to the byte; nothing counts as signed but what was signed, and every line of a known
 * key holds.
 * The keys are made of seeds that anybody can read here. */
#include "proto/base64.h"
#include "proto/ed25519.h"
#include "proto/note.h"
#include "tests/fuzz/must.h"

#define ORIGIN "synthetic.example/eu/main/1"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was signed: a checkpoint by `log`, cosigned by `witness`, and a rotation by `log` and `next`. */
static struct {
    struct hash *h;
    struct note_signer log, next, witness;
    struct note_policy *policy;
    char checkpoint[NOTE_CHECKPOINT_MAX + 1];
    char rotation[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX];
    char policy_text[1024];
} known;

static struct note_signer made_of(const char *name, enum note_type type, uint8_t seed)
{
    struct note_signer s = {.key.type = type};
    uint8_t digest[HASH_BYTES], type_byte = (uint8_t)type;

    memset(s.seed, seed, sizeof s.seed);
    snprintf(s.key.name, sizeof s.key.name, "%s", name);
    must(ed25519_public(s.seed, s.key.public) == LIAISON_OK);
    hash_sha256(
        known.h,
        (struct slice[]){
            slice_text(name), slice_text("\n"), {&type_byte, 1}, {s.key.public, 32}},
        4, digest);
    memcpy(s.key.id, digest, sizeof s.key.id);
    return s;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct checkpoint c = {.origin = ORIGIN, .size = 7};
    struct note_rotation r = {.origin = ORIGIN, .size = 7};
    char log[NOTE_KEY_TEXT_MAX], witness[NOTE_KEY_TEXT_MAX], why[256];

    (void)argc;
    (void)argv;
    known.h = hash_new();
    must(known.h != NULL);
    known.log = made_of(ORIGIN, NOTE_ED25519, 1);
    known.next = made_of(ORIGIN, NOTE_ED25519, 2);
    known.witness = made_of("witness.example", NOTE_COSIGNATURE, 3);
    r.key = known.next.key;
    checkpoint_print(&c, known.checkpoint);
    note_rotation_print(&r, known.rotation);
    note_key_print(&known.log.key, log);
    note_key_print(&known.witness.key, witness);
    snprintf(known.policy_text, sizeof known.policy_text,
             "log %s\nwitness w %s\nquorum w\n", log, witness);
    must(note_policy_parse(slice_text(known.policy_text), &known.policy, why,
                           sizeof why) == LIAISON_OK);
    return 0;
}

/* ------------------------------------------------------------ notes */

/* The note's bytes, put together again of its parts. */
static void is_whole(struct slice bytes, const struct note *n)
{
    static uint8_t again[NOTE_BYTES_MAX];
    size_t at = n->text.n + 1;

    must(at < bytes.n && n->n > 0);
    memcpy(again, n->text.p, n->text.n);
    again[at - 1] = '\n';
    for (size_t i = 0; i < n->n; i++) {
        const struct note_line *l = &n->lines[i];

        must(at + l->whole.n <= bytes.n);
        memcpy(again + at, l->whole.p, l->whole.n);
        at += l->whole.n;
        must(l->whole.n == 4 + l->name.n + 1 + l->base64.n + 1);
        must(l->name.p == l->whole.p + 4 && l->base64.p == l->name.p + l->name.n + 1);
    }
    must(slice_equal(slice(again, at), bytes));
}

/* A line of this key, verified by hand. */
static bool line_holds(const struct note *n, const struct note_line *l,
                       const struct note_key *k)
{
    static uint8_t message[NOTE_BYTES_MAX + 64];
    bool cosigned = k->type == NOTE_COSIGNATURE;
    size_t len, head = cosigned ? 12 : 4, at = 0;
    uint8_t bytes[76];

    if (!base64_decode(l->base64, bytes, sizeof bytes, &len) || len != head + 64)
        return false;
    if (cosigned)
        at = (size_t)sprintf((char *)message, "cosignature/v1\ntime %llu\n",
                             (unsigned long long)be64_get(bytes + 4));
    memcpy(message + at, n->text.p, n->text.n);
    return ed25519_verify(k->public, slice(message, at + n->text.n),
                          slice(bytes + head, 64)) == LIAISON_OK;
}

static void try_note(struct slice bytes)
{
    struct note_key keys[] = {known.log.key, known.witness.key};
    struct note_verdict v[2];
    struct note n;

    if (note_parse(bytes, &n) != LIAISON_OK)
        return;
    is_whole(bytes, &n);
    if (note_verify(&n, keys, 2, v) != LIAISON_OK)
        return;
    for (size_t k = 0; k < 2; k++) {
        size_t lines = 0;

        for (size_t i = 0; i < n.n; i++) {
            const struct note_line *l = &n.lines[i];

            if (!slice_equal(l->name, slice_text(keys[k].name)) ||
                memcmp(l->id, keys[k].id, 4) != 0)
                continue;
            lines++;
            must(line_holds(&n, l, &keys[k]));
        }
        must(v[k].signed_by == (lines > 0));
    }
}

static void try_judge(struct slice bytes)
{
    struct note_judgement j;
    struct note n;

    if (note_judge(known.policy, bytes, 1700000000, &j) != LIAISON_OK)
        return;
    must(note_parse(bytes, &n) == LIAISON_OK);
    must(slice_equal(n.text, slice_text(known.checkpoint)));
    must(j.quorum == (j.n_witnesses == 1) && (j.quorum_s != 0) == j.quorum);
    must(j.witnessed_s <= 1700000300);
}

static void try_rotate(struct slice bytes)
{
    struct note_key keys[] = {known.log.key, known.next.key};
    struct note_verdict v[2];
    struct note_policy *p = NULL;
    struct note n;
    char why[256];
    size_t logs;

    must(note_policy_parse(slice_text(known.policy_text), &p, why, sizeof why) ==
         LIAISON_OK);
    if (note_policy_rotate(p, bytes) == LIAISON_OK) {
        must(note_parse(bytes, &n) == LIAISON_OK);
        must(slice_equal(n.text, slice_text(known.rotation)));
        must(note_verify(&n, keys, 2, v) == LIAISON_OK && v[0].signed_by &&
             v[1].signed_by);
        must(note_policy_logs(p, &logs)[1].from == 7 && logs == 2);
    } else {
        must(note_policy_logs(p, &logs)[0].until == UINT64_MAX && logs == 1);
    }
    note_policy_free(p);
}

/* ------------------------------------------------------------ texts */

static void try_checkpoint(struct slice bytes)
{
    struct checkpoint c;
    char again[NOTE_CHECKPOINT_MAX + 1];

    if (checkpoint_parse(bytes, &c) == LIAISON_OK)
        must(slice_equal(slice(again, checkpoint_print(&c, again)), bytes));
}

static void try_rotation(struct slice bytes)
{
    struct note_rotation r;
    struct checkpoint c;
    char again[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX];

    if (note_rotation_parse(bytes, &r) != LIAISON_OK)
        return;
    must(slice_equal(slice(again, note_rotation_print(&r, again)), bytes));
    must(checkpoint_parse(bytes, &c) != LIAISON_OK);
}

static void try_key(struct slice bytes)
{
    struct note_key k;
    struct note_signer s;
    char text[512], again[NOTE_SIGNER_TEXT_MAX];

    if (bytes.n >= sizeof text)
        return;
    memcpy(text, bytes.p, bytes.n);
    text[bytes.n] = '\0';
    if (note_key_parse(text, &k) == LIAISON_OK) {
        must(!ed25519_weak(k.public));
        note_key_print(&k, again);
        must(strcmp(again, text) == 0);
    }
    if (note_signer_parse(text, &s) == LIAISON_OK) {
        note_signer_print(&s, again);
        must(strcmp(again, text) == 0);
    }
}

static void try_proof(struct slice bytes)
{
    static struct note_proof p, q;
    static char again[NOTE_PROOF_MAX];

    if (note_proof_parse(bytes, &p) != LIAISON_OK)
        return;
    struct slice printed = {(uint8_t *)again, note_proof_print(&p, again)};

    if (memmem(bytes.p, bytes.n < 30 ? bytes.n : 30, "extra ", 6) == NULL)
        must(slice_equal(printed, bytes));
    must(note_proof_parse(printed, &q) == LIAISON_OK);
    must(q.index == p.index && q.path_len == p.path_len && slice_equal(q.note, p.note));
    must(memcmp(q.path, p.path, p.path_len * HASH_BYTES) == 0);
}

/* ------------------------------------------------------------ policies */

static enum liaison_code policy_around(const char *before, struct slice text,
                                       const char *after)
{
    struct note_policy *p = NULL;
    char *all = malloc(strlen(before) + text.n + strlen(after) + 1), why[256] = "";
    size_t n = strlen(before);

    must(all != NULL);
    memcpy(all, before, n);
    memcpy(all + n, text.p, text.n);
    n += text.n;
    memcpy(all + n, after, strlen(after));
    enum liaison_code code =
        note_policy_parse(slice(all, n + strlen(after)), &p, why, sizeof why);

    must((code == LIAISON_OK) == (why[0] == '\0') && (code == LIAISON_OK) == (p != NULL));
    note_policy_free(p);
    free(all);
    return code;
}

static void keys_differ(const struct note_policy *p)
{
    const uint8_t *keys[2 * NOTE_KEYS_MAX];
    size_t logs, witnesses, n = 0;
    const struct note_log *l = note_policy_logs(p, &logs);
    const struct note_key *w = note_policy_witnesses(p, &witnesses);

    must(logs <= NOTE_KEYS_MAX && witnesses <= NOTE_KEYS_MAX);
    for (size_t i = 0; i < logs; i++)
        keys[n++] = l[i].key.public;
    for (size_t i = 0; i < witnesses; i++) {
        must(note_policy_witness_name(p, i)[0] != '\0');
        keys[n++] = w[i].public;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            must(memcmp(keys[i], keys[j], 32) != 0);
}

static void try_policy(struct slice bytes)
{
    struct note_policy *p = NULL;
    char why[256];

    if (note_policy_parse(bytes, &p, why, sizeof why) != LIAISON_OK) {
        must(p == NULL && strncmp(why, "line ", 5) == 0);
        return;
    }
    keys_differ(p);
    must(policy_around("# a comment\n\n", bytes, "\n \t# another") == LIAISON_OK);
    must(policy_around("", bytes, "\nquorum none\n") == LIAISON_CONFIG);
    note_policy_free(p);
}

static void try_base64(struct slice bytes)
{
    static uint8_t out[1 << 16];
    static char again[BASE64_LEN(sizeof out) + 1];
    size_t n;

    if (bytes.n <= sizeof out && base64_decode(bytes, out, sizeof out, &n))
        must(slice_equal(slice(again, base64_encode(slice(out, n), again)), bytes));
}

static void (*const TRY[])(struct slice bytes) = {
    try_note, try_judge, try_rotate, try_checkpoint, try_rotation,
    try_key,  try_proof, try_policy, try_base64};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        TRY[*data % (sizeof TRY / sizeof *TRY)](slice(data + 1, size - 1));
    return 0;
}
