#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base64.h"
#include "proto/ed25519.h"
#include "proto/note.h"
#include "tests/unit/draft.h"
#include "tests/unit/vectors.h"

struct rig {
    struct hash *h;
    json_t *vectors;
};

static int setup(void **state)
{
    static struct rig rig;

    rig.h = hash_new();
    rig.vectors = load("tests/vectors/notes.json");
    *state = &rig;
    return rig.h == NULL || rig.vectors == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    hash_free(r->h);
    json_decref(r->vectors);
    return 0;
}

/* The cases of a group, which is a list or has one under `key`. */
static json_t *cases(struct rig *r, const char *group, const char *key)
{
    json_t *g = json_object_get(r->vectors, group);

    return key == NULL ? g : json_object_get(g, key);
}

/* ------------------------------------------------------------ base64 */

static void base64_has_one_way_to_write_a_value(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
    } ROWS[] = {
        {"empty", "", true},
        {"one byte", "AA==", true},
        {"two bytes", "AAE=", true},
        {"three bytes", "AAEC", true},
        {"all letters",
         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true},
        {"longer than a piece",
         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/AA==", true},
        {"no padding", "AA", false},
        {"half the padding", "AA=", false},
        {"padding too much", "AAEC=", false},
        {"only padding", "====", false},
        {"loose bits of one byte", "AB==", false},
        {"loose bits of two bytes", "AAF=", false},
        {"a space before", " AAEC", false},
        {"spaces for letters", "    ", false},
        {"a space after", "AAEC ", false},
        {"a line end after", "AAEC\n", false},
        {"a line end within", "AAE\nC", false},
        {"the alphabet of URLs", "AA-_", false},
        {"padding within", "AA==AAEC", false},
        {"padding at the end of a piece",
         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789==AAEC", false},
        {"a dash, which ends PEM", "AAEC----", false},
        {"beyond ASCII", "AA\xc3\xa9", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t bytes[64];
        size_t n = 0;

        if (base64_decode(slice_text(ROWS[i].text), bytes, sizeof bytes, &n) !=
            ROWS[i].good)
            fail_msg("%s", ROWS[i].why);
    }
    size_t n;

    assert_false(base64_decode(slice("AA\0\0", 4), NULL, 0, &n));
}

static void base64_comes_back_at_every_length_and_writes_no_more_than_it_may(void **state)
{
    uint8_t bytes[200], again[201];
    char text[BASE64_LEN(sizeof bytes) + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        size_t len = base64_encode(slice(bytes, n), text), got;

        assert_int_equal(len, BASE64_LEN(n));
        assert_int_equal(strlen(text), len);
        for (size_t room = 0; room <= n; room++) {
            memset(again, 0xaa, sizeof again);
            assert_true(base64_decode(slice(text, len), again, room, &got));
            assert_int_equal(got, n);
            assert_memory_equal(again, bytes, room);
            assert_int_equal(again[room], 0xaa);
        }
    }
}

/* ------------------------------------------------------------ Ed25519 */

static void the_rfcs_keys_sign_as_the_rfc_says(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "ed25519_rfc8032", "cases"), i, c)
    {
        uint8_t seed[32], want[64], public[32], message[256], signature[64];
        struct slice m = {message, unhex(text(c, "msg"), message, sizeof message)};

        unhex(text(c, "seed"), seed, sizeof seed);
        assert_int_equal(ed25519_public(seed, public), LIAISON_OK);
        unhex(text(c, "pub"), want, sizeof want);
        assert_memory_equal(public, want, sizeof public);
        assert_int_equal(ed25519_sign(seed, m, signature), LIAISON_OK);
        unhex(text(c, "sig"), want, sizeof want);
        assert_memory_equal(signature, want, sizeof signature);
        assert_int_equal(ed25519_verify(public, m, slice(signature, 64)), LIAISON_OK);
        signature[i * 9 % 64] ^= 1;
        assert_int_equal(ed25519_verify(public, m, slice(signature, 64)),
                         LIAISON_SIGNATURE);
    }
    assert_int_equal(i, 4);
}

static void wycheproofs_signatures_are_judged_as_it_says(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "ed25519_wycheproof", "cases"), i, c)
    {
        uint8_t public[32], message[512], signature[256];
        size_t n = unhex(text(c, "msg"), message, sizeof message);
        size_t len = unhex(text(c, "sig"), signature, sizeof signature);

        assert_int_equal(unhex(text(c, "pub"), public, sizeof public), 32);
        if ((ed25519_verify(public, slice(message, n), slice(signature, len)) ==
             LIAISON_OK) != accepts(c, "expect"))
            fail_msg("%d: %s", (int)number(c, "tcId"), text(c, "flag"));
    }
    assert_int_equal(i, 40);
}

/* The eight points of small order, and every other way to write them. */
static const char *const WEAK[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    /* not of small order, but written with a y that is too large: 3 and 18 */
    "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

/* The vkey of a public key, well-formed in all else. */
static void vkey_of(struct rig *r, const char *name, uint8_t type,
                    const uint8_t public[32], char out[NOTE_KEY_TEXT_MAX])
{
    uint8_t id[HASH_BYTES], bytes[33] = {type};
    char base64[BASE64_LEN(33) + 1];

    memcpy(bytes + 1, public, 32);
    hash_sha256(r->h,
                (struct slice[]){slice_text(name), slice_text("\n"), slice(bytes, 33)}, 3,
                id);
    base64_encode(slice(bytes, 33), base64);
    snprintf(out, NOTE_KEY_TEXT_MAX, "%s+%02x%02x%02x%02x+%s", name, id[0], id[1], id[2],
             id[3], base64);
}

static void keys_under_which_one_signature_signs_anything_are_refused(void **state)
{
    /* The identity as key and R, S = 0: by the equation alone, a signature of every message. */
    uint8_t identity[32] = {1}, anything[64] = {1}, good[32];
    char vkey[NOTE_KEY_TEXT_MAX];
    struct note_key k;

    assert_int_equal(
        ed25519_verify(identity, slice_text("synthetic"), slice(anything, 64)),
        LIAISON_OK);
    for (size_t i = 0; i < sizeof WEAK / sizeof *WEAK; i++) {
        uint8_t public[32];

        unhex(WEAK[i], public, sizeof public);
        assert_true(ed25519_weak(public));
        for (uint8_t type = 1; type <= 4; type += 3) {
            vkey_of(*state, "weak.example", type, public, vkey);
            assert_int_equal(note_key_parse(vkey, &k), LIAISON_FIELD);
        }
    }
    unhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", good, 32);
    assert_false(ed25519_weak(good));
    vkey_of(*state, "good.example", 1, good, vkey);
    assert_int_equal(note_key_parse(vkey, &k), LIAISON_OK);
}

/* ------------------------------------------------------------ keys */

static void assert_comes_back(const struct note_key *k, const char *vkey)
{
    char again[NOTE_KEY_TEXT_MAX];

    note_key_print(k, again);
    assert_string_equal(again, vkey);
}

/* Every part of it, and it with any one byte raised, is no vkey. */
static void assert_nothing_like_it(const char *vkey)
{
    size_t n = strlen(vkey);
    char other[NOTE_KEY_TEXT_MAX];
    struct note_key k;

    for (size_t i = 0; i <= n; i++) {
        for (size_t j = i; j <= n; j++) {
            if (i == 0 && j == n)
                continue;
            snprintf(other, sizeof other, "%.*s", (int)(j - i), vkey + i);
            assert_int_not_equal(note_key_parse(other, &k), LIAISON_OK);
        }
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(other, sizeof other, "%s", vkey);
        other[i]++;
        assert_int_not_equal(note_key_parse(other, &k), LIAISON_OK);
    }
}

static void vkeys_are_read_and_refused_as_the_vectors_say(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "vkeys", NULL), i, c)
    {
        struct note_key k;
        enum liaison_code code = note_key_parse(text(c, "vkey"), &k);

        if ((code == LIAISON_OK) != accepts(c, "expect"))
            fail_msg("%s", text(c, "vkey"));
        if (code == LIAISON_OK)
            assert_comes_back(&k, text(c, "vkey"));
        if (json_object_get(c, "mangle") != NULL)
            assert_nothing_like_it(text(c, "vkey"));
    }
    assert_int_equal(i, 15);
}

static void odd_vkeys_are_refused(void **state)
{
    static const struct {
        const char *why, *vkey;
        enum liaison_code code;
    } ROWS[] = {
        {"another type",
         "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
         LIAISON_UNSUPPORTED},
        {"a longer key of a known type",
         "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
         LIAISON_FIELD},
        {"capitals in the id",
         "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
         LIAISON_FIELD},
        {"another name",
         "PeterNeumann2+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
         LIAISON_FIELD},
        {"a type only", "PeterNeumann+c74f20a3+AQ==", LIAISON_FIELD},
        {"nothing", "", LIAISON_FIELD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct note_key k;

        if (note_key_parse(ROWS[i].vkey, &k) != ROWS[i].code)
            fail_msg("%s", ROWS[i].why);
    }
}

static void names_are_text_without_plus_or_space_of_any_script(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } ROWS[] = {
        {"practicies.example/eu/main/1", true},
        {"caf\xc3\xa9.example", true},
        {"\xf0\x9f\x94\x91", true},
        {"", false},
        {"a b", false},
        {"a+b", false},
        {"a\tb", false},
        {"a\nb", false},
        {"a\x01", false},
        {"a\rb", false},
        {"\xff", false},
        {"\xed\xa0\x80", false},
        {"\xc2\x85", false},
        {"\xc2\xa0", false},
        {"a\xe1\x9a\x80", false},
        {"a\xe2\x80\x80", false},
        {"a\xe2\x80\x8a", false},
        {"a\xe2\x80\x8b", true}, /* no space to Unicode */
        {"a\xe2\x80\xa8", false},
        {"a\xe2\x80\xaf", false},
        {"a\xe2\x81\x9f", false},
        {"a\xe3\x80\x80", false},
    };
    struct rig *r = *state;
    char longest[NOTE_NAME_MAX + 2];

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct note_signer s;
        enum liaison_code code = note_signer_make(r->h, ROWS[i].name, NOTE_ED25519, &s);

        assert_int_equal(code, ROWS[i].good ? LIAISON_OK : LIAISON_FIELD);
    }
    for (size_t n = NOTE_NAME_MAX; n <= NOTE_NAME_MAX + 1; n++) {
        struct note_signer s;

        memset(longest, 'n', n);
        longest[n] = '\0';
        assert_int_equal(note_signer_make(r->h, longest, NOTE_ED25519, &s),
                         n == NOTE_NAME_MAX ? LIAISON_OK : LIAISON_FIELD);
    }
}

static void a_new_key_comes_back_from_its_text_and_no_two_are_alike(void **state)
{
    struct rig *r = *state;
    enum note_type types[] = {NOTE_ED25519, NOTE_COSIGNATURE};
    char longest[NOTE_NAME_MAX + 1];

    memset(longest, 'n', NOTE_NAME_MAX);
    longest[NOTE_NAME_MAX] = '\0';
    for (size_t i = 0; i < 2; i++) {
        struct note_signer s, other, again;
        struct note_key k;
        char text[NOTE_SIGNER_TEXT_MAX], twice[NOTE_SIGNER_TEXT_MAX],
            vkey[NOTE_KEY_TEXT_MAX];

        assert_int_equal(note_signer_make(r->h, longest, types[i], &s), LIAISON_OK);
        assert_int_equal(note_signer_make(r->h, longest, types[i], &other), LIAISON_OK);
        assert_memory_not_equal(s.seed, other.seed, sizeof s.seed);
        note_signer_print(&s, text);
        assert_int_equal(note_signer_parse(text, &again), LIAISON_OK);
        assert_memory_equal(again.seed, s.seed, sizeof s.seed);
        note_signer_print(&again, twice);
        assert_string_equal(twice, text);
        note_key_print(&s.key, vkey);
        assert_int_equal(note_key_parse(vkey, &k), LIAISON_OK);
        assert_memory_equal(k.public, again.key.public, sizeof k.public);
        assert_int_not_equal(note_signer_parse(vkey, &again), LIAISON_OK);
        text[strlen("PRIVATE+KEY+")]++;
        assert_int_equal(note_signer_parse(text, &again), LIAISON_FIELD);
    }
}

/* ------------------------------------------------------------ notes of the vectors */

enum { KEYS = 8 };

static size_t trusted(struct rig *r, const json_t *c, struct note_key keys[KEYS])
{
    json_t *vkey;
    size_t i, n = 0;

    json_array_foreach((json_t *)(uintptr_t)member(c, "trusted_vkeys"), i, vkey)
    {
        assert_true(n < KEYS);
        assert_int_equal(note_key_parse(json_string_value(vkey), &keys[n++]), LIAISON_OK);
    }
    if (json_object_get(c, "seed") != NULL) {
        uint8_t seed[32], public[32];
        char name[256], text_[NOTE_KEY_TEXT_MAX];

        unhex(text(c, "seed"), seed, sizeof seed);
        assert_int_equal(ed25519_public(seed, public), LIAISON_OK);
        assert_int_equal(sscanf(text(c, "note"), "%255[^\n]", name), 1);
        vkey_of(r, name, 1, public, text_);
        assert_int_equal(note_key_parse(text_, &keys[n++]), LIAISON_OK);
    }
    return n;
}

/* Opens the note as Go's note.Open does: at least one known key must have signed. */
static bool opens(struct slice bytes, const struct note_key *keys, size_t n_keys,
                  struct note_verdict *verdicts)
{
    struct note n;
    size_t by = 0;

    if (note_parse(bytes, &n) != LIAISON_OK ||
        note_verify(&n, keys, n_keys, verdicts) != LIAISON_OK)
        return false;
    for (size_t i = 0; i < n_keys; i++)
        by += verdicts[i].signed_by ? 1 : 0;
    return by > 0;
}

static bool lists(const json_t *list, const char *name)
{
    json_t *s;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)list, i, s)
    {
        if (strcmp(json_string_value(s), name) == 0)
            return true;
    }
    return false;
}

/* A byte of the text changed, a space put in: none may open. */
static void assert_tampering_is_seen(struct slice bytes, const struct note_key *keys,
                                     size_t n)
{
    struct note_verdict verdicts[KEYS];
    uint8_t *other = malloc(bytes.n + 1);
    size_t lf = (size_t)((uint8_t *)memchr(bytes.p, '\n', bytes.n) - bytes.p);

    memcpy(other, bytes.p, lf);
    other[lf] = ' ';
    memcpy(other + lf + 1, bytes.p + lf, bytes.n - lf);
    assert_false(opens(slice(other, bytes.n + 1), keys, n, verdicts));
    memcpy(other, bytes.p, bytes.n);
    other[0] ^= 1;
    assert_false(opens(slice(other, bytes.n), keys, n, verdicts));
    free(other);
}

static void notes_open_and_do_not_as_the_vectors_say(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "notes", NULL), i, c)
    {
        bool want = strncmp(text(c, "expect"), "accept", 6) == 0;
        bool as_hex = json_object_get(c, "note_hex") != NULL;
        struct note_key keys[KEYS];
        struct note_verdict verdicts[KEYS];
        size_t n_keys = trusted(*state, c, keys);
        uint8_t bytes[16384];
        struct slice note =
            as_hex ? slice(bytes, unhex(text(c, "note_hex"), bytes, sizeof bytes))
                   : slice_text(text(c, "note"));
        const json_t *by = json_object_get(c, "verified_by");

        if (opens(note, keys, n_keys, verdicts) != want)
            fail_msg("%s", text(c, "id"));
        for (size_t k = 0; want && by != NULL && k < n_keys; k++)
            if (verdicts[k].signed_by != lists(by, keys[k].name))
                fail_msg("%s: %s", text(c, "id"), keys[k].name);
        if (want)
            assert_tampering_is_seen(note, keys, n_keys);
    }
    assert_int_equal(i, 41);
}

static void keys_of_the_vectors_sign_as_they_say(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "sign", NULL), i, c)
    {
        struct slice body = slice_text(text(c, "text"));
        struct note_signer s;
        char line[NOTE_LINE_MAX], note[1024];
        size_t len;

        assert_int_equal(note_signer_parse(text(c, "skey"), &s), LIAISON_OK);
        enum liaison_code code = note_sign(&s, body, 0, line, &len);

        if (json_object_get(c, "expect") != NULL) {
            assert_int_equal(code, LIAISON_INTERNAL);
            continue;
        }
        assert_int_equal(code, LIAISON_OK);
        snprintf(note, sizeof note, "%s\n%.*s", text(c, "text"), (int)len, line);
        assert_string_equal(note, text(c, "note"));
    }
    assert_int_equal(i, 5);
}

/* ------------------------------------------------------------ notes of ours */

#define TEXT "synthetic.example/log\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"

static enum liaison_code verify(const struct draft *d, const struct note_key *keys,
                                size_t n, struct note_verdict *verdicts)
{
    struct note note;
    enum liaison_code code = note_parse(draft_bytes(d), &note);

    return code == LIAISON_OK ? note_verify(&note, keys, n, verdicts) : code;
}

static void a_bad_line_of_a_known_key_spoils_a_note_with_a_good_one(void **state)
{
    struct note_signer s =
        draft_signer(((struct rig *)*state)->h, "log.example", NOTE_ED25519);
    struct note_verdict v;

    for (int bad_first = 0; bad_first < 2; bad_first++) {
        struct draft d = {.n = 0};

        draft_say(&d, TEXT "\n");
        if (!bad_first)
            draft_sign(&d, &s, TEXT, 0);
        draft_sign(&d, &s, "another text\n", 0);
        if (bad_first)
            draft_sign(&d, &s, TEXT, 0);
        assert_int_equal(verify(&d, &s.key, 1, &v), LIAISON_SIGNATURE);
    }
}

static void lines_of_unknown_keys_are_passed_over(void **state)
{
    struct note_signer s = draft_signer(((struct rig *)*state)->h, "log.example",
                                        NOTE_ED25519),
                       same_name = draft_signer(((struct rig *)*state)->h, "log.example",
                                                NOTE_ED25519),
                       other = draft_signer(((struct rig *)*state)->h, "other.example",
                                            NOTE_COSIGNATURE);
    struct draft d = {.n = 0};
    struct note_verdict v;

    draft_say(&d, TEXT "\n");
    draft_sign(&d, &same_name, "another text\n", 0);
    draft_sign(&d, &other, "another text\n", 5);
    assert_int_equal(verify(&d, &s.key, 1, &v), LIAISON_OK);
    assert_false(v.signed_by);
    draft_sign(&d, &s, TEXT, 0);
    draft_say(&d, "\xe2\x80\x94 post-quantum.example AAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
    assert_int_equal(verify(&d, &s.key, 1, &v), LIAISON_OK);
    assert_true(v.signed_by);
}

static void a_key_that_shares_name_and_id_with_another_is_never_taken_for_it(void **state)
{
    struct note_signer s = draft_signer(((struct rig *)*state)->h, "log.example",
                                        NOTE_ED25519),
                       collides = draft_signer(((struct rig *)*state)->h, "log.example",
                                               NOTE_ED25519);
    struct draft d = {.n = 0};
    struct note_verdict v[2];

    memcpy(collides.key.id, s.key.id, sizeof s.key.id); /* as 2^32 tries would find one */
    draft_say(&d, TEXT "\n");
    draft_sign(&d, &collides, TEXT, 0);
    assert_int_equal(verify(&d, &s.key, 1, v), LIAISON_SIGNATURE);
    assert_int_equal(verify(&d, (struct note_key[]){s.key, collides.key}, 2, v),
                     LIAISON_SIGNATURE);
}

static void a_key_is_of_one_type_and_its_signature_no_other(void **state)
{
    struct note_signer log = draft_signer(((struct rig *)*state)->h, "x.example",
                                          NOTE_ED25519),
                       witness = log;
    struct draft d = {.n = 0}, e = {.n = 0};
    char vkey[NOTE_KEY_TEXT_MAX], line[NOTE_LINE_MAX];
    struct note_verdict v[2];
    size_t len;

    vkey_of(*state, "x.example", NOTE_COSIGNATURE, log.key.public, vkey);
    assert_int_equal(note_key_parse(vkey, &witness.key), LIAISON_OK);
    assert_memory_not_equal(witness.key.id, log.key.id, sizeof log.key.id);
    draft_say(&d, TEXT "\n");
    draft_sign(&d, &witness, TEXT, 1700000000);
    assert_int_equal(verify(&d, &log.key, 1, v), LIAISON_OK);
    assert_false(v[0].signed_by);
    assert_int_equal(verify(&d, (struct note_key[]){log.key, witness.key}, 2, v),
                     LIAISON_OK);
    assert_true(!v[0].signed_by && v[1].signed_by);
    assert_int_equal(v[1].time_s, 1700000000);
    /* a line of one type under the id of the other */
    memcpy(witness.key.id, log.key.id, sizeof log.key.id);
    draft_say(&e, TEXT "\n");
    draft_sign(&e, &witness, TEXT, 1700000000);
    assert_int_equal(verify(&e, &log.key, 1, v), LIAISON_SIGNATURE);
    /* what a witness signs is nothing that a log's key would */
    assert_int_equal(note_sign(&log, slice_text("cosignature/v1\ntime 1700000000\n" TEXT),
                               0, line, &len),
                     LIAISON_INTERNAL);
}

static void a_cosignature_is_for_its_time_alone_and_the_latest_counts(void **state)
{
    struct note_signer w =
        draft_signer(((struct rig *)*state)->h, "witness.example", NOTE_COSIGNATURE);
    struct draft d = {.n = 0};
    struct note_verdict v;
    struct note n;
    char line[NOTE_LINE_MAX];
    uint8_t bytes[76];
    size_t len;

    draft_say(&d, TEXT "\n");
    draft_sign(&d, &w, TEXT, 1700000005);
    draft_sign(&d, &w, TEXT, 1700000009);
    draft_sign(&d, &w, TEXT, 1700000001);
    assert_int_equal(verify(&d, &w.key, 1, &v), LIAISON_OK);
    assert_int_equal(v.time_s, 1700000009);
    assert_int_equal(note_parse(draft_bytes(&d), &n), LIAISON_OK);
    assert_true(base64_decode(n.lines[0].base64, bytes, sizeof bytes, &len));
    bytes[11] ^= 1;
    base64_encode(slice(bytes, sizeof bytes), (char *)(uintptr_t)n.lines[0].base64.p);
    d.bytes[n.lines[0].base64.p - (uint8_t *)d.bytes + (ptrdiff_t)n.lines[0].base64.n] =
        '\n';
    assert_int_equal(verify(&d, &w.key, 1, &v), LIAISON_SIGNATURE);
    assert_int_equal(note_sign(&w, slice_text(TEXT), INT64_MAX, line, &len), LIAISON_OK);
    assert_int_equal(note_sign(&w, slice_text(TEXT), UINT64_C(1) << 63, line, &len),
                     LIAISON_INTERNAL);
}

static void a_cosignature_of_a_time_beyond_63_bits_is_refused(void **state)
{
    struct note_signer w =
        draft_signer(((struct rig *)*state)->h, "witness.example", NOTE_COSIGNATURE);
    uint8_t line[76];
    char base64[BASE64_LEN(76) + 1];
    struct draft d = {.n = 0};
    struct note_verdict v;

    memcpy(line, w.key.id, 4);
    be64_put(line + 4, UINT64_C(1) << 63);
    assert_int_equal(
        ed25519_sign(w.seed,
                     slice_text("cosignature/v1\ntime 9223372036854775808\n" TEXT),
                     line + 12),
        LIAISON_OK);
    base64_encode(slice(line, sizeof line), base64);
    draft_say(&d, TEXT "\n\xe2\x80\x94 witness.example ");
    draft_say(&d, base64);
    draft_say(&d, "\n");
    assert_int_equal(verify(&d, &w.key, 1, &v), LIAISON_SIGNATURE);
}

#define SIG "\xe2\x80\x94 a.example AAAAAAA=\n"

static void malformed_notes_are_refused(void **state)
{
    static const struct {
        const char *why, *note;
        bool good;
    } ROWS[] = {
        {"the least note", "t\n\n" SIG, true},
        {"an empty line in the text", "t\n\nu\n\n" SIG, true},
        {"text that looks signed", "t\n\n" SIG "\n" SIG, true},
        {"nothing", "", false},
        {"text alone", "t\n", false},
        {"no signature", "t\n\n", false},
        {"no empty line", "t\n" SIG, false},
        {"no text", SIG, false},
        {"no last line end", "t\n\n\xe2\x80\x94 a.example AAAAAAA=", false},
        {"CR LF", "t\r\n\r\n\xe2\x80\x94 a.example AAAAAAA=\r\n", false},
        {"a CR in the text", "t\r\n\n" SIG, false},
        {"a tab", "t\tu\n\n" SIG, false},
        {"a control byte", "t\x1f\n\n" SIG, false},
        {"Latin-1", "caf\xe9\n\n" SIG, false},
        {"an overlong form", "\xc0\xaf\n\n" SIG, false},
        {"a surrogate", "\xed\xa0\x80\n\n" SIG, false},
        {"a hyphen", "t\n\n- a.example AAAAAAA=\n", false},
        {"an en dash", "t\n\n\xe2\x80\x93 a.example AAAAAAA=\n", false},
        {"no name", "t\n\n\xe2\x80\x94  AAAAAAA=\n", false},
        {"a plus in the name", "t\n\n\xe2\x80\x94 a+b AAAAAAA=\n", false},
        {"a wide space in the name",
         "t\n\n\xe2\x80\x94 a\xe3\x80\x80"
         "b AAAAAAA=\n",
         false},
        {"two spaces", "t\n\n\xe2\x80\x94 a.example  AAAAAAA=\n", false},
        {"a space after", "t\n\n\xe2\x80\x94 a.example AAAAAAA= \n", false},
        {"no signature behind the id", "t\n\n\xe2\x80\x94 a.example AAAAAA==\n", false},
        {"loose bits", "t\n\n\xe2\x80\x94 a.example AAAAAAB=\n", false},
        {"no padding", "t\n\n\xe2\x80\x94 a.example AAAAAAA\n", false},
        {"no base64", "t\n\n\xe2\x80\x94 a.example \n", false},
        {"no space", "t\n\n\xe2\x80\x94 a.example\n", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct note n;

        if (note_parse(slice_text(ROWS[i].note), &n) !=
            (ROWS[i].good ? LIAISON_OK : LIAISON_MALFORMED))
            fail_msg("%s", ROWS[i].why);
    }
    struct note n;

    assert_int_equal(note_parse(slice("t\0\n\n" SIG, sizeof "t\0\n\n" SIG - 1), &n),
                     LIAISON_MALFORMED);
}

static void a_note_is_taken_apart_without_a_byte_lost(void **state)
{
    static const char NOTE[] = "t\n\nu\n\n" SIG "\xe2\x80\x94 b AQIDBAUG\n";
    struct note n;

    (void)state;
    assert_int_equal(note_parse(slice_text(NOTE), &n), LIAISON_OK);
    assert_true(slice_equal(n.text, slice_text("t\n\nu\n")));
    assert_int_equal(n.n, 2);
    assert_true(slice_equal(n.lines[0].whole, slice_text(SIG)));
    assert_true(slice_equal(n.lines[1].name, slice_text("b")));
    assert_true(slice_equal(n.lines[1].base64, slice_text("AQIDBAUG")));
    assert_memory_equal(n.lines[1].id, "\x01\x02\x03\x04", 4);
}

static void a_note_has_100_lines_and_64_KiB_at_most(void **state)
{
    static struct draft d;
    struct note n;

    (void)state;
    d.n = 0;
    draft_say(&d, "t\n\n");
    for (int i = 0; i < 100; i++)
        draft_say(&d, SIG);
    assert_int_equal(note_parse(draft_bytes(&d), &n), LIAISON_OK);
    assert_int_equal(n.n, 100);
    draft_say(&d, SIG);
    assert_int_equal(note_parse(draft_bytes(&d), &n), LIAISON_LIMIT);
    for (size_t over = 0; over < 2; over++) {
        memset(d.bytes, 't', NOTE_BYTES_MAX + 1);
        d.n = NOTE_BYTES_MAX + over - strlen("\n\n" SIG);
        draft_say(&d, "\n\n" SIG);
        assert_int_equal(note_parse(draft_bytes(&d), &n),
                         over ? LIAISON_LIMIT : LIAISON_OK);
    }
}

static void nothing_is_signed_that_is_no_text_of_a_note(void **state)
{
    struct note_signer s = draft_signer(((struct rig *)*state)->h, "log.example",
                                        NOTE_ED25519),
                       wrong = s;
    static const char *const TEXTS[] = {"", "no line end", "a\r\n", "a\x01\n", "\xff\n"};
    char line[NOTE_LINE_MAX];
    size_t len = 77;

    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        assert_int_equal(note_sign(&s, slice_text(TEXTS[i]), 0, line, &len),
                         LIAISON_INTERNAL);
    wrong.key.public[5] ^= 1; /* a key damaged in memory: what it signs does not verify */
    assert_int_equal(note_sign(&wrong, slice_text("a\n"), 0, line, &len),
                     LIAISON_INTERNAL);
    wrong = s;
    wrong.seed[5] ^= 1;
    assert_int_equal(note_sign(&wrong, slice_text("a\n"), 0, line, &len),
                     LIAISON_INTERNAL);
    assert_int_equal(len, 77);
}

/* ------------------------------------------------------------ checkpoints */

static void checkpoints_are_read_as_strictly_as_the_vectors_say(void **state)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(*state, "checkpoint_parse", "cases"), i, c)
    {
        const char *strict = accepts(c, "expect") ? "strict" : "expect";
        struct checkpoint p;
        uint8_t root[64];
        char again[NOTE_CHECKPOINT_MAX + 1];

        if ((checkpoint_parse(slice_text(text(c, "body")), &p) == LIAISON_OK) !=
            accepts(c, strict))
            fail_msg("%s", text(c, "body"));
        if (!accepts(c, strict))
            continue;
        assert_string_equal(p.origin, text(c, "origin"));
        assert_int_equal(p.size, number(c, "size"));
        assert_int_equal(unhex(text(c, "hash"), root, sizeof root), HASH_BYTES);
        assert_memory_equal(p.root, root, HASH_BYTES);
        assert_int_equal(checkpoint_print(&p, again), strlen(text(c, "body")));
        assert_string_equal(again, text(c, "body"));
    }
    assert_int_equal(i, 14);
}

#define ROOT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void odd_checkpoints_are_refused(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
    } ROWS[] = {
        {"the largest size", "o\n9223372036854775807\n" ROOT "\n", true},
        {"a size of 2^63", "o\n9223372036854775808\n" ROOT "\n", false},
        {"a size of 2^64 - 1", "o\n18446744073709551615\n" ROOT "\n", false},
        {"a size that wraps", "o\n18446744073709551617\n" ROOT "\n", false},
        {"no size", "o\n\n" ROOT "\n", false},
        {"a sign", "o\n+7\n" ROOT "\n", false},
        {"a leading zero", "o\n07\n" ROOT "\n", false},
        {"two zeros", "o\n00\n" ROOT "\n", false},
        {"a space", "o\n 7\n" ROOT "\n", false},
        {"an extension line", "o\n7\n" ROOT "\nmore\n", false},
        {"an empty line more", "o\n7\n" ROOT "\n\n", false},
        {"no line end", "o\n7\n" ROOT, false},
        {"a CR", "o\r\n7\r\n" ROOT "\r\n", false},
        {"a control byte in the origin", "o\x01\n7\n" ROOT "\n", false},
        {"an origin that is no UTF-8", "\xff\n7\n" ROOT "\n", false},
        {"31 bytes", "o\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n", false},
        {"33 bytes", "o\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n", false},
        {"loose bits", "o\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n", false},
    };
    char longest[NOTE_CHECKPOINT_MAX + 2], again[NOTE_CHECKPOINT_MAX + 1];
    struct checkpoint c;

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if ((checkpoint_parse(slice_text(ROWS[i].text), &c) == LIAISON_OK) !=
            ROWS[i].good)
            fail_msg("%s", ROWS[i].why);
    memset(longest, 'o', NOTE_NAME_MAX + 1);
    strcpy(longest + NOTE_NAME_MAX, "\n9223372036854775807\n" ROOT "\n");
    assert_int_equal(checkpoint_parse(slice_text(longest), &c), LIAISON_OK);
    assert_int_equal(checkpoint_print(&c, again), strlen(longest));
    assert_string_equal(again, longest);
    memset(longest, 'o', NOTE_NAME_MAX + 1);
    strcpy(longest + NOTE_NAME_MAX + 1, "\n7\n" ROOT "\n");
    assert_int_equal(checkpoint_parse(slice_text(longest), &c), LIAISON_MALFORMED);
}

static void the_examples_of_the_specifications_are_read(void **state)
{
    const char *keys[] = {"checkpoint", "cosigned"};

    for (size_t i = 0; i < 2; i++) {
        struct note n;
        struct checkpoint c;

        assert_int_equal(
            note_parse(
                slice_text(text(cases(*state, "c2sp_format_examples", NULL), keys[i])),
                &n),
            LIAISON_OK);
        assert_int_equal(n.n, i + 1);
        assert_int_equal(checkpoint_parse(n.text, &c), LIAISON_OK);
        assert_int_equal(c.size, 20852163);
    }
}

/* ------------------------------------------------------------ a witness, of the parts */

struct witness {
    struct hash *h;
    struct note_key log;
    uint64_t size;
    uint8_t root[HASH_BYTES];
};

/* Source: C2SP tlog-witness, add-checkpoint; 403 for an unknown log, as the vectors' witness says. */
static int witness_add(struct witness *w, uint64_t old, struct slice proof,
                       struct slice note)
{
    struct note n;
    struct checkpoint c;
    struct note_verdict v;

    if (note_parse(note, &n) !=
        LIAISON_OK) /* one of the vectors' bad signatures is bad base64 too */
        return 403;
    if (checkpoint_parse(n.text, &c) != LIAISON_OK)
        return 400;
    if (strcmp(c.origin, w->log.name) != 0 ||
        note_verify(&n, &w->log, 1, &v) != LIAISON_OK || !v.signed_by)
        return 403;
    if (old > c.size)
        return 400;
    if (old != w->size)
        return 409;
    if (!merkle_check_growth(w->h, old, w->root, c.size, c.root, proof))
        return 422;
    w->size = c.size;
    memcpy(w->root, c.root, HASH_BYTES);
    return 200;
}

/* Takes `old N` and lines of base64 up to an empty line; what is left is the note. */
static int witness_request(struct witness *w, const char *request)
{
    uint8_t proof[MERKLE_PROOF_MAX * HASH_BYTES];
    size_t n = 0, len;
    uint64_t old = strtoull(request + strlen("old "), NULL, 10);

    for (request = strchr(request, '\n') + 1; *request != '\n';
         request = strchr(request, '\n') + 1) {
        struct slice line = {(const uint8_t *)request, strcspn(request, "\n")};

        assert_true(base64_decode(line, proof + n, sizeof proof - n, &len));
        n += len;
    }
    return witness_add(w, old, slice(proof, n), slice_text(request + 1));
}

static void a_witness_of_these_parts_answers_as_the_reference_does(void **state)
{
    struct rig *r = *state;
    struct witness w = {.h = r->h};
    json_t *c;
    size_t i;

    assert_int_equal(
        note_key_parse(text(cases(r, "witness_exchange", NULL), "log_vkey"), &w.log),
        LIAISON_OK);
    json_array_foreach(cases(r, "witness_exchange", "steps"), i, c)
    {
        int status = witness_request(&w, text(c, "request"));

        if (status != (int)number(c, "status"))
            fail_msg("step %zu: %d", i, status);
    }
    assert_int_equal(i, 9);
}

static const char *note_of(struct rig *r, const char *id)
{
    json_t *c;
    size_t i;

    json_array_foreach(cases(r, "notes", NULL), i, c)
    {
        if (strcmp(text(c, "id"), id) == 0)
            return text(c, "note");
    }
    fail_msg("%s", id);
    return NULL;
}

/* The rows of witness_update_rules, played with the two trees that it is about. */
static void a_witness_of_these_parts_keeps_the_rules_of_updates(void **state)
{
    struct rig *r = *state;
    json_t *vectors = load("tests/vectors/merkle.json");
    const json_t *grown = json_array_get(member(vectors, "real_log_consistency"), 0);
    struct slice five = slice_text(note_of(r, "witness-monkeys-5")),
                 eight = slice_text(note_of(r, "witness-monkeys-8")),
                 none = slice(NULL, 0);
    uint8_t bytes[4 * HASH_BYTES];
    struct slice proof = {bytes, sizeof bytes};
    struct witness w = {.h = r->h}, at_five, forked;

    for (size_t i = 0; i < 4; i++)
        unhex(json_string_value(json_array_get(member(grown, "proof"), i)),
              bytes + i * HASH_BYTES, HASH_BYTES);
    assert_int_equal(
        note_key_parse("monkeys+db4d9f7e+AULaJMvTtDLHPUcUrjdDad9vDlh/PTfC2VV60JUtCfWT",
                       &w.log),
        LIAISON_OK);
    assert_int_equal(json_array_size(cases(r, "witness_update_rules", "cases")), 8);
    assert_int_equal(witness_add(&w, 0, proof, five),
                     422); /* non-empty proof from size 0 */
    assert_int_equal(witness_add(&w, 0, none, five), 200);
    at_five = w;
    assert_int_equal(witness_add(&w, 5, none, five), 200);   /* same size, same root */
    assert_int_equal(witness_add(&w, 5, none, eight), 422);  /* missing proof */
    assert_int_equal(witness_add(&w, 4, proof, eight), 409); /* old size differs */
    forked = w;
    forked.root[0] ^= 1;
    assert_int_equal(witness_add(&forked, 5, none, five),
                     422); /* same size, different root */
    assert_int_equal(witness_add(&w, 5, proof, eight), 200);
    assert_int_equal(witness_add(&w, 8, none, five), 400); /* smaller than stored */
    bytes[40] ^= 1;
    assert_int_equal(witness_add(&at_five, 5, proof, eight), 422); /* garbage proof */
    json_decref(vectors);
}

/* ------------------------------------------------------------ proof files */

static void proof_files_are_written_and_read_as_the_vectors_say(void **state)
{
    static char out[NOTE_PROOF_MAX];
    json_t *c, *hash;
    size_t i, j;

    json_array_foreach(cases(*state, "tlog_proof", "marshal"), i, c)
    {
        struct slice want = slice_text(text(c, "want"));
        struct note_proof p;

        assert_int_equal(note_proof_parse(want, &p), LIAISON_OK);
        assert_int_equal(p.index, number(c, "index"));
        assert_true(slice_equal(p.note, slice_text(text(c, "checkpoint"))));
        assert_int_equal(p.path_len, json_array_size(member(c, "hashes")));
        json_array_foreach((json_t *)(uintptr_t)member(c, "hashes"), j, hash)
        {
            uint8_t bytes[HASH_BYTES];

            unhex(json_string_value(hash), bytes, sizeof bytes);
            assert_memory_equal(p.path[j], bytes, HASH_BYTES);
        }
        if (json_object_get(c, "extra_utf8") == NULL)
            assert_true(slice_equal(slice(out, note_proof_print(&p, out)), want));
    }
    assert_int_equal(i, 3);
    json_array_foreach(cases(*state, "tlog_proof", "reject"), i, c)
    {
        struct note_proof p;

        if (note_proof_parse(slice_text(json_string_value(c)), &p) != LIAISON_MALFORMED)
            fail_msg("%s", json_string_value(c));
    }
    assert_int_equal(i, 7);
}

#define PROOF "c2sp.org/tlog-proof@v1\n"

static void odd_proof_files_are_refused(void **state)
{
    static const struct {
        const char *why, *text;
        bool good;
    } ROWS[] = {
        {"the least", PROOF "index 0\n\nn", true},
        {"extra that says nothing", PROOF "extra \nindex 0\n\nn", true},
        {"the largest index", PROOF "index 9223372036854775807\n\nn", true},
        {"an index of 2^63", PROOF "index 9223372036854775808\n\nn", false},
        {"a leading zero", PROOF "index 01\n\nn", false},
        {"no note", PROOF "index 0\n\n", false},
        {"no empty line", PROOF "index 0\n" ROOT "\n", false},
        {"extra behind", PROOF "index 0\nextra AAAA\n\nn", false},
        {"extra twice", PROOF "extra AAAA\nextra AAAA\nindex 0\n\nn", false},
        {"another version", "c2sp.org/tlog-proof@v2\nindex 0\n\nn", false},
        {"CR LF", "c2sp.org/tlog-proof@v1\r\nindex 0\r\n\r\nn", false},
        {"loose bits", PROOF "index 0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n\nn",
         false},
        {"nothing", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct note_proof p;

        if ((note_proof_parse(slice_text(ROWS[i].text), &p) == LIAISON_OK) !=
            ROWS[i].good)
            fail_msg("%s", ROWS[i].why);
    }
}

static void the_longest_proof_file_comes_back_and_a_hash_more_is_refused(void **state)
{
    static char bytes[NOTE_PROOF_MAX + 64], note[NOTE_BYTES_MAX];
    static struct note_proof p, again;
    size_t n;

    (void)state;
    memset(note, 'n', sizeof note);
    memset(&p, 0x5a, sizeof p);
    p = (struct note_proof){.index = INT64_MAX,
                            .path_len = MERKLE_PATH_MAX,
                            .note = slice(note, sizeof note)};
    n = note_proof_print(&p, bytes);
    assert_true(n <= NOTE_PROOF_MAX);
    assert_int_equal(note_proof_parse(slice(bytes, n), &again), LIAISON_OK);
    assert_int_equal(again.path_len, MERKLE_PATH_MAX);
    assert_true(slice_equal(again.note, p.note));
    assert_int_equal(note_proof_parse(slice(bytes, NOTE_PROOF_MAX + 1), &again),
                     LIAISON_LIMIT);
    p.note.n = 1;
    n = note_proof_print(&p, bytes);
    memmove(bytes + strlen(PROOF "index 9223372036854775807\n") + 45,
            bytes + strlen(PROOF "index 9223372036854775807\n"), 64 * 45 + 2);
    assert_int_equal(note_proof_parse(slice(bytes, n + 45), &again), LIAISON_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_one_way_to_write_a_value),
        cmocka_unit_test(
            base64_comes_back_at_every_length_and_writes_no_more_than_it_may),
        cmocka_unit_test(the_rfcs_keys_sign_as_the_rfc_says),
        cmocka_unit_test(wycheproofs_signatures_are_judged_as_it_says),
        cmocka_unit_test(keys_under_which_one_signature_signs_anything_are_refused),
        cmocka_unit_test(vkeys_are_read_and_refused_as_the_vectors_say),
        cmocka_unit_test(odd_vkeys_are_refused),
        cmocka_unit_test(names_are_text_without_plus_or_space_of_any_script),
        cmocka_unit_test(a_new_key_comes_back_from_its_text_and_no_two_are_alike),
        cmocka_unit_test(notes_open_and_do_not_as_the_vectors_say),
        cmocka_unit_test(keys_of_the_vectors_sign_as_they_say),
        cmocka_unit_test(a_bad_line_of_a_known_key_spoils_a_note_with_a_good_one),
        cmocka_unit_test(lines_of_unknown_keys_are_passed_over),
        cmocka_unit_test(
            a_key_that_shares_name_and_id_with_another_is_never_taken_for_it),
        cmocka_unit_test(a_key_is_of_one_type_and_its_signature_no_other),
        cmocka_unit_test(a_cosignature_is_for_its_time_alone_and_the_latest_counts),
        cmocka_unit_test(a_cosignature_of_a_time_beyond_63_bits_is_refused),
        cmocka_unit_test(malformed_notes_are_refused),
        cmocka_unit_test(a_note_is_taken_apart_without_a_byte_lost),
        cmocka_unit_test(a_note_has_100_lines_and_64_KiB_at_most),
        cmocka_unit_test(nothing_is_signed_that_is_no_text_of_a_note),
        cmocka_unit_test(checkpoints_are_read_as_strictly_as_the_vectors_say),
        cmocka_unit_test(odd_checkpoints_are_refused),
        cmocka_unit_test(the_examples_of_the_specifications_are_read),
        cmocka_unit_test(a_witness_of_these_parts_answers_as_the_reference_does),
        cmocka_unit_test(a_witness_of_these_parts_keeps_the_rules_of_updates),
        cmocka_unit_test(proof_files_are_written_and_read_as_the_vectors_say),
        cmocka_unit_test(odd_proof_files_are_refused),
        cmocka_unit_test(the_longest_proof_file_comes_back_and_a_hash_more_is_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
