/* libliaison against a broker that plays scripts. All names and data are made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <sys/wait.h>

#include "client/lib/liaison.h"
#include "proto/sign.h"
#include "tests/unit/rig.h"

static const char CONTENT[] = "{\"name\": \"Synthetic Person\"}";

/* ---------------------------------------------------------------- settings and drafts */

static void settings_are_checked_where_they_are_set(void **state)
{
    static const struct {
        const char *key, *value;
        enum liaison_code want;
    } CASES[] = {
        {"netwrok", "x", LIAISON_USAGE},       {"agency", "FR/prison", LIAISON_FIELD},
        {"agency", "fr/prison", LIAISON_OK},   {"officer", "Jane Doe", LIAISON_FIELD},
        {"timeout_ms", "soon", LIAISON_FIELD}, {"timeout_ms", "0", LIAISON_FIELD},
        {"timeout_ms", "-1", LIAISON_FIELD},   {"timeout_ms", "100", LIAISON_OK},
        {"timeout_ms", "", LIAISON_OK},        {"purpose", "two words", LIAISON_FIELD},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (liaison_set(r->l, CASES[i].key, CASES[i].value) != CASES[i].want)
            fail_msg("%s = %s", CASES[i].key, CASES[i].value);
        assert_int_equal(liaison_errmsg(r->l)[0] == '\0', CASES[i].want == LIAISON_OK);
    }
}

static void a_missing_setting_is_named(void **state)
{
    static const char *const KEYS[] = {"broker", "network",          "ca",
                                       "crl",    "sign_certificate", "sign_key"};
    struct rig *r = *state;

    assert_int_equal(liaison_connect(r->l), LIAISON_CONFIG);
    assert_non_null(strstr(liaison_errmsg(r->l), "\"broker\""));
    for (size_t i = 1; i < sizeof KEYS / sizeof *KEYS; i++) {
        struct liaison *l = handle(r, "prison");

        assert_int_equal(liaison_set(l, "broker", "127.0.0.1:1"), LIAISON_OK);
        assert_int_equal(liaison_set(l, KEYS[i], ""), LIAISON_OK);
        assert_int_equal(liaison_connect(l), LIAISON_CONFIG);
        if (strstr(liaison_errmsg(l), KEYS[i]) == NULL)
            fail_msg("%s: %s", KEYS[i], liaison_errmsg(l));
        liaison_free(l);
    }
}

static void keys_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *why, *key, *file;
        enum liaison_code want;
    } CASES[] = {
        {"another's certificate", "sign_certificate", "probation.crt", LIAISON_IDENTITY},
        {"another's key", "sign_key", "probation.key", LIAISON_CONFIG},
        {"a sealing certificate", "sign_certificate", "prison-seal.crt", LIAISON_PROFILE},
        {"no such file", "sign_key", "nowhere.key", LIAISON_FILE},
        {"readable by others", "sign_key", "open.key", LIAISON_PERMISSION},
    };
    struct rig *r = *state;
    char command[256];

    snprintf(command, sizeof command,
             "cd '%s' && cp prison.key open.key && chmod 644 open.key", r->pki.dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct liaison *l = handle(r, "prison");

        assert_int_equal(liaison_set(l, "broker", "127.0.0.1:1"), LIAISON_OK);
        assert_int_equal(liaison_set(l, CASES[i].key, pki_path(&r->pki, CASES[i].file)),
                         LIAISON_OK);
        enum liaison_code code = liaison_connect(l);

        if (code != CASES[i].want)
            fail_msg("%s: %s, %s", CASES[i].why, liaison_code_name(code),
                     liaison_errmsg(l));
        liaison_free(l);
    }
}

static void a_referral_says_which_field_is_wrong(void **state)
{
    static const struct {
        const char *key, *value;
        enum liaison_code want;
    } CASES[] = {
        {"recipient", "fr/probation", LIAISON_USAGE},
        {"to", "Fr/Probation", LIAISON_FIELD},
        {"type", "favour", LIAISON_FIELD},
        {"minor", "maybe", LIAISON_FIELD},
        {"minor", "unspecified", LIAISON_FIELD},
        {"subject_category", "at-risk", LIAISON_OK},
        {"case_id", "12", LIAISON_FIELD},
        {"id", "not-an-id", LIAISON_FIELD},
        {"due_unix_ms", "tomorrow", LIAISON_FIELD},
    };
    struct rig *r = *state;
    struct liaison_referral *referral;

    assert_int_equal(liaison_referral_new(r->l, &referral), LIAISON_OK);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (liaison_referral_set(referral, CASES[i].key, CASES[i].value) != CASES[i].want)
            fail_msg("%s = %s", CASES[i].key, CASES[i].value);
    assert_int_equal(liaison_referral_section(referral, "Identity", "a/b", "x", 1),
                     LIAISON_FIELD);
    assert_int_equal(liaison_referral_section(referral, "identity", "", "x", 1),
                     LIAISON_FIELD);
    assert_int_equal(liaison_referral_section(referral, "identity", "a/b", "x", 1),
                     LIAISON_OK);
    assert_int_equal(liaison_referral_section(referral, "identity", "a/b", "y", 1),
                     LIAISON_FIELD);
    fill(referral);
    assert_int_equal(liaison_referral_set(referral, "minor", ""), LIAISON_OK);
    assert_int_equal(liaison_seal(r->l, &referral, 1), LIAISON_FIELD);
    assert_non_null(strstr(liaison_errmsg(r->l), "minor"));
    liaison_referral_free(referral);
}

static void a_sealed_referral_does_not_change(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l), *copy = NULL;
    const uint8_t *bytes, *again;
    size_t len, again_len;
    char *kept;

    assert_int_equal(liaison_referral_set(referral, "minor", "yes"), LIAISON_USAGE);
    assert_int_equal(liaison_referral_section(referral, "needs", "a/b", "x", 1),
                     LIAISON_USAGE);
    assert_int_equal(liaison_seal(r->l, &referral, 1), LIAISON_USAGE);
    assert_int_equal(strlen(liaison_referral_id(referral)), 36);
    assert_int_equal(liaison_referral_bytes(referral, &bytes, &len), LIAISON_OK);
    assert_int_equal(liaison_referral_from_bytes(r->l, bytes, len, &copy), LIAISON_OK);
    assert_int_equal(liaison_referral_bytes(copy, &again, &again_len), LIAISON_OK);
    assert_int_equal(len, again_len);
    assert_memory_equal(bytes, again, len);
    assert_string_equal(liaison_referral_id(copy), liaison_referral_id(referral));
    liaison_referral_free(copy);
    kept = malloc(len + 1);
    memcpy(kept, bytes, len);
    kept[len] = 0;
    assert_int_equal(liaison_referral_from_bytes(r->l, kept, len + 1, &copy),
                     LIAISON_MALFORMED);
    assert_int_equal(liaison_referral_from_bytes(r->l, kept, len - 1, &copy),
                     LIAISON_MALFORMED);
    assert_int_equal(liaison_referral_from_bytes(r->l, "", 0, &copy), LIAISON_FIELD);
    free(kept);
    liaison_referral_free(referral);
}

static void a_handle_does_not_survive_fork(void **state)
{
    struct rig *r = *state;
    int status = 0;
    pid_t child = fork();

    if (child == 0)
        _exit(liaison_connect(r->l) == LIAISON_USAGE &&
                      strstr(liaison_errmsg(r->l), "fork") != NULL
                  ? 0
                  : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ---------------------------------------------------------------- connecting */

static void play_nothing(struct peer *p)
{
    char byte;

    while (recv(p->fd, &byte, 1, 0) > 0) /* until the client gives up */
        continue;
}

static void play_tls_only(struct peer *p)
{
    if (peer_tls(p))
        peer_drain(p);
}

static void play_greeting_only(struct peer *p)
{
    if (peer_tls(p) && peer_greet(p))
        peer_drain(p);
}

static void play_ready_only(struct peer *p)
{
    if (peer_tls(p) && peer_greet(p) && peer_ready(p))
        peer_drain(p);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void every_phase_of_connecting_has_a_deadline(void **state)
{
    static const struct {
        const char *awaited;
        play *play;
    } CASES[] = {{"TLS", play_nothing},
                 {"greeting", play_tls_only},
                 {"READY", play_greeting_only},
                 {"Welcome", play_ready_only}};
    const char *slow =
        getenv("TEST_CONNECT_MS"); /* valgrind: a handshake takes longer than 200 ms */
    const char *connect = slow != NULL ? slow : "200";
    const intmax_t connect_ms = strtol(connect, NULL, 10);
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t begun_ms = now_ms();

        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        start_with(r, CASES[i].play, NULL);
        assert_int_equal(liaison_set(r->l, "connect_ms", connect), LIAISON_OK);
        assert_int_equal(liaison_connect(r->l), LIAISON_TIMEOUT);
        if (strstr(liaison_errmsg(r->l), CASES[i].awaited) == NULL)
            fail_msg("%s: %s", CASES[i].awaited, liaison_errmsg(r->l));
        assert_in_range(now_ms() - begun_ms, connect_ms - 10, connect_ms * 20);
        finish(r);
    }
}

static void play_plain_text(struct peer *p)
{
    static const char TEXT[] = "HTTP/1.0 400 Bad Request\r\n\r\n";

    (void)!write(p->fd, TEXT, sizeof TEXT - 1);
    play_nothing(p);
}

static void play_garbage_zmtp(struct peer *p)
{
    if (peer_tls(p) && peer_write(p, "GARBAGE GARBAGE", 15))
        peer_drain(p);
}

static void play_garbage_frame(struct peer *p)
{
    if (peer_tls(p) && peer_greet(p) && peer_ready(p) &&
        peer_send_bytes(p, slice_text("\xff\xff\xff")))
        peer_drain(p);
}

/* Welcome with its id as a varint that is longer than need be. */
static void play_loose_frame(struct peer *p)
{
    static const uint8_t LOOSE[] = {0x08, 0x81, 0x00, 0x5a, 0x00};

    if (peer_tls(p) && peer_greet(p) && peer_ready(p) &&
        peer_send_bytes(p, slice(LOOSE, sizeof LOOSE)))
        peer_drain(p);
}

static void play_many_frames(struct peer *p)
{
    static const uint8_t MORE[] = {0x01, 0x01, 0x00};

    if (peer_tls(p) && peer_greet(p) && peer_ready(p) && peer_write(p, MORE, sizeof MORE))
        peer_drain(p);
}

static void play_zmtp_error(struct peer *p)
{
    uint8_t out[256];

    if (peer_tls(p) && peer_greet(p) &&
        peer_write(p, out, zmtp_error("no room \x1b[2J", out)))
        peer_drain(p);
}

static void welcome_with(struct peer *p, struct welcome w)
{
    Liaison__V1__Frame *hello;

    if (!peer_tls(p) || !peer_greet(p) || !peer_ready(p) ||
        (hello = peer_read(p)) == NULL)
        return;
    if (peer_welcome(p, hello->id, w))
        peer_drain(p);
    liaison__v1__frame__free_unpacked(hello, NULL);
}

static void play_other_network(struct peer *p)
{
    welcome_with(
        p, (struct welcome){.version = 1, .window = 64, .network = "other.example"});
}

static void play_other_version(struct peer *p)
{
    welcome_with(p, (struct welcome){.version = 2, .window = 64, .network = PKI_NETWORK});
}

static void play_no_window(struct peer *p)
{
    welcome_with(p, (struct welcome){.version = 1, .window = 0, .network = PKI_NETWORK});
}

static void play_unknown_agency(struct peer *p)
{
    if (peer_tls(p) && peer_greet(p) && peer_ready(p)) {
        peer_error(p, 0, LIAISON__V1__CODE__CODE_UNKNOWN_AGENCY,
                   "the rules declare no fr/prison");
        peer_drain(
            p); /* closing with its Hello unread would reset the connection and lose the words */
    }
}

static void play_stranger_id(struct peer *p)
{
    if (peer_open(p) && peer_done(p, 99999))
        peer_drain(p);
}

static void what_is_not_the_protocol_ends_the_connection(void **state)
{
    static const struct {
        const char *why;
        play *play;
        enum liaison_code want;
    } CASES[] = {
        {"plain text instead of TLS", play_plain_text, LIAISON_TLS},
        {"garbage instead of ZMTP", play_garbage_zmtp, LIAISON_PROTOCOL},
        {"garbage instead of a Frame", play_garbage_frame, LIAISON_MALFORMED},
        {"a Frame that is not canonical", play_loose_frame, LIAISON_MALFORMED},
        {"a message of several frames", play_many_frames, LIAISON_PROTOCOL},
        {"ZMTP's ERROR", play_zmtp_error, LIAISON_CLOSED},
        {"another network", play_other_network, LIAISON_NETWORK},
        {"another version", play_other_version, LIAISON_VERSION},
        {"no window", play_no_window, LIAISON_PROTOCOL},
        {"not known, said before closing", play_unknown_agency, LIAISON_UNKNOWN_AGENCY},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        start_with(r, CASES[i].play, NULL);
        enum liaison_code code = liaison_connect(r->l);

        if (code != CASES[i].want)
            fail_msg("%s: %s, %s", CASES[i].why, liaison_code_name(code),
                     liaison_errmsg(r->l));
        assert_string_not_equal(liaison_errmsg(r->l), "");
        assert_null(strchr(liaison_errmsg(r->l), '\x1b'));
        finish(r);
    }
}

static void an_answer_to_no_call_ends_the_connection(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_stranger_id, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, NULL), LIAISON_PROTOCOL);
    assert_non_null(strstr(liaison_errmsg(r->l), "never made"));
    liaison_referral_free(referral);
}

/* T-14 */
static void only_a_broker_with_the_right_certificate_is_spoken_to(void **state)
{
    struct rig *r = *state;

    SSL_CTX_free(r->server); /* an agency's certificate, on the server's side */
    r->server = SSL_CTX_new(TLS_server_method());
    assert_int_equal(
        SSL_CTX_use_certificate_chain_file(r->server, pki_path(&r->pki, "probation.crt")),
        1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(
                         r->server, pki_path(&r->pki, "probation.key"), SSL_FILETYPE_PEM),
                     1);
    start_with(r, play_tls_only, NULL);
    assert_int_equal(liaison_connect(r->l), LIAISON_PROFILE);
    finish(r);

    SSL_CTX_free(r->server);
    r->server = server_context(r, "hub");
    r->l = handle(r, "prison");
    assert_int_equal(liaison_set(r->l, "broker_name", "fr/other"), LIAISON_OK);
    start_with(r, play_ready_only, NULL);
    assert_int_equal(liaison_connect(r->l), LIAISON_IDENTITY);
}

static void a_revoked_broker_is_not_spoken_to(void **state)
{
    struct rig *r = *state;

    r->pki.revoked[r->pki.n_revoked++] = r->pki.serial; /* the hub's was the last */
    pki_crls(&r->pki, "crl-new.pem");
    assert_int_equal(liaison_set(r->l, "crl", pki_path(&r->pki, "crl-new.pem")),
                     LIAISON_OK);
    start_with(r, play_tls_only, NULL);
    assert_int_equal(liaison_connect(r->l), LIAISON_REVOKED);
}

static void a_broker_that_refuses_our_certificate_says_why(void **state)
{
    struct rig *r = *state;
    struct tls_trust *fresh = NULL;
    char why[256];

    r->pki.revoked[r->pki.n_revoked++] = 3; /* the prison's: root 1, registrar 2 */
    pki_crls(&r->pki, "crl-new.pem");
    assert_int_equal(tls_trust_load(PKI_NETWORK, pki_path(&r->pki, "ca.pem"),
                                    pki_path(&r->pki, "crl-new.pem"), time(NULL), &fresh,
                                    why, sizeof why),
                     LIAISON_OK);
    tls_trust_free(r->trust);
    r->trust = fresh;
    SSL_CTX_free(r->server);
    r->server = server_context(r, "hub");
    start_with(r, play_tls_only, NULL);
    assert_int_equal(liaison_connect(r->l), LIAISON_REVOKED);
    assert_non_null(strstr(liaison_errmsg(r->l), "our certificate"));
}

static void a_broker_that_is_not_there_is_unreachable(void **state)
{
    struct rig *r = *state;

    assert_int_equal(liaison_set(r->l, "broker", "127.0.0.1:1"), LIAISON_OK);
    assert_int_equal(liaison_connect(r->l), LIAISON_UNREACHABLE);
    static const char *const NO_ADDRESS[] = {"nowhere", "nowhere:", ":1", "h:65536", "h:1x",
                                             "::1:1"};

    for (size_t i = 0; i < sizeof NO_ADDRESS / sizeof *NO_ADDRESS; i++)
        assert_int_equal(liaison_set(r->l, "broker", NO_ADDRESS[i]), LIAISON_FIELD);
    assert_int_equal(liaison_set(r->l, "broker", "[::1]:1"), LIAISON_OK);
    assert_int_equal(liaison_connect(r->l), LIAISON_UNREACHABLE);
}

/* ---------------------------------------------------------------- answers are checked */

struct wrong {
    const char *why;
    void (*alter)(struct acceptance *a);
};

static void alter_agency(struct acceptance *a)
{
    a->entry.agency = a->envelope->to;
}

static void alter_counterpart(struct acceptance *a)
{
    a->entry.counterpart = a->envelope->from;
}

static void alter_event(struct acceptance *a)
{
    a->entry.event = LIAISON__V1__EVENT__EVENT_ACCEPT;
}

static void alter_verdict(struct acceptance *a)
{
    a->entry.verdict = LIAISON__V1__VERDICT__VERDICT_DENIED;
}

static void alter_referral(struct acceptance *a)
{
    a->entry.referral_id = script_bytes(a->nonce, 16);
}

static void alter_request(struct acceptance *a)
{
    a->entry.request_id = script_bytes(a->nonce, 16);
}

static void alter_purpose(struct acceptance *a)
{
    a->entry.purpose = a->envelope->basis;
}

static void alter_type(struct acceptance *a)
{
    a->entry.type = LIAISON__V1__TYPE__TYPE_REFERRAL;
}

static void alter_certificate(struct acceptance *a)
{
    a->certificate[0] ^= 1;
}

static void alter_officer(struct acceptance *a)
{
    a->commitments[0][0] ^= 1;
}

static void alter_case(struct acceptance *a)
{
    a->commitments[1][31] ^= 1;
}

static void alter_content(struct acceptance *a)
{
    a->commitments[2][7] ^= 1;
}

static void alter_no_content(struct acceptance *a)
{
    a->entry.content_commitment = script_bytes(NULL, 0);
}

static void alter_state(struct acceptance *a)
{
    a->accepted.state = LIAISON__V1__STATE__STATE_COMPLETED;
}

static void alter_opening(struct acceptance *a)
{
    a->accepted.opening = script_bytes(a->nonce, 16);
}

static void alter_other_opening(struct acceptance *a)
{
    a->accepted.opening = script_bytes(a->certificate, 32);
}

static void play_wrong(struct peer *p)
{
    const struct rig *r = p->s->test;
    struct acceptance a;
    Liaison__V1__Frame *f;

    if (!peer_open(p) || (f = peer_read(p)) == NULL)
        return;
    acceptance_of(p->s, f->submit->referral, &a);
    if (r->wrong != NULL)
        r->wrong->alter(&a);
    if (acceptance_send(p, f->id, &a, false))
        peer_drain(p);
    liaison__v1__frame__free_unpacked(f, NULL);
}

static void an_entry_that_is_not_about_our_call_is_refused(void **state)
{
    static const struct wrong WRONG[] = {
        {"the agency", alter_agency},
        {"the other party", alter_counterpart},
        {"the event", alter_event},
        {"the verdict", alter_verdict},
        {"the referral", alter_referral},
        {"the request", alter_request},
        {"purpose and basis", alter_purpose},
        {"the type", alter_type},
        {"the certificate", alter_certificate},
        {"the officer", alter_officer},
        {"the case", alter_case},
        {"the content", alter_content},
        {"the content", alter_no_content},
        {"the state", alter_state},
        {"the entry", alter_opening},
        {"the content", alter_other_opening},
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        struct liaison_answer *answer = NULL;

        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        struct liaison_referral *referral = bare(r->l);

        r->wrong = &WRONG[i];
        start_with(r, play_wrong, NULL);
        enum liaison_code code = liaison_submit(r->l, referral, 0, &answer);

        if (code != LIAISON_SIGNATURE ||
            strstr(liaison_errmsg(r->l), WRONG[i].why) == NULL)
            fail_msg("%s: %s, %s", WRONG[i].why, liaison_code_name(code),
                     liaison_errmsg(r->l));
        assert_non_null(answer); /* the evidence */
        assert_int_equal(liaison_answer_code(answer), LIAISON_SIGNATURE);
        liaison_answer_free(answer);
        liaison_referral_free(referral);
        finish(r);
    }
}

static void an_honest_acceptance_is_success(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_answer *answer = NULL;
    size_t len = 0;

    r->wrong = NULL;
    start_with(r, play_wrong, NULL);
    if (liaison_submit(r->l, referral, 0, &answer) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_string_equal(liaison_answer_kind(answer), "accepted");
    assert_string_equal(liaison_answer_state(answer), "requested");
    assert_int_equal(liaison_answer_state_version(answer), 1);
    assert_int_equal(liaison_answer_seq(answer), 7);
    assert_memory_equal(liaison_answer_opening(answer, &len), SCRIPT_OPENING, 32);
    assert_non_null(liaison_answer_entry(answer, &len));
    assert_non_null(liaison_answer_frame(answer, &len));
    assert_null(liaison_answer_granted(answer, 0));
    assert_string_equal(liaison_errmsg(r->l), "");
    liaison_answer_free(answer);
    liaison_referral_free(referral);
}

static void play_duplicate(struct peer *p)
{
    struct acceptance a;
    Liaison__V1__Frame *f;

    if (!peer_open(p) || (f = peer_read(p)) == NULL)
        return;
    acceptance_of(p->s, f->submit->referral, &a);
    a.certificate[0] ^= 1; /* the first answer, from before the certificate was renewed */
    if (acceptance_send(p, f->id, &a, true))
        peer_drain(p);
    liaison__v1__frame__free_unpacked(f, NULL);
}

static void a_duplicate_is_success_and_says_so(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_answer *answer = NULL;

    start_with(r, play_duplicate, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, &answer), LIAISON_OK);
    assert_string_equal(liaison_answer_kind(answer), "duplicate");
    liaison_answer_free(answer);
    liaison_referral_free(referral);
}

/* ---------------------------------------------------------------- sending again */

/* Keeps the exact SignedReferral of a submit and its id. */
static void keep(struct rig *r, const Liaison__V1__Frame *f)
{
    size_t n = liaison__v1__signed_referral__get_packed_size(f->submit->referral);

    if (r->n_kept == KEPT)
        return;
    r->kept[r->n_kept] = malloc(n);
    liaison__v1__signed_referral__pack(f->submit->referral, r->kept[r->n_kept]);
    r->kept_len[r->n_kept] = n;
    r->ids[r->n_kept++] = f->id;
}

static void assert_same_bytes(const struct rig *r, size_t n,
                              const struct liaison_referral *referral)
{
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(r->n_kept, n);
    assert_int_equal(liaison_referral_bytes(referral, &bytes, &len), LIAISON_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(r->kept_len[i], len);
        assert_memory_equal(r->kept[i], bytes, len);
        assert_true(i == 0 || r->ids[i] > r->ids[i - 1]); /* ids rise */
    }
}

/* The broker has lost the session, as behind a tunnel that reconnected. */
static void play_hello_required(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    for (int round = 0; (f = peer_read(p)) != NULL; round++) {
        if (f->body_case == BODY(HELLO)) {
            peer_welcome(
                p, f->id,
                (struct welcome){.version = 1, .window = 64, .network = PKI_NETWORK});
            r->seen++;
        } else {
            keep(r, f);
            if (round == 0)
                peer_error(p, f->id, LIAISON__V1__CODE__CODE_HELLO_REQUIRED, "");
            else
                peer_accept(p, f, false);
        }
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void hello_is_said_again_when_it_is_asked_for(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_hello_required, NULL);
    if (liaison_submit(r->l, referral, 0, NULL) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_outstanding(r->l), 0);
    liaison_close(r->l);
    script_join(&r->script);
    assert_int_equal(r->seen, 1);
    assert_same_bytes(r, 2, referral);
    liaison_referral_free(referral);
}

static void play_hang_up(struct peer *p)
{
    Liaison__V1__Frame *f;

    if (!peer_open(p) || (f = peer_read(p)) == NULL)
        return;
    keep(p->s->test, f);
    liaison__v1__frame__free_unpacked(f, NULL);
}

static void play_accept_all(struct peer *p)
{
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        keep(p->s->test, f);
        peer_accept(p, f, false);
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void a_call_whose_connection_broke_is_sent_again_as_it_was(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    r->script.plays[2] = play_accept_all;
    start_with(r, play_hang_up, play_hang_up);
    if (liaison_submit(r->l, referral, 0, NULL) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    liaison_close(r->l);
    script_join(&r->script);
    assert_same_bytes(r, 3, referral);
    liaison_referral_free(referral);
}

static void play_busy_twice(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        keep(r, f);
        if (r->n_kept < 3)
            peer_error(p, f->id, LIAISON__V1__CODE__CODE_BUSY, "");
        else
            peer_accept(p, f, false);
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void what_the_broker_cannot_take_now_is_sent_again_later(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_busy_twice, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, NULL), LIAISON_OK);
    liaison_close(r->l);
    script_join(&r->script);
    assert_same_bytes(r, 3, referral);
    liaison_referral_free(referral);
}

static void play_always(struct peer *p, Liaison__V1__Code code)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        r->seen++;
        peer_error(p, f->id, code, "");
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static void play_always_full(struct peer *p)
{
    play_always(p, LIAISON__V1__CODE__CODE_FULL);
}

static void play_always_conflict(struct peer *p)
{
    play_always(p, LIAISON__V1__CODE__CODE_CONFLICT);
}

static void sending_again_ends_with_the_callers_time(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_answer *answer = NULL;
    int64_t begun_ms = now_ms();

    assert_int_equal(liaison_set(r->l, "timeout_ms", "700"), LIAISON_OK);
    start_with(r, play_always_full, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, &answer), LIAISON_FULL);
    assert_true(now_ms() - begun_ms < 3000);
    assert_non_null(answer);
    assert_string_equal(liaison_answer_kind(answer), "error");
    liaison_answer_free(answer);
    liaison_close(r->l);
    script_join(&r->script);
    assert_in_range(r->seen, 2, 20);
    liaison_referral_free(referral);
}

static void what_will_fail_again_is_not_sent_again(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);

    start_with(r, play_always_conflict, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, NULL), LIAISON_CONFLICT);
    liaison_close(r->l);
    script_join(&r->script);
    assert_int_equal(r->seen, 1);
    liaison_referral_free(referral);
}

static void play_silent(struct peer *p)
{
    if (peer_open(p))
        peer_drain(p);
}

static void a_call_without_an_answer_ends_in_time(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_answer *answer = NULL;

    assert_int_equal(liaison_set(r->l, "timeout_ms", "300"), LIAISON_OK);
    start_with(r, play_silent, NULL);
    assert_int_equal(liaison_submit(r->l, referral, 0, &answer), LIAISON_TIMEOUT);
    assert_null(answer);
    assert_int_equal(liaison_outstanding(r->l), 0);
    liaison_referral_free(referral);
}

/* ---------------------------------------------------------------- many calls at once */

enum { MANY = 40, WINDOW = 4 };

/* Collects a window full of calls, then answers them backwards; notes whether ever more were open. */
static void play_backwards(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *open[WINDOW];
    size_t n = 0;

    if (!peer_open_window(p, WINDOW))
        return;
    while (r->seen < MANY && (open[n] = peer_read(p)) != NULL) {
        r->seen++;
        n++;
        r->most = n > r->most ? n : r->most;
        while (n == WINDOW || (r->seen == MANY && n > 0)) {
            for (; n > 0; n--) {
                peer_accept(p, open[n - 1], false);
                liaison__v1__frame__free_unpacked(open[n - 1], NULL);
            }
        }
    }
    peer_drain(p);
}

static void many_calls_fly_within_the_window_and_answers_find_them(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referrals[MANY];
    uint64_t calls[MANY];
    bool answered[MANY] = {false};

    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(liaison_referral_new(r->l, &referrals[i]), LIAISON_OK);
        fill(referrals[i]);
    }
    assert_int_equal(liaison_seal(r->l, referrals, MANY), LIAISON_OK);
    start_with(r, play_backwards, NULL);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(liaison_send_submit(r->l, referrals[i], 0, &calls[i]),
                         LIAISON_OK);
    assert_int_equal(liaison_outstanding(r->l), MANY);
    for (size_t i = 0; i < MANY; i++)
        liaison_referral_free(referrals[i]); /* the calls hold what they need */
    for (size_t i = 0; i < MANY; i++) {
        struct liaison_answer *answer = NULL;

        assert_int_equal(liaison_receive(r->l, 5000, &answer), LIAISON_OK);
        if (liaison_answer_code(answer) != LIAISON_OK)
            fail_msg("%s", liaison_answer_text(answer));
        for (size_t j = 0; j < MANY; j++)
            if (calls[j] == liaison_answer_call(answer))
                answered[j] = !answered[j];
        liaison_answer_free(answer);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_true(answered[i]);
    liaison_close(r->l);
    script_join(&r->script);
    assert_int_equal(r->most, WINDOW);
}

static void a_program_can_wait_on_the_descriptor_alone(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_answer *answer = NULL;
    int64_t until_ms = now_ms() + 5000;
    uint64_t call;

    start_with(r, play_accept_all, NULL);
    assert_int_equal(liaison_send_submit(r->l, referral, 0, &call), LIAISON_OK);
    while (answer == NULL && now_ms() < until_ms) {
        struct pollfd p = {.fd = liaison_fd(r->l), .events = POLLIN};

        if (liaison_receive(r->l, 0, &answer) == LIAISON_TIMEOUT)
            assert_int_equal(poll(&p, 1, 5000),
                             1); /* never needed the second that the header speaks of */
    }
    assert_non_null(answer);
    assert_int_equal(liaison_answer_call(answer), call);
    liaison_answer_free(answer);
    liaison_referral_free(referral);
}

static void a_message_over_the_brokers_limit_is_not_sent(void **state)
{
    struct rig *r = *state;
    struct liaison_answer *answer = NULL;
    static uint64_t mailbox[4000], lease[4000];
    uint64_t call;

    for (size_t i = 0; i < 4000; i++)
        mailbox[i] = lease[i] = UINT64_MAX; /* 24 bytes each: more than 64 KiB together */
    start_with(r, play_silent, NULL);
    assert_int_equal(liaison_send_ack(r->l, mailbox, lease, 4000, &call), LIAISON_OK);
    assert_int_equal(liaison_receive(r->l, 3000, &answer), LIAISON_OK);
    assert_int_equal(liaison_answer_code(answer), LIAISON_LIMIT);
    assert_string_equal(liaison_answer_kind(answer), "local");
    liaison_answer_free(answer);
}

/* ---------------------------------------------------------------- deliveries */

static bool deliver(struct peer *p, uint64_t mailbox)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Deliver d = LIAISON__V1__DELIVER__INIT;
    Liaison__V1__Notice notice = LIAISON__V1__NOTICE__INIT;

    notice.state = LIAISON__V1__STATE__STATE_IN_PROGRESS;
    notice.state_version = 3;
    d.mailbox = mailbox;
    d.lease = 100 + mailbox;
    d.attempt = 2;
    d.item_case = LIAISON__V1__DELIVER__ITEM_NOTICE;
    d.notice = &notice;
    f.body_case = BODY(DELIVER);
    f.deliver = &d;
    return peer_send(p, 0, &f);
}

/* Delivers one item for each Grant, then goes away on the first connection. */
static void serve_grant(struct peer *p, bool stay)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        bool grant = f->body_case == BODY(GRANT);

        if (grant)
            r->ids[r->seen++] = f->grant->messages;
        peer_done(p, f->id);
        if (grant)
            deliver(p, r->seen);
        liaison__v1__frame__free_unpacked(f, NULL);
        if (grant && !stay)
            return;
    }
}

static void play_grant_and_go(struct peer *p)
{
    serve_grant(p, false);
}

static void play_grant(struct peer *p)
{
    serve_grant(p, true);
}

static void what_was_granted_is_granted_again_after_a_reconnect(void **state)
{
    struct rig *r = *state;
    struct liaison_answer *delivery = NULL;
    uint64_t mailbox = 2, lease = 102;

    start_with(r, play_grant_and_go, play_grant);
    assert_int_equal(liaison_grant(r->l, 5, 5000), LIAISON_OK);
    assert_int_equal(liaison_next(r->l, 3000, &delivery), LIAISON_OK);
    assert_int_equal(liaison_answer_call(delivery), 0);
    assert_int_equal(liaison_answer_mailbox(delivery), 1);
    assert_int_equal(liaison_answer_lease(delivery), 101);
    assert_int_equal(liaison_answer_attempt(delivery), 2);
    assert_string_equal(liaison_answer_state(delivery), "in-progress");
    liaison_answer_free(delivery);
    delivery = NULL;
    assert_int_equal(liaison_next(r->l, 3000, &delivery),
                     LIAISON_OK); /* over the second connection */
    assert_int_equal(liaison_answer_mailbox(delivery), 2);
    liaison_answer_free(delivery);
    assert_int_equal(liaison_ack(r->l, &mailbox, &lease, 1), LIAISON_OK);
    delivery = NULL;
    assert_int_equal(liaison_next(r->l, 50, &delivery), LIAISON_TIMEOUT);
    assert_null(delivery);
    liaison_close(r->l);
    script_join(&r->script);
    assert_int_equal(r->seen, 2);
    assert_int_equal(r->ids[0], 5);
    assert_int_equal(r->ids[1], 5);
}

/* ---------------------------------------------------------------- sealing, with a directory */

/* What the directory says: whose certificate is published for the agency, and which CRLs. */
struct published {
    const char *certificate; /* NULL: the agency is not known */
    const char *crl;         /* NULL: none is sent */
};

static size_t read_crls(const struct rig *r, const char *file, ProtobufCBinaryData out[4])
{
    FILE *f = fopen(pki_path(&r->pki, file), "r");
    size_t n = 0;
    X509_CRL *crl;

    while (n < 4 && (crl = PEM_read_X509_CRL(f, NULL, NULL, NULL)) != NULL) {
        out[n] = (ProtobufCBinaryData){0, NULL};
        out[n].len = (size_t)i2d_X509_CRL(crl, &out[n].data);
        n++;
        X509_CRL_free(crl);
    }
    fclose(f);
    ERR_clear_error();
    return n;
}

static const struct published
    *PUBLISHED; /* of the test at hand; set before the script starts */

static void answer_directory(struct peer *p, const Liaison__V1__Frame *ask)
{
    const struct rig *r = p->s->test;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Agencies page = LIAISON__V1__AGENCIES__INIT;
    Liaison__V1__Agency agency = LIAISON__V1__AGENCY__INIT, *agencies[] = {&agency};
    ProtobufCBinaryData certificate = {0, NULL}, crls[4];
    char why[128];

    agency.id = ask->directory->agency;
    if (PUBLISHED->certificate != NULL &&
        tls_load_certificate(pki_path(&r->pki, PUBLISHED->certificate), &certificate.data,
                             &certificate.len, why, sizeof why) == LIAISON_OK) {
        agency.n_seal_certificates = 1;
        agency.seal_certificates = &certificate;
        page.n_agencies = 1;
        page.agencies = agencies;
    }
    if (PUBLISHED->crl != NULL)
        page.n_crls = read_crls(r, PUBLISHED->crl, crls);
    page.crls = crls;
    f.body_case = BODY(AGENCIES);
    f.agencies = &page;
    peer_send(p, ask->id, &f);
    OPENSSL_free(certificate.data);
    for (size_t i = 0; i < page.n_crls; i++)
        OPENSSL_free(crls[i].data);
}

static void play_directory(struct peer *p)
{
    struct rig *r = p->s->test;
    Liaison__V1__Frame *f;

    if (!peer_open(p))
        return;
    while ((f = peer_read(p)) != NULL) {
        r->seen++;
        answer_directory(p, f);
        liaison__v1__frame__free_unpacked(f, NULL);
    }
}

static struct liaison_referral *with_section(struct liaison *l)
{
    struct liaison_referral *r = NULL;

    assert_int_equal(liaison_referral_new(l, &r), LIAISON_OK);
    fill(r);
    assert_int_equal(liaison_referral_section(r, "identity", "application/json", CONTENT,
                                              strlen(CONTENT)),
                     LIAISON_OK);
    return r;
}

/* T-64 */
static void a_sealing_certificate_is_checked_by_the_sender(void **state)
{
    static const struct {
        const char *why;
        struct published published;
        enum liaison_code want;
    } CASES[] = {
        {"right", {"probation-seal.crt", NULL}, LIAISON_OK},
        {"another agency's", {"prison-seal.crt", NULL}, LIAISON_SEAL},
        {"a signing certificate", {"probation.crt", NULL}, LIAISON_SEAL},
        {"revoked in the CRL that comes along",
         {"probation-seal.crt", "crl-new.pem"},
         LIAISON_SEAL},
        {"not known", {NULL, NULL}, LIAISON_RECIPIENT},
    };
    struct rig *r = *state;

    r->pki.revoked[r->pki.n_revoked++] =
        6; /* root 1, registrar 2, prison 3 and 4, probation 5 and 6 */
    pki_crls(&r->pki, "crl-new.pem");
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        struct liaison_referral *referral = with_section(r->l);

        PUBLISHED = &CASES[i].published;
        start_with(r, play_directory, NULL);
        enum liaison_code code = liaison_seal(r->l, &referral, 1);

        if (code != CASES[i].want)
            fail_msg("%s: %s, %s", CASES[i].why, liaison_code_name(code),
                     liaison_errmsg(r->l));
        liaison_referral_free(referral);
        finish(r);
    }
}

static void the_directory_is_asked_once_for_many(void **state)
{
    static const struct published ALL = {"probation-seal.crt", NULL};
    struct rig *r = *state;
    struct liaison_referral *referrals[3];

    PUBLISHED = &ALL;
    start_with(r, play_directory, NULL);
    for (size_t i = 0; i < 3; i++)
        referrals[i] = with_section(r->l);
    assert_int_equal(liaison_seal(r->l, referrals, 2), LIAISON_OK);
    assert_int_equal(liaison_seal(r->l, &referrals[2], 1), LIAISON_OK);
    for (size_t i = 0; i < 3; i++)
        liaison_referral_free(referrals[i]);
    finish(r);
    assert_int_equal(r->seen, 1);
}

static char *file_text(const struct rig *r, const char *file)
{
    char *text = calloc(1, 65536);
    FILE *f = fopen(pki_path(&r->pki, file), "r");

    assert_true(fread(text, 1, 65535, f) > 0);
    fclose(f);
    return text;
}

static void ask_directory(struct rig *r)
{
    struct liaison_query *q = NULL;

    assert_int_equal(liaison_query_new(r->l, "directory", &q), LIAISON_OK);
    assert_int_equal(liaison_query_set(q, "agency", "fr/probation"), LIAISON_OK);
    if (liaison_query_next(q, NULL) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_query_more(q), 0);
    assert_int_equal(liaison_query_next(q, NULL), LIAISON_USAGE);
    liaison_query_free(q);
}

static void a_newer_crl_is_taken_over_and_kept(void **state)
{
    static const struct published NEWS = {"probation-seal.crt", "crl-new.pem"};
    struct rig *r = *state;
    char *have, *want;

    pki_crls(&r->pki, "crl-new.pem");
    PUBLISHED = &NEWS;
    start_with(r, play_directory, NULL);
    ask_directory(r);
    have = file_text(r, "crl.pem");
    want = file_text(r, "crl-new.pem");
    assert_string_equal(have, want);
    free(have);
    free(want);
}

/* T-80 */
static void an_older_or_forged_crl_is_not_taken(void **state)
{
    static const struct published OLD = {"probation-seal.crt", "crl-old.pem"};
    static const struct published FORGED = {"probation-seal.crt", "crl-forged.pem"};
    struct rig *r = *state;
    EVP_PKEY *own = r->pki.ca_key;
    char *before = file_text(r, "crl.pem"), *after;

    r->pki.crl_number = 0;
    pki_crls(&r->pki, "crl-old.pem"); /* the same number again, other bytes */
    r->pki.crl_number = 50;
    r->pki.ca_key = EVP_EC_gen("P-256");
    r->pki.root_key =
        (EVP_PKEY_up_ref(r->pki.ca_key), EVP_PKEY_free(r->pki.root_key), r->pki.ca_key);
    pki_crls(&r->pki, "crl-forged.pem");
    EVP_PKEY_free(r->pki.ca_key);
    r->pki.ca_key = own;
    for (int i = 0; i < 2; i++) {
        r->l = r->l == NULL ? handle(r, "prison") : r->l;
        PUBLISHED = i == 0 ? &OLD : &FORGED;
        start_with(r, play_directory, NULL);
        ask_directory(r);
        after = file_text(r, "crl.pem");
        assert_string_equal(before, after);
        free(after);
        finish(r);
    }
    free(before);
}

static void a_crl_that_is_put_in_place_is_in_force_at_once(void **state)
{
    struct rig *r = *state;
    struct liaison_referral *referral = bare(r->l);
    struct liaison_letter *t = NULL;
    struct liaison *reader = handle(r, "probation");
    const uint8_t *bytes;
    size_t len;
    FILE *f;

    assert_int_equal(liaison_referral_bytes(referral, &bytes, &len), LIAISON_OK);
    assert_int_equal(liaison_verify_bytes(reader, "referral", bytes, len, &t),
                     LIAISON_OK);
    liaison_letter_free(t);
    f = fopen(pki_path(&r->pki, "crl.pem"),
              "w"); /* one that does not hold changes nothing */
    assert_int_equal(fclose(f), 0);
    assert_int_equal(liaison_verify_bytes(reader, "referral", bytes, len, &t),
                     LIAISON_OK);
    assert_string_equal(liaison_errmsg(reader), "");
    liaison_letter_free(t);
    r->pki.revoked[r->pki.n_revoked++] = 3; /* the prison's */
    pki_crls(&r->pki, "crl.pem");
    assert_int_equal(liaison_verify_bytes(reader, "referral", bytes, len, &t),
                     LIAISON_REVOKED);
    liaison_referral_free(referral);
    liaison_free(reader);
}

/* ---------------------------------------------------------------- letters */

/* A sealed referral from the prison to probation, as bytes. */
static uint8_t *sealed_bytes(struct rig *r, size_t *len)
{
    static const struct published ALL = {"probation-seal.crt", NULL};
    struct liaison_referral *referral = with_section(r->l);
    const uint8_t *bytes;
    uint8_t *copy;

    assert_int_equal(
        liaison_referral_section(referral, "needs", "text/plain", "a flat", 6),
        LIAISON_OK);
    PUBLISHED = &ALL;
    start_with(r, play_directory, NULL);
    if (liaison_seal(r->l, &referral, 1) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(r->l));
    assert_int_equal(liaison_referral_bytes(referral, &bytes, len), LIAISON_OK);
    copy = malloc(*len);
    memcpy(copy, bytes, *len);
    liaison_referral_free(referral);
    finish(r);
    return copy;
}

static void the_recipient_verifies_and_opens(void **state)
{
    struct rig *r = *state;
    size_t len, content_len;
    uint8_t *bytes = sealed_bytes(r, &len);
    struct liaison *reader = handle(r, "probation"), *sender = handle(r, "prison");
    struct liaison_letter *t = NULL;
    const uint8_t *content;
    const char *type = NULL;

    if (liaison_verify_bytes(reader, "referral", bytes, len, &t) != LIAISON_OK)
        fail_msg("%s", liaison_errmsg(reader));
    assert_string_equal(liaison_letter_signer(t), "fr/prison");
    assert_string_equal(liaison_letter_kind(t), "referral");
    assert_string_equal(liaison_letter_section(t, 0), "identity");
    assert_string_equal(liaison_letter_section(t, 1), "needs");
    assert_null(liaison_letter_section(t, 2));
    assert_string_equal(liaison_letter_reader(t, 0), "fr/probation");
    if (liaison_letter_open(reader, t, "identity", &content, &content_len, &type) !=
        LIAISON_OK)
        fail_msg("%s", liaison_errmsg(reader));
    assert_string_equal((const char *)content, CONTENT);
    assert_string_equal(type, "application/json");
    assert_int_equal(
        liaison_letter_open(reader, t, "health", &content, &content_len, NULL),
        LIAISON_NOT_FOUND);
    assert_int_equal(
        liaison_letter_open(sender, t, "identity", &content, &content_len, NULL),
        LIAISON_OK); /* it is open */
    liaison_letter_free(t);
    assert_int_equal(liaison_verify_bytes(sender, "referral", bytes, len, &t),
                     LIAISON_OK);
    assert_int_equal(
        liaison_letter_open(sender, t, "identity", &content, &content_len, NULL),
        LIAISON_SEAL);
    liaison_letter_free(t);
    free(bytes);
    liaison_free(reader);
    liaison_free(sender);
}

/* Alters the decoded message; the bytes it makes are strict again. */
struct forgery {
    const char *why;
    void (*alter)(struct rig *r, Liaison__V1__SignedReferral *m);
    enum liaison_code want;
};

static void forge_envelope(struct rig *r, Liaison__V1__SignedReferral *m)
{
    Liaison__V1__Envelope *e =
        liaison__v1__envelope__unpack(NULL, m->envelope.len, m->envelope.data);

    (void)r;
    e->minor = LIAISON__V1__MINOR__MINOR_YES;
    liaison__v1__envelope__pack(e, m->envelope.data); /* as long as before */
    liaison__v1__envelope__free_unpacked(e, NULL);
}

static void forge_signature(struct rig *r, Liaison__V1__SignedReferral *m)
{
    (void)r;
    m->signature->signature.data[m->signature->signature.len - 1] ^= 1;
}

static void forge_ciphertext(struct rig *r, Liaison__V1__SignedReferral *m)
{
    (void)r;
    m->sections[0]->ciphertext.data[100] ^= 1;
}

static void forge_swap(struct rig *r, Liaison__V1__SignedReferral *m)
{
    ProtobufCBinaryData c = m->sections[0]->ciphertext;

    (void)r;
    m->sections[0]->ciphertext = m->sections[1]->ciphertext;
    m->sections[1]->ciphertext = c;
}

static void forge_twice(struct rig *r, Liaison__V1__SignedReferral *m)
{
    (void)r;
    m->signature->size = 2;
}

/* Probation's key over the prison's envelope. */
static void forge_signer(struct rig *r, Liaison__V1__SignedReferral *m)
{
    struct hash *h = hash_new();
    struct slice message = slice(m->envelope.data, m->envelope.len);
    struct sign_part part;
    EVP_PKEY *key = NULL;
    char why[128];

    assert_int_equal(
        tls_load_key(pki_path(&r->pki, "probation.key"), &key, why, sizeof why),
        LIAISON_OK);
    assert_int_equal(sign_burst(h, key, SIGN_REFERRAL, &message, 1, &part), LIAISON_OK);
    free(m->signature->signature.data);
    m->signature->signature.data = malloc(part.signature_len);
    memcpy(m->signature->signature.data, part.signature, part.signature_len);
    m->signature->signature.len = part.signature_len;
    free(m->signature->certificate.data);
    uint8_t *der;
    size_t len;

    assert_int_equal(tls_load_certificate(pki_path(&r->pki, "probation.crt"), &der, &len,
                                          why, sizeof why),
                     LIAISON_OK);
    m->signature->certificate.data = malloc(len);
    memcpy(m->signature->certificate.data, der, len);
    m->signature->certificate.len = len;
    OPENSSL_free(der);
    EVP_PKEY_free(key);
    hash_free(h);
}

/* T-63 */
static void nothing_forged_verifies(void **state)
{
    static const struct forgery CASES[] = {
        {"an altered envelope", forge_envelope, LIAISON_SIGNATURE},
        {"an altered signature", forge_signature, LIAISON_SIGNATURE},
        {"an altered section", forge_ciphertext, LIAISON_DIGEST},
        {"sections that changed places", forge_swap, LIAISON_DIGEST},
        {"a tree of another size", forge_twice, LIAISON_SIGNATURE},
        {"another agency's signature", forge_signer, LIAISON_SIGNER},
    };
    struct rig *r = *state;
    size_t len;
    uint8_t *bytes = sealed_bytes(r, &len), *forged = malloc(len + 1024);
    struct liaison *reader = handle(r, "probation");

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Liaison__V1__SignedReferral *m =
            liaison__v1__signed_referral__unpack(NULL, len, bytes);
        struct liaison_letter *t = NULL;

        CASES[i].alter(r, m);
        size_t n = liaison__v1__signed_referral__pack(m, forged);
        enum liaison_code code = liaison_verify_bytes(reader, "referral", forged, n, &t);

        if (code != CASES[i].want || t != NULL)
            fail_msg("%s: %s, %s", CASES[i].why, liaison_code_name(code),
                     liaison_errmsg(reader));
        liaison__v1__signed_referral__free_unpacked(m, NULL);
    }
    free(bytes);
    free(forged);
    liaison_free(reader);
}

static void a_stripped_letter_still_verifies(void **state)
{
    struct rig *r = *state;
    size_t len, content_len;
    uint8_t *bytes = sealed_bytes(r, &len);
    Liaison__V1__SignedReferral *m =
        liaison__v1__signed_referral__unpack(NULL, len, bytes);
    struct liaison *reader = handle(r, "probation");
    struct liaison_letter *t = NULL;
    const uint8_t *content;

    m->n_sections = 1;
    size_t n = liaison__v1__signed_referral__pack(m, bytes);

    m->n_sections = 2;
    assert_int_equal(liaison_verify_bytes(reader, "referral", bytes, n, &t), LIAISON_OK);
    assert_null(liaison_letter_section(t, 1));
    assert_int_equal(
        liaison_letter_open(reader, t, "identity", &content, &content_len, NULL),
        LIAISON_OK);
    liaison_letter_free(t);
    liaison__v1__signed_referral__free_unpacked(m, NULL);
    free(bytes);
    liaison_free(reader);
}

static void the_letters_of_a_burst_verify_alone_and_can_be_signed_again(void **state)
{
    enum { N = 64 };
    struct rig *r = *state;
    struct liaison_referral *referrals[N];
    struct liaison_letter *t = NULL;
    const uint8_t *bytes, *envelope;
    size_t len, envelope_len;
    char case_id[2][16];

    for (size_t i = 0; i < N; i++) {
        assert_int_equal(liaison_referral_new(r->l, &referrals[i]), LIAISON_OK);
        fill(referrals[i]);
    }
    assert_int_equal(liaison_seal(r->l, referrals, N), LIAISON_OK);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(liaison_referral_bytes(referrals[i], &bytes, &len),
                             LIAISON_OK);
            if (liaison_verify_bytes(r->l, "referral", bytes, len, &t) != LIAISON_OK)
                fail_msg("%zu: %s", i, liaison_errmsg(r->l));
            envelope = liaison_letter_bytes(t, &envelope_len);
            Liaison__V1__Envelope *e =
                liaison__v1__envelope__unpack(NULL, envelope_len, envelope);

            memcpy(case_id[i > 0], e->case_id.data, 16);
            assert_memory_equal(case_id[0], case_id[i > 0], 16); /* one burst, one case */
            assert_int_equal(e->n_digests, 8);
            liaison__v1__envelope__free_unpacked(e, NULL);
            liaison_letter_free(t);
        }
        assert_int_equal(liaison_sign(r->l, referrals, N), LIAISON_OK);
    }
    for (size_t i = 0; i < N; i++)
        liaison_referral_free(referrals[i]);
}

/* T-25 */
static void an_action_is_signed_and_verifies(void **state)
{
    struct rig *r = *state;
    struct liaison_action *action = NULL, *copy = NULL;
    struct liaison_letter *t = NULL;
    const uint8_t *bytes;
    size_t len;

    assert_int_equal(liaison_action_new(r->l, &action), LIAISON_OK);
    assert_int_equal(liaison_action_set(action, "move", "dance"), LIAISON_FIELD);
    assert_int_equal(liaison_action_set(action, "move", "withdraw"), LIAISON_OK);
    assert_int_equal(liaison_action_set(action, "from", "fr/prison"), LIAISON_OK);
    assert_int_equal(liaison_action_seal(r->l, action), LIAISON_ID);
    assert_int_equal(
        liaison_action_set(action, "id", "019ab000-0000-7000-8000-000000000000"),
        LIAISON_OK);
    assert_int_equal(liaison_action_seal(r->l, action), LIAISON_FIELD); /* no version */
    assert_int_equal(liaison_action_set(action, "version", "1"), LIAISON_OK);
    assert_int_equal(liaison_action_seal(r->l, action), LIAISON_OK);
    assert_int_equal(liaison_action_bytes(action, &bytes, &len), LIAISON_OK);
    assert_int_equal(liaison_verify_bytes(r->l, "referral", bytes, len, &t),
                     LIAISON_MALFORMED);
    assert_int_equal(liaison_verify_bytes(r->l, "action", bytes, len, &t), LIAISON_OK);
    assert_string_equal(liaison_letter_kind(t), "action");
    assert_int_equal(liaison_action_from_bytes(r->l, bytes, len, &copy), LIAISON_OK);
    liaison_letter_free(t);
    liaison_action_free(copy);
    liaison_action_free(action);
}

static void every_code_has_its_words(void **state)
{
    (void)state;
    assert_int_equal(liaison_abi_version(), 1);
    assert_string_equal(liaison_code_name(LIAISON_NOT_FOUND), "NOT_FOUND");
    assert_int_equal(liaison_code_retry(LIAISON_HELLO_REQUIRED), 1);
    assert_int_equal(liaison_code_retry(LIAISON_BUSY), 2);
    assert_int_equal(liaison_code_retry(LIAISON_DENIED), 0);
    assert_string_not_equal(liaison_code_text((enum liaison_code)9999), "");
    assert_int_equal(liaison_connect(NULL), LIAISON_USAGE);
    liaison_free(NULL);
    liaison_answer_free(NULL);
    liaison_letter_free(NULL);
    liaison_referral_free(NULL);
    liaison_action_free(NULL);
    liaison_query_free(NULL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest TESTS[] = {
        TEST(settings_are_checked_where_they_are_set),
        TEST(a_missing_setting_is_named),
        TEST(keys_that_do_not_fit_are_refused),
        TEST(a_referral_says_which_field_is_wrong),
        TEST(a_sealed_referral_does_not_change),
        TEST(a_handle_does_not_survive_fork),
        TEST(every_phase_of_connecting_has_a_deadline),
        TEST(what_is_not_the_protocol_ends_the_connection),
        TEST(an_answer_to_no_call_ends_the_connection),
        TEST(only_a_broker_with_the_right_certificate_is_spoken_to),
        TEST(a_revoked_broker_is_not_spoken_to),
        TEST(a_broker_that_refuses_our_certificate_says_why),
        TEST(a_broker_that_is_not_there_is_unreachable),
        TEST(an_honest_acceptance_is_success),
        TEST(an_entry_that_is_not_about_our_call_is_refused),
        TEST(a_duplicate_is_success_and_says_so),
        TEST(hello_is_said_again_when_it_is_asked_for),
        TEST(a_call_whose_connection_broke_is_sent_again_as_it_was),
        TEST(what_the_broker_cannot_take_now_is_sent_again_later),
        TEST(sending_again_ends_with_the_callers_time),
        TEST(what_will_fail_again_is_not_sent_again),
        TEST(a_call_without_an_answer_ends_in_time),
        TEST(many_calls_fly_within_the_window_and_answers_find_them),
        TEST(a_program_can_wait_on_the_descriptor_alone),
        TEST(a_message_over_the_brokers_limit_is_not_sent),
        TEST(what_was_granted_is_granted_again_after_a_reconnect),
        TEST(a_sealing_certificate_is_checked_by_the_sender),
        TEST(the_directory_is_asked_once_for_many),
        TEST(a_newer_crl_is_taken_over_and_kept),
        TEST(an_older_or_forged_crl_is_not_taken),
        TEST(a_crl_that_is_put_in_place_is_in_force_at_once),
        TEST(the_recipient_verifies_and_opens),
        TEST(nothing_forged_verifies),
        TEST(a_stripped_letter_still_verifies),
        TEST(the_letters_of_a_burst_verify_alone_and_can_be_signed_again),
        TEST(an_action_is_signed_and_verifies),
        TEST(every_code_has_its_words),
    };
#undef TEST
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
