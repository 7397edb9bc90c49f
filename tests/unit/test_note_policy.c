#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/draft.h"

enum { WITNESSES = 6, NOW = 1700000000 };

#define ORIGIN "synthetic.example/eu/main/1"

struct rig {
    struct hash *h;
    struct note_signer log, next, other, w[WITNESSES];
    struct note_policy *p;
    char why[256];
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    if (r == NULL || (r->h = hash_new()) == NULL)
        return -1;
    r->log = draft_signer(r->h, ORIGIN, NOTE_ED25519);
    r->next = draft_signer(r->h, ORIGIN, NOTE_ED25519);
    r->other = draft_signer(r->h, "other.example/1", NOTE_ED25519);
    for (size_t i = 0; i < WITNESSES; i++) {
        char name[32];

        snprintf(name, sizeof name, "w%zu.example", i);
        r->w[i] = draft_signer(r->h, name, NOTE_COSIGNATURE);
    }
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    note_policy_free(r->p);
    hash_free(r->h);
    free(r);
    return 0;
}

/* Text with the keys put in: {L} log, {N} next, {O} other, {0}..{5} witnesses. */
static char *filled(struct rig *r, const char *text)
{
    char *out = calloc(1, 65536), key[NOTE_KEY_TEXT_MAX];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        const struct note_signer *s = NULL;

        if (text[0] == '{' && text[1] != '\0' && text[2] == '}')
            s = text[1] == 'L'   ? &r->log
                : text[1] == 'N' ? &r->next
                : text[1] == 'O' ? &r->other
                                 : &r->w[text[1] - '0'];
        if (s == NULL) {
            out[n++] = *text;
            continue;
        }
        note_key_print(&s->key, key);
        n += (size_t)sprintf(out + n, "%s", key);
        text += 2;
    }
    return out;
}

static enum liaison_code parse(struct rig *r, const char *text)
{
    char *all = filled(r, text);

    note_policy_free(r->p);
    r->p = NULL;
    r->why[0] = '\0';
    enum liaison_code code =
        note_policy_parse(slice_text(all), &r->p, r->why, sizeof r->why);

    free(all);
    return code;
}

static void parse_ok(struct rig *r, const char *text)
{
    if (parse(r, text) != LIAISON_OK)
        fail_msg("%s\n%s", text, r->why);
}

/* ------------------------------------------------------------ reading */

static void policies_are_read_and_refused_with_the_line(void **state)
{
    static const struct {
        const char *text, *why; /* NULL: good */
    } ROWS[] = {
        {"quorum none\n", NULL},
        {"quorum none", NULL},
        {"# a comment\n\n \t \n\t#another\nlog {L}\nquorum none\n", NULL},
        {"log {L} https://log.example/ \nlog {O}\nquorum none\n", NULL},
        {"witness a {0}\nquorum a\nwitness b {1} https://b.example\n", NULL},
        {"witness a {0}\nwitness b {1}\ngroup g 1 a b\nquorum g\n", NULL},
        {"witness \xc3\xa9 {0}\ngroup g all \xc3\xa9\ngroup h any g\nquorum h\n", NULL},
        {"", "line 0: the policy ends without a line `quorum`"},
        {"log {L}\n", "line 1: the policy ends without a line `quorum`"},
        {"quorum none\nquorum none\n", "line 2: a second quorum"},
        {"quorum\n",
         "line 1: a quorum is `none`, or a witness or group of an earlier line"},
        {"quorum a\nwitness a {0}\n",
         "line 1: a quorum is `none`, or a witness or group of an earlier line"},
        {"quorum none more\n", "line 1: more words than this line has"},
        {"log\nquorum none\n", "line 1: a verifier key is missing"},
        {"log {L} https://a b\n", "line 1: more words than this line has"},
        {"log {0}\n", "line 1: a log's key has type 1"},
        {"witness a {L}\n", "line 1: a witness's key has type 4"},
        {"log PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
         "line 1: a log's key has type 1"},
        {"log x{L}\n",
         "line 1: this is no verifier key, NAME+ID+BASE64, or its id is another key's"},
        {"log {L}\nlog {L}\n", "line 2: the same key stands on an earlier line"},
        {"witness a {0}\nwitness b {0}\n",
         "line 2: the same key stands on an earlier line"},
        {"witness a {0}\nwitness a {1}\n", "line 2: the name is taken"},
        {"witness none {0}\n", "line 1: the name is taken"},
        {"witness\n", "line 1: a name is missing"},
        {"witness a\n", "line 1: a verifier key is missing"},
        {"witness a {0}\ngroup a any a\n", "line 2: the name is taken"},
        {"witness a {0}\ngroup g any\n", "line 2: a group has a member"},
        {"witness a {0}\ngroup g\n", "line 2: how many: `all`, `any` or a number"},
        {"witness a {0}\ngroup g some a\n", "line 2: how many: `all`, `any` or a number"},
        {"witness a {0}\ngroup g -1 a\n", "line 2: how many: `all`, `any` or a number"},
        {"witness a {0}\ngroup g 01 a\n", "line 2: how many: `all`, `any` or a number"},
        {"witness a {0}\ngroup g 0 a\n", "line 2: the group has 1 members"},
        {"witness a {0}\ngroup g 2 a\n", "line 2: the group has 1 members"},
        {"witness a {0}\ngroup g 2 a a\n", "line 2: a is a member already"},
        {"witness a {0}\ngroup g any a\ngroup h any a\n",
         "line 3: a is a member already"},
        {"group g any none\n",
         "line 1: a member is neither witness nor group of an earlier line"},
        {"group g any g\n",
         "line 1: a member is neither witness nor group of an earlier line"},
        {"policy 1\n", "line 1: a line begins with log, witness, group or quorum"},
        {"Quorum none\n", "line 1: a line begins with log, witness, group or quorum"},
        {"quorum none\r\n", "line 1: a control character"},
        {"# \x01\nquorum none\n", "line 1: a control character"},
        {"quorum none\n# \x7f\n", "line 2: a control character"},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        enum liaison_code code = parse(r, ROWS[i].text);

        if (ROWS[i].why == NULL && code != LIAISON_OK)
            fail_msg("%s\n%s", ROWS[i].text, r->why);
        assert_int_equal(code, ROWS[i].why == NULL ? LIAISON_OK : LIAISON_CONFIG);
        assert_string_equal(r->why, ROWS[i].why == NULL ? "" : ROWS[i].why);
        assert_int_equal(code == LIAISON_OK, r->p != NULL);
    }
}

static void a_key_that_logs_is_no_witness_in_the_same_policy(void **state)
{
    struct rig *r = *state;
    struct note_signer s = r->log;
    char text[NOTE_SIGNER_TEXT_MAX], policy[1024];
    uint8_t digest[HASH_BYTES];

    /* the log's secret again, as a cosigner: its id is computed for the other type */
    s.key.type = NOTE_COSIGNATURE;
    note_signer_print(&s, text);
    assert_int_equal(note_signer_parse(text, &s),
                     LIAISON_FIELD); /* the id is the log's */
    hash_sha256(r->h,
                (struct slice[]){slice_text(ORIGIN "\n\x04"), slice(s.key.public, 32)}, 2,
                digest);
    memcpy(s.key.id, digest, 4);
    note_key_print(&s.key, text);
    snprintf(policy, sizeof policy, "log {L}\nwitness a %s\nquorum a\n", text);
    assert_int_equal(parse(r, policy), LIAISON_CONFIG);
    assert_string_equal(r->why, "line 2: the same key stands on an earlier line");
}

static void a_policy_lists_what_was_in_its_text(void **state)
{
    struct rig *r = *state;
    size_t n;

    parse_ok(r, "log {L}\nwitness a {0}\nlog {O}\nwitness b {1}\nquorum b\n");
    assert_memory_equal(note_policy_logs(r->p, &n)[1].key.public, r->other.key.public,
                        32);
    assert_int_equal(n, 2);
    assert_int_equal(note_policy_logs(r->p, &n)[1].from, 0);
    assert_int_equal(note_policy_logs(r->p, &n)[1].until, UINT64_MAX);
    assert_memory_equal(note_policy_witnesses(r->p, &n)[1].public, r->w[1].key.public,
                        32);
    assert_int_equal(n, 2);
    assert_string_equal(note_policy_witness_name(r->p, 0), "a");
    assert_string_equal(note_policy_witness_name(r->p, 1), "b");
}

static void a_policy_has_64_logs_witnesses_and_groups_at_most(void **state)
{
    struct rig *r = *state;
    const char *kinds[] = {"log", "witness", "group"};

    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t count = 64; count <= 65; count++) {
            char *text = calloc(1, 65536), key[NOTE_KEY_TEXT_MAX];
            size_t n = (size_t)sprintf(text, kind == 2 ? "witness w {0}\n" : "");

            for (size_t i = 0; i < count; i++) {
                struct note_signer s = draft_signer(
                    r->h, ORIGIN, kind == 0 ? NOTE_ED25519 : NOTE_COSIGNATURE);

                note_key_print(&s.key, key);
                if (kind == 0)
                    n += (size_t)sprintf(text + n, "log %s\n", key);
                else if (kind == 1)
                    n += (size_t)sprintf(text + n, "witness w%zu %s\n", i, key);
                else if (i == 0)
                    n += (size_t)sprintf(text + n, "group g0 any w\n");
                else
                    n += (size_t)sprintf(text + n, "group g%zu any g%zu\n", i, i - 1);
            }
            sprintf(text + n, "quorum none\n");
            if (parse(r, text) != (count == 64 ? LIAISON_OK : LIAISON_CONFIG))
                fail_msg("%zu %ss: %s", count, kinds[kind], r->why);
            free(text);
        }
    }
}

/* ------------------------------------------------------------ judging */

static void begin(struct draft *d, char text[NOTE_CHECKPOINT_MAX + 1], uint64_t size)
{
    struct checkpoint c = {.origin = ORIGIN, .size = size};

    checkpoint_print(&c, text);
    d->n = 0;
    draft_say(d, text);
    draft_say(d, "\n");
}

/* The checkpoint of `size` signed by a key, and cosigned by witnesses: bit i is w[i], i seconds after NOW. */
static void cosigned(struct rig *r, struct draft *d, const struct note_signer *by,
                     uint64_t size, unsigned witnesses)
{
    char text[NOTE_CHECKPOINT_MAX + 1];

    begin(d, text, size);
    draft_sign(d, by, text, 0);
    for (unsigned i = 0; i < WITNESSES; i++)
        if ((witnesses >> i & 1) != 0)
            draft_sign(d, &r->w[i], text, NOW + i);
}

static enum liaison_code judge(struct rig *r, const struct draft *d,
                               struct note_judgement *j)
{
    return note_judge(r->p, draft_bytes(d), NOW, j);
}

#define TWO_LEVELS                                                                       \
    "log {L}\nwitness x1 {0}\nwitness x2 {1}\nwitness x3 {2}\ngroup xs 2 x1 x2 x3\n"     \
    "witness y1 {3}\nwitness y2 {4}\nwitness y3 {5}\ngroup ys any y1 y2 y3\n"            \
    "group both all xs ys\nquorum both\n"

static void the_quorum_of_two_levels_is_there_for_the_right_sets_alone(void **state)
{
    struct rig *r = *state;

    parse_ok(r, TWO_LEVELS);
    for (unsigned set = 0; set < 1u << WITNESSES; set++) {
        unsigned xs = set & 7, ys = set >> 3;
        bool want = (xs & (xs - 1)) != 0 && ys != 0; /* two of three, and any */
        struct note_judgement j;
        struct draft d;

        cosigned(r, &d, &r->log, 7, set);
        assert_int_equal(judge(r, &d, &j), LIAISON_OK);
        assert_int_equal(j.quorum, want);
        assert_int_equal(j.n_witnesses, __builtin_popcount(set));
        assert_int_equal(j.checkpoint.size, 7);
        assert_memory_equal(j.log.public, r->log.key.public, 32);
        assert_int_equal(j.quorum_s != 0, want);
        assert_int_equal(j.witnessed_s,
                         set == 0 ? 0 : NOW + 31 - (unsigned)__builtin_clz(set));
    }
}

static void the_quorums_time_is_that_of_the_last_signature_it_needed(void **state)
{
    struct rig *r = *state;
    struct note_judgement j;
    struct draft d;

    parse_ok(r, TWO_LEVELS);
    cosigned(r, &d, &r->log, 7, 077); /* x: NOW, NOW + 1; y: NOW + 3 */
    assert_int_equal(judge(r, &d, &j), LIAISON_OK);
    assert_int_equal(j.quorum_s, NOW + 3);
    assert_int_equal(j.witnessed_s, NOW + 5);
    parse_ok(r, "log {L}\nwitness a {0}\nwitness b {1}\nwitness c {2}\ngroup g 2 c a "
                "b\nquorum g\n");
    assert_int_equal(judge(r, &d, &j), LIAISON_OK);
    assert_int_equal(j.quorum_s, NOW + 1);
    parse_ok(r, "log {L}\nwitness a {4}\nquorum a\n");
    assert_int_equal(judge(r, &d, &j), LIAISON_OK);
    assert_int_equal(j.quorum_s, NOW + 4);
    parse_ok(r, "log {L}\nwitness a {4}\nquorum none\n");
    assert_int_equal(judge(r, &d, &j), LIAISON_OK);
    assert_true(j.quorum);
    assert_int_equal(j.quorum_s, 0);
    assert_int_equal(j.n_witnesses, 1);
}

static void cosignatures_of_the_future_or_of_no_time_do_not_count(void **state)
{
    static const struct {
        uint64_t time_s;
        bool counts;
    } ROWS[] = {{1, true},          {NOW, true},        {NOW + 300, true},
                {NOW + 301, false}, {INT64_MAX, false}, {0, false}};
    struct rig *r = *state;

    parse_ok(r, "log {L}\nwitness a {0}\nquorum a\n");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char text[NOTE_CHECKPOINT_MAX + 1];
        struct note_judgement j;
        struct draft d;

        begin(&d, text, 7);
        draft_sign(&d, &r->log, text, 0);
        draft_sign(&d, &r->w[0], text, ROWS[i].time_s);
        assert_int_equal(judge(r, &d, &j), LIAISON_OK);
        assert_int_equal(j.quorum, ROWS[i].counts);
        assert_int_equal(j.n_witnesses, ROWS[i].counts ? 1 : 0);
    }
}

static void a_checkpoint_counts_only_by_the_key_of_its_origin(void **state)
{
    struct rig *r = *state;
    char text[NOTE_CHECKPOINT_MAX + 1];
    struct note_judgement j;
    struct draft d;

    parse_ok(r, "log {L}\nlog {O}\nwitness a {0}\nquorum none\n");
    begin(&d, text, 7);
    draft_sign(&d, &r->w[0], text, NOW);
    assert_int_equal(judge(r, &d, &j), LIAISON_SIGNATURE); /* cosigned alone */
    draft_sign(&d, &r->other, text, 0);
    assert_int_equal(judge(r, &d, &j),
                     LIAISON_SIGNATURE); /* by a known log, but not that one */
    draft_sign(&d, &r->next, text, 0);
    assert_int_equal(judge(r, &d, &j),
                     LIAISON_SIGNATURE); /* by a key of its name, not listed */
    draft_sign(&d, &r->log, text, 0);
    assert_int_equal(judge(r, &d, &j), LIAISON_OK);
}

static void a_bad_signature_of_a_listed_key_spoils_the_checkpoint(void **state)
{
    struct rig *r = *state;
    const struct note_signer *bad[] = {&r->log, &r->other, &r->w[0]};

    parse_ok(r, "log {L}\nlog {O}\nwitness a {0}\nwitness b {1}\nquorum b\n");
    for (size_t i = 0; i < 3; i++) {
        struct note_judgement j = {.n_witnesses = 77};
        struct draft d;

        cosigned(r, &d, &r->log, 7, 3);
        draft_sign(&d, bad[i], "another text\n", NOW);
        assert_int_equal(judge(r, &d, &j), LIAISON_SIGNATURE);
        assert_int_equal(j.n_witnesses, 77);
    }
}

static void what_is_no_checkpoint_is_refused_though_signed(void **state)
{
    struct rig *r = *state;
    static const char *const TEXTS[] = {
        ORIGIN "\n7\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nextension\n",
        ORIGIN "\n07\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        ORIGIN "\n9223372036854775808\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        ORIGIN "\n7\n47DEQpj8HBSa\n", "synthetic\n"};

    parse_ok(r, "log {L}\nquorum none\n");
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct note_judgement j;
        struct draft d = {.n = 0};

        draft_say(&d, TEXTS[i]);
        draft_say(&d, "\n");
        draft_sign(&d, &r->log, TEXTS[i], 0);
        assert_int_equal(judge(r, &d, &j), LIAISON_MALFORMED);
    }
}

/* ------------------------------------------------------------ rotation */

/* The rotation of the log at `size` to a key, signed by two. */
static void rotation(struct draft *d, const struct note_signer *to, uint64_t size,
                     const struct note_signer *a, const struct note_signer *b)
{
    struct note_rotation r = {.origin = ORIGIN, .size = size, .key = to->key};
    char text[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX];

    note_rotation_print(&r, text);
    d->n = 0;
    draft_say(d, text);
    draft_say(d, "\n");
    if (a != NULL)
        draft_sign(d, a, text, 0);
    if (b != NULL)
        draft_sign(d, b, text, 0);
}

static bool believed(struct rig *r, const struct note_signer *by, uint64_t size)
{
    struct note_judgement j;
    struct draft d;
    enum liaison_code code;

    cosigned(r, &d, by, size, 0);
    code = judge(r, &d, &j);
    assert_true(code == LIAISON_OK || code == LIAISON_SIGNATURE);
    return code == LIAISON_OK;
}

static void after_a_rotation_each_key_counts_for_its_own_sizes(void **state)
{
    struct rig *r = *state;
    struct draft d;
    const char *policies[] = {
        "log {L}\nlog {O}\nquorum none\n",
        "log {N}\nlog {L}\nquorum none\n"}; /* the new one may be listed */

    for (size_t i = 0; i < 2; i++) {
        parse_ok(r, policies[i]);
        rotation(&d, &r->next, 100, &r->log, &r->next);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_OK);
            assert_true(believed(r, &r->log, 0));
            assert_true(believed(r, &r->log, 100));
            assert_false(believed(r, &r->log, 101));
            assert_false(believed(r, &r->next, 0));
            assert_false(believed(r, &r->next, 100));
            assert_true(believed(r, &r->next, 101));
            assert_true(believed(r, &r->next, INT64_MAX));
        }
    }
}

static void rotations_follow_one_another_and_may_be_taken_again(void **state)
{
    struct rig *r = *state;
    struct note_signer third = draft_signer(r->h, ORIGIN, NOTE_ED25519);
    struct draft one, two;
    size_t n;

    parse_ok(r, "log {L}\nquorum none\n");
    rotation(&one, &r->next, 100, &r->log, &r->next);
    rotation(&two, &third, 200, &r->next, &third);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&two)), LIAISON_SIGNATURE);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&one)), LIAISON_OK);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&two)), LIAISON_OK);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&one)), LIAISON_OK);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&two)), LIAISON_OK);
    note_policy_logs(r->p, &n);
    assert_int_equal(n, 3);
    assert_true(believed(r, &r->log, 100) && believed(r, &r->next, 200) &&
                believed(r, &third, 201));
    assert_false(believed(r, &r->log, 150) || believed(r, &r->next, 201) ||
                 believed(r, &third, 200));
}

static void a_rotation_wants_both_signatures_and_its_own_origin(void **state)
{
    struct rig *r = *state;
    struct note_signer thief = draft_signer(r->h, ORIGIN, NOTE_ED25519);
    struct {
        const char *why;
        const struct note_signer *a, *b;
    } rows[] = {{"nobody", NULL, NULL},
                {"the old key alone", &r->log, NULL},
                {"the new key alone", &r->next, NULL},
                {"another log", &r->other, &r->next},
                {"an unknown key of the name", &thief, &r->next}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct draft d;
        size_t n;

        parse_ok(r, "log {L}\nlog {O}\nquorum none\n");
        rotation(&d, &r->next, 100, rows[i].a, rows[i].b);
        if (note_policy_rotate(r->p, draft_bytes(&d)) !=
            (rows[i].a == NULL ? LIAISON_MALFORMED : LIAISON_SIGNATURE))
            fail_msg("%s", rows[i].why);
        note_policy_logs(r->p, &n);
        assert_int_equal(n, 2);
        assert_true(believed(r, &r->log, 101));
    }
}

static void a_key_that_has_ended_hands_over_to_nobody_else(void **state)
{
    struct rig *r = *state;
    struct note_signer thief = draft_signer(r->h, ORIGIN, NOTE_ED25519);
    struct draft d;
    const uint64_t sizes[] = {0, 50, 100, 101, 200};

    parse_ok(r, "log {L}\nquorum none\n");
    rotation(&d, &r->next, 100, &r->log, &r->next);
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        rotation(&d, &thief, sizes[i], &r->log, &thief);
        assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_SIGNATURE);
        assert_false(believed(r, &thief, sizes[i] + 1));
    }
    rotation(&d, &thief, 99, &r->next, &thief); /* before its time */
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_SIGNATURE);
    rotation(&d, &r->log, 300, &r->next, &r->log); /* back to a key that was given up */
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_SIGNATURE);
    rotation(&d, &r->next, 150, &r->log, &r->next); /* the same at another size */
    assert_int_equal(note_policy_rotate(r->p, draft_bytes(&d)), LIAISON_SIGNATURE);
    assert_true(believed(r, &r->next, 101));
}

static void a_policy_full_of_log_keys_takes_no_rotation(void **state)
{
    struct rig *r = *state;
    struct note_signer from = r->log;
    enum liaison_code code = LIAISON_OK;
    size_t n = 0;

    parse_ok(r, "log {L}\nquorum none\n");
    for (uint64_t size = 1; code == LIAISON_OK; size++) {
        struct note_signer to = draft_signer(r->h, ORIGIN, NOTE_ED25519);
        struct draft d;

        rotation(&d, &to, size, &from, &to);
        code = note_policy_rotate(r->p, draft_bytes(&d));
        from = code == LIAISON_OK ? to : from;
    }
    assert_int_equal(code, LIAISON_LIMIT);
    note_policy_logs(r->p, &n);
    assert_int_equal(n, NOTE_KEYS_MAX);
    assert_true(believed(r, &from, INT64_MAX));
}

static void a_rotation_is_read_as_it_is_printed_and_is_no_checkpoint(void **state)
{
    struct rig *r = *state;
    struct note_rotation a = {.origin = ORIGIN, .size = INT64_MAX, .key = r->next.key}, b;
    char text[NOTE_CHECKPOINT_MAX + NOTE_KEY_TEXT_MAX], again[sizeof text],
        key[NOTE_KEY_TEXT_MAX];
    struct checkpoint c;
    static const struct {
        const char *why, *format;
    } ROWS[] = {
        {"another word", ORIGIN " key-rotated\n1\n%s\n"},
        {"two spaces", ORIGIN "  key-rotation\n1\n%s\n"},
        {"no origin", " key-rotation\n1\n%s\n"},
        {"another origin", "x.example key-rotation\n1\n%s\n"},
        {"a leading zero", ORIGIN " key-rotation\n01\n%s\n"},
        {"a size of 2^63", ORIGIN " key-rotation\n9223372036854775808\n%s\n"},
        {"no line end", ORIGIN " key-rotation\n1\n%s"},
        {"a line more", ORIGIN " key-rotation\n1\n%s\nmore\n"},
        {"a key and more", ORIGIN " key-rotation\n1\n%s \n"},
    };

    size_t len = note_rotation_print(&a, text);

    assert_int_equal(len, strlen(text));
    assert_int_equal(note_rotation_parse(slice_text(text), &b), LIAISON_OK);
    note_rotation_print(&b, again);
    assert_string_equal(again, text);
    assert_int_equal(checkpoint_parse(slice_text(text), &c), LIAISON_MALFORMED);
    note_key_print(&r->next.key, key);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, ROWS[i].format, key);
#pragma GCC diagnostic pop
        if (note_rotation_parse(slice_text(text), &b) != LIAISON_MALFORMED)
            fail_msg("%s", ROWS[i].why);
    }
    note_key_print(&r->w[0].key, key);
    snprintf(text, sizeof text, "w0.example key-rotation\n1\n%s\n", key);
    assert_int_equal(note_rotation_parse(slice_text(text), &b), LIAISON_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(policies_are_read_and_refused_with_the_line,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_logs_is_no_witness_in_the_same_policy,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_policy_lists_what_was_in_its_text, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_policy_has_64_logs_witnesses_and_groups_at_most,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_quorum_of_two_levels_is_there_for_the_right_sets_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(
            the_quorums_time_is_that_of_the_last_signature_it_needed, setup, teardown),
        cmocka_unit_test_setup_teardown(
            cosignatures_of_the_future_or_of_no_time_do_not_count, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_counts_only_by_the_key_of_its_origin,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_bad_signature_of_a_listed_key_spoils_the_checkpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_checkpoint_is_refused_though_signed,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            after_a_rotation_each_key_counts_for_its_own_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(
            rotations_follow_one_another_and_may_be_taken_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_rotation_wants_both_signatures_and_its_own_origin, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_has_ended_hands_over_to_nobody_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_policy_full_of_log_keys_takes_no_rotation,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_rotation_is_read_as_it_is_printed_and_is_no_checkpoint, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
