/* Bytes that claim to be an envelope. What valid_envelope takes has every promise of PROTOCOL.md's table; a burst signed over
 * the bytes verifies for them and their place alone: no other bytes, kind, certificate, path or signature do.
 *
 * Input: 6 bytes that say how many are in the burst, which one it is and what to bend in its Signature; then the bytes. */
#include "proto/sign.h"
#include "proto/valid.h"
#include "tests/fuzz/ca.h"

enum { HEAD = 6, BURST_MOST = 9 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Set once, before the first input. */
static struct fuzz_ca ca;
static struct slice certificate;
static EVP_PKEY *key;
static struct sign_verifier *verifier;
static struct hash *hash;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    ca = fuzz_ca_make();
    certificate =
        fuzz_ca_issue(&ca, "critical,digitalSignature", "clientAuth",
                      "URI:spiffe://fr." FUZZ_NETWORK "/agency/lyon/prison", &key);
    hash = hash_new();
    must(sign_verifier_new(ca.trust, &verifier) == LIAISON_OK);
    return 0;
}

static void words(const char *text, const char *letters, size_t most)
{
    must(text[0] != '\0' && strlen(text) <= most && text[strspn(text, letters)] == '\0');
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789-"

static void name(const char *text)
{
    size_t slashes = 0;

    words(text, LOWER "/", 255);
    for (const char *p = text; *p != '\0'; p++) {
        slashes += *p == '/';
        must(*p != '/' || (p > text && p[1] != '/' && p[1] != '\0'));
    }
    must(slashes < 8);
}

static void id(ProtobufCBinaryData b)
{
    must(b.len == 16 && b.data[6] >> 4 == 7 && b.data[8] >> 6 == 2);
}

/* What the page promises of a valid envelope, said a second time. */
static void keeps_its_promises(const Liaison__V1__Envelope *e)
{
    id(e->id);
    must(e->case_id.len == 16 && e->created_unix_ms != 0 && e->version == 1);
    words(e->network, LOWER ".", 255);
    name(e->from);
    name(e->to);
    must(strcmp(e->from, e->to) != 0);
    words(e->category, LOWER, 63);
    words(e->purpose, LOWER, 63);
    words(e->basis, LOWER, 63);
    words(e->officer, LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ._", 64);
    must(e->type != 0 && e->subject_category != 0 && e->minor != 0 && e->regime != 0 &&
         e->handling != 0 && e->informed != 0 && e->urgency != 0);
    must((e->due_unix_ms != 0) == (e->urgency == LIAISON__V1__URGENCY__URGENCY_DATE));
    must(e->n_digests % 8 == 0 && e->n_digests <= 64);
    for (size_t i = 0; i < e->n_digests; i++) {
        must(e->digests[i].len == 32);
        for (size_t j = 0; j < i; j++)
            must(memcmp(e->digests[j].data, e->digests[i].data, 32) < 0);
    }
    if (e->caused_by != NULL) {
        name(e->caused_by->from);
        id(e->caused_by->id);
    }
}

static void judge(struct slice bytes, struct arena *a)
{
    const char *why = NULL;
    const void *m;

    if (valid_decode(&liaison__v1__envelope__descriptor, bytes, a, &m) != LIAISON_OK)
        return;
    must(slice_equal(arena_pack(a, m), bytes));
    if (valid_envelope(m, &why) == LIAISON_OK)
        keeps_its_promises(m);
    else
        must(why != NULL);
}

static enum liaison_code verify(enum sign_kind kind, struct slice message,
                                const Liaison__V1__Signature *s)
{
    struct tls_identity who = {.role = TLS_BROKER};
    enum liaison_code code = sign_verify(verifier, kind, message, s, FUZZ_NOW, &who);

    must(code == LIAISON_OK
             ? who.role == TLS_AGENCY && strcmp(who.name, "fr/lyon/prison") == 0
             : who.role == TLS_BROKER);
    return code;
}

/* The packed Signature with one byte changed, put in or taken out. */
static struct slice bent(const uint8_t *how, struct slice packed, struct arena *a)
{
    uint8_t *copy = arena_alloc(a, packed.n + 1);
    size_t at = (size_t)(how[0] << 8 | how[1]) % packed.n, n = packed.n;

    memcpy(copy, packed.p, n);
    if (how[2] == 0) {
        memmove(copy + at, copy + at + 1, --n - at);
    } else if (how[2] == 0xff) {
        memmove(copy + at + 1, copy + at, n++ - at);
    } else {
        copy[at] ^= how[2];
    }
    return slice(copy, n);
}

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return slice_equal(slice(a.data, a.len), slice(b.data, b.len));
}

/* The root says nothing of how many there are, so that another size with the same path may lead to it; nothing else may. */
static void bent_verifies_not(const uint8_t *how, const Liaison__V1__Signature *s,
                              struct slice message, struct arena *a)
{
    struct slice packed = arena_pack(a, &s->base);
    const char *why = NULL;
    const void *m;

    if (valid_decode(&liaison__v1__signature__descriptor, bent(how, packed, a), a, &m) !=
        LIAISON_OK)
        return;
    const Liaison__V1__Signature *other = m;

    must((valid_signature(other, &why) == LIAISON_OK) == (why == NULL));
    if (verify(SIGN_REFERRAL, message, other) != LIAISON_OK)
        return;
    must(same(other->certificate, s->certificate) &&
         same(other->signature, s->signature) && other->n_path == s->n_path &&
         other->index < other->size && other->size <= 1024);
    for (size_t i = 0; i < s->n_path; i++)
        must(same(other->path[i], s->path[i]));
}

static void burst(const uint8_t *head, struct slice message, struct arena *a)
{
    size_t n = 1 + head[0] % BURST_MOST, at = head[1] % n;
    struct slice messages[BURST_MOST];
    struct sign_part parts[BURST_MOST];
    ProtobufCBinaryData path[VALID_PATH_MAX];
    Liaison__V1__Signature s = LIAISON__V1__SIGNATURE__INIT;

    for (size_t i = 0; i < n; i++)
        messages[i] = i == at ? message : slice("others", i % 7);
    must(sign_burst(hash, key, SIGN_REFERRAL, messages, n, parts) == LIAISON_OK);
    for (size_t i = 0; i < parts[at].path_len; i++)
        path[i] = (ProtobufCBinaryData){HASH_BYTES, parts[at].path[i]};
    s.certificate =
        (ProtobufCBinaryData){certificate.n, (uint8_t *)(uintptr_t)certificate.p};
    s.signature = (ProtobufCBinaryData){parts[at].signature_len, parts[at].signature};
    s.index = parts[at].index;
    s.size = parts[at].size;
    s.path = path;
    s.n_path = parts[at].path_len;
    must(verify(SIGN_REFERRAL, message, &s) == LIAISON_OK);
    must(verify(SIGN_ACTION, message, &s) == LIAISON_SIGNATURE);
    uint8_t *other = arena_copy(a, message);

    other[message.n] = head[2]; /* arena_copy leaves room for one more */
    must(verify(SIGN_REFERRAL, slice(other, message.n + 1), &s) == LIAISON_SIGNATURE);
    bent_verifies_not(head + 3, &s, message, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();

    if (size >= HEAD) {
        struct slice message = slice(data + HEAD, size - HEAD);

        judge(message, a);
        burst(data, message, a);
    }
    arena_free(a);
    return 0;
}
