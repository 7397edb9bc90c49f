/* broker/session: a real gate on a loopback port, real TLS peers, and a scripted core at the other end of its pair.
 * */
#include "tests/unit/peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <zmq.h>

#include "broker/core/call.h"
#include "broker/ops/log.h"
#include "broker/rules/build.h"
#include "broker/session/gate.h"
#include "broker/session/session.h"
#include "broker/session/tally.h"
#include "broker/session/timer.h"
#include "proto/sign.h"
#include "proto/valid.h"

/* ---- what all tests share */

static struct fixture {
    char *dir;
    struct tls_trust *trust;
    SSL_CTX *context;
    struct rules *rules;
    EVP_PKEY *prison_key, *probation_key, *dpo_key;
    struct hash *hash;
} fixture;

static struct rules *make_rules(const struct rules_draft_certificate *denied,
                                const char *merged_into)
{
    const struct rules_agency AGENCIES[] = {
        {.name = "fr/lyon/prison",
         .kind = "prison",
         .area = "fr/lyon",
         .merged_into = merged_into,
         .merged_day = 20000},
        {.name = "fr/lyon/probation", .kind = "probation", .area = "fr/lyon"},
        {.name = "fr/lyon/police", .kind = "police", .area = "fr/lyon"}};
    static const struct rules_draft_auditor AUDITORS[] = {{"fr/dpa", "fr"}};
    static const struct rules_party FROM[] = {{RULES_KIND, "prison"}},
                                    TO[] = {{RULES_KIND, "probation"}};
    static const char *const PURPOSES[] = {"reintegration"}, *const BASES[] = {"law"},
                             *const SECTIONS[] = {"identity"};
    static const struct rules_draft_rule RULES[] = {
        {.type = LIAISON__V1__TYPE__TYPE_TRANSFER,
         .category = "release-handover",
         .from = {FROM, 1},
         .to = {TO, 1},
         .purposes = {PURPOSES, 1, false},
         .bases = {BASES, 1, false},
         .sections = {SECTIONS, 1, false},
         .where = "test:1"}};
    static const struct slice TEXT = {(const uint8_t *)"test", 4};
    const struct rules_draft draft = {.network = "test.example",
                                      .agencies = AGENCIES,
                                      .n_agencies = 3,
                                      .auditors = AUDITORS,
                                      .n_auditors = 1,
                                      .rules = RULES,
                                      .n_rules = 1,
                                      .certificates = denied,
                                      .n_certificates = denied != NULL,
                                      .texts = &TEXT,
                                      .n_texts = 1};
    struct rules *made = NULL;

    return rules_build(&draft, &made) == LIAISON_OK ? made : NULL;
}

static bool load_trust(struct tls_trust **trust, SSL_CTX **context)
{
    char ca[256], crl[256], crt[256], key[256], why[256] = "";
    bool ok = tls_trust_load("test.example", peer_file(fixture.dir, "ca", ".crt", ca),
                             peer_file(fixture.dir, "crl", ".pem", crl), time(NULL),
                             trust, why, sizeof why) == LIAISON_OK &&
              tls_context(*trust, TLS_SERVER_SIDE,
                          peer_file(fixture.dir, "broker", ".crt", crt),
                          peer_file(fixture.dir, "broker", ".key", key), context, why,
                          sizeof why) == LIAISON_OK;

    if (!ok)
        fprintf(stderr, "%s\n", why);
    return ok;
}

static int make_fixture(void **state)
{
    char file[256], why[256];

    (void)state;
    fixture.dir = peer_ca_new();
    fixture.rules = make_rules(NULL, NULL);
    fixture.hash = hash_new();
    if (fixture.rules == NULL || !load_trust(&fixture.trust, &fixture.context) ||
        tls_load_key(peer_file(fixture.dir, "prison", ".key", file), &fixture.prison_key,
                     why, sizeof why) != LIAISON_OK ||
        tls_load_key(peer_file(fixture.dir, "probation", ".key", file),
                     &fixture.probation_key, why, sizeof why) != LIAISON_OK ||
        tls_load_key(peer_file(fixture.dir, "dpo", ".key", file), &fixture.dpo_key, why,
                     sizeof why) != LIAISON_OK)
        return 1;
    return 0;
}

static int drop_fixture(void **state)
{
    (void)state;
    EVP_PKEY_free(fixture.prison_key);
    EVP_PKEY_free(fixture.probation_key);
    EVP_PKEY_free(fixture.dpo_key);
    hash_free(fixture.hash);
    rules_free(fixture.rules);
    SSL_CTX_free(fixture.context);
    tls_trust_free(fixture.trust);
    peer_ca_free(fixture.dir);
    return 0;
}

/* ---- the scripted core: answers Hello, answers calls with Done or the gate's verdict, notes everything */

enum { KINDS = CALL_ENDED + 1, NOTES = 4096 };

struct note {
    enum call_kind kind;
    enum liaison_code code;
    uint64_t session, frame_id, count;
    char name[ID_NAME_MAX + 1], signer_role[ID_WORD_MAX + 1];
    bool envelope, action, signer, sections;
};

struct rig {
    void *zmq;
    struct gate *gate;
    struct gate_settings set;
    struct sockaddr_in where;
    int listener;
    pthread_t gate_thread, core_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct note notes[NOTES];
    size_t n_notes;
    bool hold;           /* calls (not Hello) are kept unanswered while this is set */
    bool end;            /* the core says ENDED and leaves */
    bool quit;           /* the core leaves without a word */
    size_t answer_bytes; /* answers are this long at least */
    uint64_t push;       /* a session that gets one push */
    struct call *held;
};

static void note(struct rig *r, const struct call *c)
{
    struct note n = {.kind = c->kind,
                     .code = c->code,
                     .session = c->session,
                     .frame_id = c->frame_id,
                     .count = c->count,
                     .envelope = c->envelope != NULL,
                     .action = c->action != NULL,
                     .sections = c->section_names != NULL};

    for (size_t i = 0; i < sizeof c->signer; i++)
        n.signer = n.signer || c->signer[i] != 0;
    if (c->peer != NULL)
        snprintf(n.name, sizeof n.name, "%s", c->peer->name);
    snprintf(n.signer_role, sizeof n.signer_role, "%s", c->signer_role);
    pthread_mutex_lock(&r->lock);
    assert_true(r->n_notes < NOTES);
    r->notes[r->n_notes++] = n;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static struct slice pack_reply(struct rig *r, struct call *c, uint64_t id)
{
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Done done = LIAISON__V1__DONE__INIT;
    Liaison__V1__Error error = LIAISON__V1__ERROR__INIT;
    char *text = arena_zero(c->arena, r->answer_bytes + 1);

    frame.id = id;
    if (c->code == LIAISON_OK && r->answer_bytes == 0) {
        frame.body_case = LIAISON__V1__FRAME__BODY_DONE;
        frame.done = &done;
    } else {
        memset(text, 'x', r->answer_bytes);
        error.code = c->code == LIAISON_OK ? LIAISON__V1__CODE__CODE_BUSY
                                           : (Liaison__V1__Code)c->code;
        error.text = text;
        frame.body_case = LIAISON__V1__FRAME__BODY_ERROR;
        frame.error = &error;
    }
    return arena_pack(c->arena, &frame.base);
}

/* The core's part of a Welcome: nothing is signed yet. */
static struct slice pack_welcome(const struct call *c)
{
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;

    frame.id = c->frame_id;
    frame.body_case = LIAISON__V1__FRAME__BODY_WELCOME;
    frame.welcome = c->welcome;
    return arena_pack(c->arena, &frame.base);
}

static void answer(struct rig *r, void *pair, struct call *c)
{
    if (c->kind == CALL_FRAME)
        c->reply = pack_reply(r, c, c->frame_id);
    else
        c->reply = pack_welcome(c);
    c->kind = CALL_ANSWER;
    c->next = NULL;
    assert_int_equal(call_send(pair, c), LIAISON_OK);
}

static void core_take(struct rig *r, void *pair, struct call *c)
{
    bool hold;

    note(r, c);
    pthread_mutex_lock(&r->lock);
    hold = r->hold;
    pthread_mutex_unlock(&r->lock);
    if (c->kind == CALL_FRAME && hold) {
        c->next = r->held;
        r->held = c;
    } else if (c->kind == CALL_FRAME || c->kind == CALL_OPENED) {
        answer(r, pair, c);
    } else {
        call_free(c);
    }
}

static void release_held(struct rig *r, void *pair)
{
    for (struct call *c = r->held, *next; c != NULL; c = next) {
        next = c->next;
        answer(r, pair, c);
    }
    r->held = NULL;
}

static void send_push(struct rig *r, void *pair, uint64_t session)
{
    struct call *c = call_new(CALL_PUSH, session);

    c->reply = pack_reply(r, c, 0);
    assert_int_equal(call_send(pair, c), LIAISON_OK);
}

static void *core_main(void *arg)
{
    struct rig *r = arg;
    void *pair = zmq_socket(r->zmq, ZMQ_PAIR);
    char address[32];
    bool over = false;

    assert_int_equal(zmq_bind(pair, call_address(r->set.number, address)), 0);
    while (!over) {
        zmq_pollitem_t item = {.socket = pair, .events = ZMQ_POLLIN};
        struct call *c, *next;
        bool hold, end;
        uint64_t push;

        zmq_poll(&item, 1, 5);
        for (c = call_recv(pair); c != NULL; c = c == NULL ? call_recv(pair) : c)
            for (; c != NULL; c = next) {
                next = c->next;
                core_take(r, pair, c);
            }
        pthread_mutex_lock(&r->lock);
        hold = r->hold;
        end = r->end;
        over = end || r->quit;
        push = r->push;
        r->push = 0;
        pthread_mutex_unlock(&r->lock);
        if (!hold || over)
            release_held(r, pair);
        if (push != 0)
            send_push(r, pair, push);
        if (end)
            assert_int_equal(call_send(pair, call_new(CALL_ENDED, 0)), LIAISON_OK);
    }
    zmq_close(pair);
    return NULL;
}

/* ---- the rig */

static void *gate_main(void *gate)
{
    gate_run(gate);
    return NULL;
}

static struct rig *rig_new(void)
{
    struct rig *r = calloc(1, sizeof *r);

    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->zmq = zmq_ctx_new();
    r->listener = peer_listen(&r->where);
    assert_int_equal(fcntl(r->listener, F_SETFL, O_NONBLOCK), 0);
    gate_defaults(&r->set);
    r->set.zmq_context = r->zmq;
    r->set.listeners = &r->listener;
    r->set.n_listeners = 1;
    r->set.context = fixture.context;
    r->set.trust = fixture.trust;
    r->set.rules = fixture.rules;
    r->set.network = "test.example";
    r->set.broker = "eu/main";
    return r;
}

static void rig_start(struct rig *r)
{
    assert_int_equal(gate_new(&r->set, &r->gate), LIAISON_OK);
    assert_int_equal(pthread_create(&r->core_thread, NULL, core_main, r), 0);
    assert_int_equal(pthread_create(&r->gate_thread, NULL, gate_main, r->gate), 0);
}

static void rig_set(struct rig *r, bool *what, bool value)
{
    pthread_mutex_lock(&r->lock);
    *what = value;
    pthread_mutex_unlock(&r->lock);
}

static void rig_end(struct rig *r)
{
    gate_stop(r->gate);
    pthread_join(r->gate_thread, NULL);
    rig_set(r, &r->quit, true);
    pthread_join(r->core_thread, NULL);
    gate_free(r->gate);
    zmq_ctx_term(r->zmq);
    close(r->listener);
    free(r);
}

/* The n-th note of a kind (from 1), waited for. */
static struct note rig_wait(struct rig *r, enum call_kind kind, size_t nth)
{
    struct timespec until;
    struct note found = {0};
    size_t seen = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PEER_WAIT_S;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; seen < nth; i++) {
        while (i == r->n_notes)
            if (pthread_cond_timedwait(&r->changed, &r->lock, &until) != 0) {
                pthread_mutex_unlock(&r->lock);
                fail_msg("call kind %d came %zu times, wanted %zu", (int)kind, seen, nth);
            }
        if (r->notes[i].kind == kind && ++seen == nth)
            found = r->notes[i];
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

static size_t rig_count(struct rig *r, enum call_kind kind)
{
    size_t n = 0;

    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < r->n_notes; i++)
        n += r->notes[i].kind == kind;
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* ---- frames */

struct reply {
    Liaison__V1__Frame *frame; /* NULL: the connection ended */
};

static void reply_free(struct reply *r)
{
    if (r->frame != NULL)
        liaison__v1__frame__free_unpacked(r->frame, NULL);
    r->frame = NULL;
}

static struct reply hear(struct peer *p)
{
    struct zmtp_frame f;
    enum zmtp_event e;

    while ((e = peer_event(p, &f)) == ZMTP_PING || e == ZMTP_PONG)
        ;
    if (e == ZMTP_NEED || e == ZMTP_REFUSED)
        return (struct reply){NULL};
    assert_int_equal(e, ZMTP_MESSAGE);
    return (struct reply){liaison__v1__frame__unpack(NULL, f.body_len, f.body)};
}

static void send_frame(struct peer *p, const Liaison__V1__Frame *f)
{
    size_t n = liaison__v1__frame__get_packed_size(f);
    uint8_t *bytes = malloc(n + 1);

    liaison__v1__frame__pack(f, bytes);
    assert_true(peer_send(p, slice(bytes, n)));
    free(bytes);
}

static void send_hello(struct peer *p, uint64_t id, uint32_t version)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hello h = LIAISON__V1__HELLO__INIT;

    h.versions = &version;
    h.n_versions = 1;
    f.id = id;
    f.body_case = LIAISON__V1__FRAME__BODY_HELLO;
    f.hello = &h;
    send_frame(p, &f);
}

static void send_grant(struct peer *p, uint64_t id)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Grant g = LIAISON__V1__GRANT__INIT;

    g.messages = 1;
    f.id = id;
    f.body_case = LIAISON__V1__FRAME__BODY_GRANT;
    f.grant = &g;
    send_frame(p, &f);
}

static void expect_done(struct peer *p, uint64_t id)
{
    struct reply r = hear(p);

    assert_non_null(r.frame);
    assert_int_equal(r.frame->body_case, LIAISON__V1__FRAME__BODY_DONE);
    assert_int_equal(r.frame->id, id);
    reply_free(&r);
}

static void expect_error(struct peer *p, uint64_t id, enum liaison_code code)
{
    struct reply r = hear(p);

    assert_non_null(r.frame);
    assert_int_equal(r.frame->body_case, LIAISON__V1__FRAME__BODY_ERROR);
    assert_int_equal(r.frame->id, id);
    assert_int_equal(r.frame->error->code, code);
    reply_free(&r);
}

static void expect_end(struct peer *p)
{
    struct reply r = hear(p);

    assert_null(r.frame);
}

/* Through TLS and READY as NAME. */
static void enter(struct rig *r, struct peer *p, const char *name)
{
    peer_dial(p, &r->where);
    assert_int_equal(peer_tls(p, fixture.dir, name), 1);
    peer_greet(p);
}

/* And through Hello, whose id is 1. */
static void settle(struct rig *r, struct peer *p, const char *name)
{
    struct reply w;

    enter(r, p, name);
    send_hello(p, 1, 1);
    w = hear(p);
    assert_non_null(w.frame);
    assert_int_equal(w.frame->body_case, LIAISON__V1__FRAME__BODY_WELCOME);
    reply_free(&w);
}

/* ---- signed calls */

struct signed_call {
    const char *from, *to, *network, *purpose, *reader, *signer;
    EVP_PKEY *key;
    Liaison__V1__Type type;
    Liaison__V1__Move move; /* 0: accept */
    uint32_t version;       /* 0: 1 */
    bool stale_id, wrong_digest, broken_signature, broken_envelope, without_signature;
    const char *caller_purpose;
    uint8_t id[16];
};

static struct signed_call good_call(void)
{
    struct signed_call c = {.from = "fr/lyon/prison",
                            .to = "fr/lyon/probation",
                            .network = "test.example",
                            .purpose = "reintegration",
                            .reader = "fr/lyon/probation",
                            .signer = "prison",
                            .key = fixture.prison_key,
                            .type = LIAISON__V1__TYPE__TYPE_TRANSFER};
    return c;
}

static ProtobufCBinaryData bin(const void *p, size_t n)
{
    return (ProtobufCBinaryData){n, (uint8_t *)(uintptr_t)p};
}

static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, 32);
}

static void make_section(const struct signed_call *c, struct arena *a,
                         Liaison__V1__Section *s, uint8_t (*digests)[32])
{
    Liaison__V1__SectionHeader h = LIAISON__V1__SECTION_HEADER__INIT;
    struct slice header;
    uint8_t *salt = arena_alloc(a, 32), *certificate = arena_zero(a, 32);

    hash_random(fixture.hash, salt, 32);
    h.name = text("identity");
    h.reader = text(c->reader);
    h.certificate = bin(certificate, 32);
    header = arena_pack(a, &h.base);
    liaison__v1__section__init(s);
    s->salt = bin(salt, 32);
    s->header = bin(header.p, header.n);
    s->ciphertext = bin("not really sealed", 17);
    valid_section_digest(fixture.hash, s, digests[0]);
    for (int i = 1; i < 8; i++)
        hash_random(fixture.hash, digests[i], 32);
    qsort(digests, 8, 32, by_bytes);
    if (c->wrong_digest)
        salt[0] ^= 1;
}

static struct slice make_envelope(const struct signed_call *c, struct arena *a,
                                  uint8_t (*digests)[32])
{
    Liaison__V1__Envelope e = LIAISON__V1__ENVELOPE__INIT;
    ProtobufCBinaryData *list = arena_alloc(a, 8 * sizeof *list);
    uint64_t now = (uint64_t)time(NULL) * 1000;
    uint8_t id[16], random[10];

    hash_random(fixture.hash, random, sizeof random);
    id_make(c->stale_id ? now - UINT64_C(40) * 86400000 : now, random, id);
    for (int i = 0; i < 8; i++)
        list[i] = bin(digests[i], 32);
    e.network = text(c->network);
    e.version = c->version == 0 ? 1 : c->version;
    e.id = e.case_id = bin(arena_copy(a, slice(id, 16)), 16);
    e.from = text(c->from);
    e.to = text(c->to);
    e.type = c->type;
    e.category = text("release-handover");
    e.purpose = text(c->purpose);
    e.basis = text("law");
    e.subject_category = LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONVICTED;
    e.minor = LIAISON__V1__MINOR__MINOR_NO;
    e.regime = LIAISON__V1__REGIME__REGIME_LED;
    e.handling = LIAISON__V1__HANDLING__HANDLING_NONE;
    e.informed = LIAISON__V1__INFORMED__INFORMED_YES;
    e.urgency = LIAISON__V1__URGENCY__URGENCY_DAYS_3;
    e.created_unix_ms = now;
    e.officer = text("4711");
    e.digests = list;
    e.n_digests = 8;
    return arena_pack(a, &e.base);
}

static void make_signature(const struct signed_call *c, struct arena *a,
                           enum sign_kind kind, struct slice message,
                           Liaison__V1__Signature *s)
{
    struct sign_part *part = arena_alloc(a, sizeof *part);
    char file[256], why[256];
    uint8_t *der;
    size_t len;

    assert_int_equal(sign_burst(fixture.hash, c->key, kind, &message, 1, part),
                     LIAISON_OK);
    assert_int_equal(tls_load_certificate(peer_file(fixture.dir, c->signer, ".crt", file),
                                          &der, &len, why, sizeof why),
                     LIAISON_OK);
    if (c->broken_signature)
        part->signature[part->signature_len - 1] ^= 1;
    s->certificate = bin(arena_copy(a, slice(der, len)), len);
    s->signature = bin(part->signature, part->signature_len);
    s->size = 1;
    OPENSSL_free(der);
}

static void send_submit(struct peer *p, uint64_t id, const struct signed_call *c)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Caller caller = LIAISON__V1__CALLER__INIT;
    Liaison__V1__Submit submit = LIAISON__V1__SUBMIT__INIT;
    Liaison__V1__SignedReferral r = LIAISON__V1__SIGNED_REFERRAL__INIT;
    Liaison__V1__Signature signature = LIAISON__V1__SIGNATURE__INIT;
    Liaison__V1__Section section, *sections = &section;
    struct arena *a = arena_new();
    uint8_t(*digests)[32] = arena_alloc(a, 8 * 32);
    struct slice envelope;

    make_section(c, a, &section, digests);
    envelope = make_envelope(c, a, digests);
    make_signature(c, a, SIGN_REFERRAL, envelope, &signature);
    r.envelope = bin(envelope.p, envelope.n - (c->broken_envelope ? 1 : 0));
    r.signature = c->without_signature ? NULL : &signature;
    r.sections = &sections;
    r.n_sections = 1;
    submit.referral = &r;
    caller.officer = text("4711");
    caller.purpose = text(c->caller_purpose != NULL ? c->caller_purpose : c->purpose);
    f.id = id;
    f.caller = &caller;
    f.body_case = LIAISON__V1__FRAME__BODY_SUBMIT;
    f.submit = &submit;
    send_frame(p, &f);
    arena_free(a);
}

static void send_act(struct peer *p, uint64_t id, const struct signed_call *c)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__SignedAction act = LIAISON__V1__SIGNED_ACTION__INIT;
    Liaison__V1__Signature signature = LIAISON__V1__SIGNATURE__INIT;
    Liaison__V1__Action m = LIAISON__V1__ACTION__INIT;
    Liaison__V1__Reference about = LIAISON__V1__REFERENCE__INIT;
    struct arena *a = arena_new();
    uint64_t now = (uint64_t)time(NULL) * 1000;
    uint8_t uuid[16], random[10];
    struct slice action;

    hash_random(fixture.hash, random, sizeof random);
    id_make(now, random, uuid);
    about.from = text("fr/lyon/prison");
    about.id = bin(uuid, 16);
    m.network = text(c->network);
    m.id = bin(uuid, 16);
    m.referral = &about;
    m.move = c->move != 0 ? c->move : LIAISON__V1__MOVE__MOVE_ACCEPT;
    m.agency = text(c->from);
    m.expected_version = 1;
    m.officer = text("4711");
    m.purpose = text(c->purpose);
    m.basis = text("law");
    m.created_unix_ms = now;
    action = arena_pack(a, &m.base);
    make_signature(c, a, SIGN_ACTION, action, &signature);
    act.action = bin(action.p, action.n);
    act.signature = &signature;
    f.id = id;
    f.body_case = LIAISON__V1__FRAME__BODY_ACT;
    f.act = &act;
    send_frame(p, &f);
    arena_free(a);
}

/* ---- the conversation */

static void a_declared_agency_is_welcomed_and_answered(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct reply w;
    struct note n;

    (void)state;
    rig_start(r);
    enter(r, &p, "prison");
    send_hello(&p, 7, 1);
    w = hear(&p);
    assert_int_equal(w.frame->id, 7);
    assert_int_equal(w.frame->body_case, LIAISON__V1__FRAME__BODY_WELCOME);
    assert_string_equal(w.frame->welcome->network, "test.example");
    assert_string_equal(w.frame->welcome->broker, "eu/main");
    assert_int_equal(w.frame->welcome->version, 1);
    assert_int_equal(w.frame->welcome->limits->window, 64);
    assert_int_equal(w.frame->welcome->rule_set.len, 32);
    assert_in_range(w.frame->welcome->certificate_days, 1, 400);
    reply_free(&w);
    n = rig_wait(r, CALL_OPENED, 1);
    assert_string_equal(n.name, "fr/lyon/prison");
    send_grant(&p, 8);
    expect_done(&p, 8);
    peer_hang_up(&p);
    assert_int_equal(rig_wait(r, CALL_CLOSED, 1).session, n.session);
    assert_int_equal(rig_count(r, CALL_REFUSED), 0);
    rig_end(r);
}

static void a_call_before_hello_is_told_so_and_the_session_lives(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct reply w;

    (void)state;
    rig_start(r);
    enter(r, &p, "prison");
    send_grant(&p, 3);
    expect_error(&p, 3, LIAISON_HELLO_REQUIRED);
    send_hello(&p, 4, 9);
    expect_error(&p, 4, LIAISON_VERSION);
    send_hello(&p, 5, 1);
    w = hear(&p);
    assert_int_equal(w.frame->body_case, LIAISON__V1__FRAME__BODY_WELCOME);
    reply_free(&w);
    send_grant(&p, 6);
    expect_done(&p, 6);
    assert_int_equal(rig_count(r, CALL_FRAME), 1);
    peer_hang_up(&p);
    rig_end(r);
}

static void calls_sent_with_hello_wait_for_the_welcome(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct reply w;

    (void)state;
    rig_start(r);
    enter(r, &p, "prison");
    send_hello(&p, 1, 1);
    for (uint64_t id = 2; id < 12; id++)
        send_grant(&p, id);
    w = hear(&p);
    assert_int_equal(w.frame->body_case, LIAISON__V1__FRAME__BODY_WELCOME);
    reply_free(&w);
    for (uint64_t id = 2; id < 12; id++)
        expect_done(&p, id);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- breaches: each ends the session with Error{id 0} */

static void breach_same_id(struct peer *p)
{
    send_grant(p, 5);
    expect_done(p, 5);
    send_grant(p, 5);
}

static void breach_huge_id(struct peer *p)
{
    send_grant(p, UINT64_C(1) << 63);
}

static void breach_hello_twice(struct peer *p)
{
    send_hello(p, 2, 1);
}

static void breach_brokers_own(struct peer *p)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Done d = LIAISON__V1__DONE__INIT;

    f.id = 2;
    f.body_case = LIAISON__V1__FRAME__BODY_DONE;
    f.done = &d;
    send_frame(p, &f);
}

static void breach_no_body(struct peer *p)
{
    peer_send(p, slice("\x08\x02", 2));
}

static void breach_not_protobuf(struct peer *p)
{
    peer_send(p, slice("\xff\xff\xff", 3));
}

static void breach_padded_varint(struct peer *p)
{
    peer_send(p, slice("\x08\x82\x00\xc2\x02\x02\x08\x01",
                       8)); /* id 2 in two bytes: Google's decoder would take it */
}

static void breach_unknown_field(struct peer *p)
{
    peer_send(p, slice("\x08\x02\xc2\x02\x02\x08\x01\xf8\x07\x01", 10));
}

static void breach_two_frames(struct peer *p)
{
    peer_write(p,
               "\x01\x01"
               "a"
               "\x00\x01"
               "b",
               6);
}

static void breach_subscribe(struct peer *p)
{
    peer_write(p, "\x04\x0a\x09SUBSCRIBE", 12);
}

static void breach_too_long(struct peer *p)
{
    uint8_t header[ZMTP_HEADER_MAX];

    peer_write(p, header, zmtp_header((1 << 20) + 1, header));
}

/* Writes may fail once the broker has had enough. */
static void breach_ping_flood(struct peer *p)
{
    static uint8_t many[8 * 100];

    for (size_t i = 0; i < sizeof many; i += 9)
        if (i + 9 <= sizeof many)
            memcpy(many + i, "\x04\x07\x04PING\x00\x01", 9);
    for (int i = 0; i < 40; i++)
        (void)peer_write(p, many, sizeof many / 9 * 9);
}

static void breach_key_update_flood(struct peer *p)
{
    for (int i = 0; i < 40; i++) {
        assert_int_equal(SSL_key_update(p->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        (void)SSL_do_handshake(p->ssl);
    }
}

static const struct {
    const char *why;
    void (*act)(struct peer *p);
    enum liaison_code code;
} BREACHES[] = {
    {"an id used twice", breach_same_id, LIAISON_PROTOCOL},
    {"an id of 2^63", breach_huge_id, LIAISON_PROTOCOL},
    {"Hello twice", breach_hello_twice, LIAISON_PROTOCOL},
    {"a frame only the broker sends", breach_brokers_own, LIAISON_PROTOCOL},
    {"a frame without a body", breach_no_body, LIAISON_PROTOCOL},
    {"no protobuf", breach_not_protobuf, LIAISON_MALFORMED},
    {"an odd varint", breach_padded_varint, LIAISON_MALFORMED},
    {"an unknown field", breach_unknown_field, LIAISON_MALFORMED},
    {"a message of two frames", breach_two_frames, LIAISON_PROTOCOL},
    {"a command no DEALER sends", breach_subscribe, LIAISON_PROTOCOL},
    {"a message over the limit", breach_too_long, LIAISON_LIMIT},
    {"a flood of PINGs", breach_ping_flood, LIAISON_LIMIT},
    {"a flood of key updates", breach_key_update_flood, LIAISON_LIMIT},
};

static void every_breach_is_named_and_ends_that_session_only(void **state)
{
    struct rig *r = rig_new();
    struct peer bystander;

    (void)state;
    rig_start(r);
    settle(r, &bystander, "probation");
    for (size_t i = 0; i < sizeof BREACHES / sizeof *BREACHES; i++) {
        struct peer p;
        struct reply e;

        settle(r, &p, "prison");
        BREACHES[i].act(&p);
        e = hear(&p);
        if (e.frame == NULL || e.frame->id != 0 ||
            e.frame->body_case != LIAISON__V1__FRAME__BODY_ERROR ||
            e.frame->error->code != (Liaison__V1__Code)BREACHES[i].code)
            fail_msg("%s: wanted Error{0, %d}", BREACHES[i].why, (int)BREACHES[i].code);
        reply_free(&e);
        expect_end(&p);
        peer_hang_up(&p);
        rig_wait(r, CALL_CLOSED, i + 1);
        send_grant(&bystander, 2 + i);
        expect_done(&bystander, 2 + i);
    }
    peer_hang_up(&bystander);
    rig_end(r);
}

static void our_last_words_survive_what_the_peer_still_sends(void **state)
{
    static uint8_t big[1 << 18];
    struct rig *r = rig_new();
    struct peer p;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    breach_no_body(&p);
    for (int i = 0; i < 2;
         i++) /* unread bytes would make the kernel reset the connection */
        (void)peer_send(&p, slice(big, sizeof big));
    expect_error(&p, 0, LIAISON_PROTOCOL);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- who may come in */

static void strangers_are_counted_and_never_named(void **state)
{
    static const struct {
        const char *certificate; /* "": none; NULL: no TLS at all */
        enum liaison_code code;
    } ROWS[] = {{NULL, LIAISON_TLS},
                {"", LIAISON_CERTIFICATE},
                {"seal", LIAISON_PROFILE},
                {"old", LIAISON_EXPIRED},
                {"broker", LIAISON_PROFILE}};
    struct rig *r = rig_new();

    (void)state;
    r->set.strangers_ms = 1;
    rig_start(r);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct peer p;
        char byte;
        struct note n;

        peer_dial(&p, &r->where);
        if (ROWS[i].certificate == NULL)
            peer_write(&p, "GET / HTTP/1.1\r\n\r\n", 18);
        else
            (void)peer_tls(&p, fixture.dir,
                           *ROWS[i].certificate ? ROWS[i].certificate : NULL);
        while (peer_read(&p, &byte, 1) > 0)
            ;
        n = rig_wait(r, CALL_STRANGERS, i + 1);
        assert_int_equal(n.code, ROWS[i].code);
        assert_int_equal(n.count, 1);
        peer_hang_up(&p);
    }
    assert_int_equal(rig_count(r, CALL_OPENED), 0);
    assert_int_equal(rig_count(r, CALL_REFUSED), 0);
    rig_end(r);
}

static void strangers_are_told_once_then_in_sums(void **state)
{
    struct rig *r = rig_new();
    uint64_t sum = 0;

    (void)state;
    r->set.strangers_ms = 300;
    rig_start(r);
    for (int i = 0; i < 20; i++) {
        struct peer p;
        char byte;

        peer_dial(&p, &r->where);
        peer_write(&p, "hello?", 6);
        while (peer_read(&p, &byte, 1) > 0)
            ;
        peer_hang_up(&p);
    }
    for (size_t i = 1; sum < 20; i++)
        sum += rig_wait(r, CALL_STRANGERS, i).count;
    assert_int_equal(sum, 20);
    assert_true(rig_count(r, CALL_STRANGERS) < 10);
    rig_end(r);
}

static void an_agency_unknown_to_the_rules_is_told_why(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct note n;

    (void)state;
    rig_start(r);
    enter(r, &p, "nobody");
    expect_error(&p, 0, LIAISON_UNKNOWN_AGENCY);
    expect_end(&p);
    n = rig_wait(r, CALL_REFUSED, 1);
    assert_int_equal(n.code, LIAISON_UNKNOWN_AGENCY);
    assert_string_equal(n.name, "fr/lyon/nobody");
    assert_int_equal(rig_count(r, CALL_OPENED), 0);
    peer_hang_up(&p);
    rig_end(r);
}

static struct rules_draft_certificate deny(const char *name)
{
    struct rules_draft_certificate denied = {.where = "rules.conf:9"};
    char file[256], why[256];
    uint8_t *der;
    size_t len;

    assert_int_equal(tls_load_certificate(peer_file(fixture.dir, name, ".crt", file),
                                          &der, &len, why, sizeof why),
                     LIAISON_OK);
    hash_sha256(fixture.hash, &(struct slice){der, len}, 1, denied.sha256);
    OPENSSL_free(der);
    return denied;
}

/* Of an Error with id 0. */
static void expect_last_words(struct peer *p, enum liaison_code code, const char *part)
{
    struct reply r = hear(p);

    assert_non_null(r.frame);
    assert_int_equal(r.frame->body_case, LIAISON__V1__FRAME__BODY_ERROR);
    assert_int_equal(r.frame->id, 0);
    assert_int_equal(r.frame->error->code, code);
    if (strstr(r.frame->error->text, part) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", r.frame->error->text, part);
    reply_free(&r);
    expect_end(p);
}

static void a_certificate_that_the_rules_deny_neither_logs_in_nor_signs(void **state)
{
    struct rig *r = rig_new();
    struct rules_draft_certificate denied = deny("prison");
    struct rules *rules = make_rules(&denied, NULL);
    struct signed_call c = good_call();
    struct peer stolen, renewed;
    struct note n;

    (void)state;
    assert_non_null(rules);
    r->set.rules = rules;
    rig_start(r);
    enter(r, &stolen, "prison");
    send_hello(&stolen, 1, 1);
    expect_last_words(&stolen, LIAISON_REVOKED, "rules.conf:9: deny certificate ");
    n = rig_wait(r, CALL_REFUSED, 1);
    assert_int_equal(n.code, LIAISON_REVOKED);
    assert_string_equal(n.name, "fr/lyon/prison");
    settle(r, &renewed, "renewed"); /* the same agency's next one is as good as ever */
    send_submit(&renewed, 2, &c);
    n = rig_wait(r, CALL_FRAME, 1);
    assert_int_equal(n.code, LIAISON_REVOKED);
    assert_true(n.signer);
    peer_hang_up(&stolen);
    peer_hang_up(&renewed);
    rig_end(r);
    rules_free(rules);
}

static void a_merged_name_is_told_where_its_work_went(void **state)
{
    struct rig *r = rig_new();
    struct rules *rules = make_rules(NULL, "fr/lyon/police");
    struct peer old, dpo;

    (void)state;
    assert_non_null(rules);
    r->set.rules = rules;
    rig_start(r);
    enter(r, &old, "prison");
    send_hello(&old, 1, 1);
    expect_last_words(&old, LIAISON_UNKNOWN_AGENCY,
                      "merged into fr/lyon/police on 2024-10-04");
    enter(r, &dpo, "dpo");
    send_hello(&dpo, 1, 1);
    expect_last_words(&dpo, LIAISON_UNKNOWN_AGENCY, "merged into fr/lyon/police");
    assert_int_equal(rig_wait(r, CALL_REFUSED, 2).code, LIAISON_UNKNOWN_AGENCY);
    peer_hang_up(&old);
    peer_hang_up(&dpo);
    rig_end(r);
    rules_free(rules);
}

static void an_agency_has_no_more_sessions_than_its_share(void **state)
{
    struct rig *r = rig_new();
    struct peer a, b, c, other;

    (void)state;
    r->set.per_agency = 2;
    rig_start(r);
    settle(r, &a, "prison");
    settle(r, &b, "prison");
    enter(r, &c, "prison");
    expect_error(&c, 0, LIAISON_BUSY);
    settle(r, &other, "probation");
    peer_hang_up(&a);
    rig_wait(r, CALL_CLOSED, 1);
    peer_hang_up(&c);
    settle(r, &a, "prison");
    peer_hang_up(&a);
    peer_hang_up(&b);
    peer_hang_up(&other);
    rig_end(r);
}

static void past_the_cap_a_newcomer_is_closed_at_once(void **state)
{
    static const struct {
        unsigned sessions, per_address;
    } CAPS[] = {{2, 100}, {100, 2}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct rig *r = rig_new();
        struct peer a, b, c;
        char byte;

        r->set.sessions = CAPS[i].sessions;
        r->set.per_address = CAPS[i].per_address;
        rig_start(r);
        settle(r, &a, "prison");
        settle(r, &b, "prison");
        peer_dial(&c, &r->where);
        assert_int_equal(peer_read(&c, &byte, 1), 0);
        assert_int_equal(rig_wait(r, CALL_STRANGERS, 1).code, LIAISON_BUSY);
        peer_hang_up(&c);
        peer_hang_up(&a);
        rig_wait(r, CALL_CLOSED, 1);
        while (gate_sessions(r->gate) > 1)
            usleep(1000);
        settle(r, &a, "prison");
        peer_hang_up(&a);
        peer_hang_up(&b);
        rig_end(r);
    }
}

static void garbage_instead_of_zmtp_ends_the_session_with_an_entry(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct zmtp_frame f;

    (void)state;
    rig_start(r);
    peer_dial(&p, &r->where);
    assert_int_equal(peer_tls(&p, fixture.dir, "prison"), 1);
    peer_write(&p, "GET / HTTP/1.1\r\n\r\n", 18);
    assert_int_equal(peer_event(&p, &f), ZMTP_GREETED);
    assert_int_equal(peer_event(&p, &f), ZMTP_REFUSED);
    assert_int_equal(rig_wait(r, CALL_REFUSED, 1).code, LIAISON_PROTOCOL);
    peer_hang_up(&p);
    rig_end(r);
}

static void another_socket_type_is_refused(void **state)
{
    static const char REQ[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03REQ";
    struct rig *r = rig_new();
    struct peer p;
    struct zmtp_frame f;
    uint8_t out[64];

    (void)state;
    rig_start(r);
    peer_dial(&p, &r->where);
    assert_int_equal(peer_tls(&p, fixture.dir, "prison"), 1);
    peer_write(&p, out, zmtp_greeting(&p.zmtp, out));
    peer_write(&p, REQ, sizeof REQ - 1);
    assert_int_equal(peer_event(&p, &f), ZMTP_GREETED);
    assert_int_equal(peer_event(&p, &f), ZMTP_READY);
    assert_int_equal(peer_event(&p, &f), ZMTP_REFUSED);
    assert_int_equal(rig_wait(r, CALL_REFUSED, 1).code, LIAISON_PROTOCOL);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- deadlines */

static void every_phase_has_its_deadline(void **state)
{
    struct rig *r = rig_new();
    struct peer tls, zmtp, hello;
    char bytes[512];

    (void)state;
    r->set.tls_ms = r->set.zmtp_ms = r->set.hello_ms = 150;
    r->set.strangers_ms = 1;
    rig_start(r);
    peer_dial(&tls, &r->where);
    assert_int_equal(peer_read(&tls, bytes, 1), 0);
    assert_int_equal(rig_wait(r, CALL_STRANGERS, 1).code, LIAISON_TIMEOUT);
    peer_dial(&zmtp, &r->where);
    assert_int_equal(peer_tls(&zmtp, fixture.dir, "prison"), 1);
    while (peer_read(&zmtp, bytes, sizeof bytes) > 0)
        ;
    assert_int_equal(rig_wait(r, CALL_REFUSED, 1).code, LIAISON_TIMEOUT);
    enter(r, &hello, "prison");
    send_grant(&hello, 1);
    expect_error(&hello, 1, LIAISON_HELLO_REQUIRED);
    expect_error(&hello, 0, LIAISON_TIMEOUT);
    expect_end(&hello);
    assert_int_equal(rig_wait(r, CALL_REFUSED, 2).code, LIAISON_TIMEOUT);
    peer_hang_up(&tls);
    peer_hang_up(&zmtp);
    peer_hang_up(&hello);
    rig_end(r);
}

static void a_quiet_peer_is_pinged_and_a_dead_one_dropped(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct zmtp_frame f;
    uint8_t out[256];

    (void)state;
    r->set.ping_ms = 60;
    r->set.idle_ms = 240;
    rig_start(r);
    settle(r, &p, "prison");
    for (int i = 0; i < 5; i++) { /* longer than idle_ms: answering keeps it alive */
        assert_int_equal(peer_event(&p, &f), ZMTP_PING);
        peer_write(&p, out, zmtp_pong(&f, out));
    }
    send_grant(&p, 2);
    expect_done(&p, 2);
    expect_end(&p);
    rig_wait(r, CALL_CLOSED, 1);
    peer_hang_up(&p);
    rig_end(r);
}

static void a_message_that_was_begun_must_end(void **state)
{
    struct rig *r = rig_new();
    struct peer slow, good;
    struct zmtp_frame f;
    uint8_t out[256];

    (void)state;
    r->set.ping_ms = 60;
    r->set.idle_ms = 400;
    rig_start(r);
    settle(r, &slow, "prison");
    settle(r, &good, "probation");
    peer_write(&slow, "\0\xff", 2); /* 255 bytes will never come */
    for (int i = 0; i < 3; i++) {   /* and each of these shows that it lives */
        peer_write(&slow, "x", 1);
        assert_int_equal(peer_event(&good, &f), ZMTP_PING);
        peer_write(&good, out, zmtp_pong(&f, out));
    }
    expect_error(&slow, 0, LIAISON_TIMEOUT);
    expect_end(&slow);
    assert_int_equal(rig_wait(r, CALL_CUT, 1).code, LIAISON_TIMEOUT);
    send_grant(&good, 2);
    expect_done(&good, 2);
    peer_hang_up(&slow);
    peer_hang_up(&good);
    rig_end(r);
}

static void a_peer_that_does_not_read_is_dropped(void **state)
{
    struct rig *r = rig_new();
    struct peer p;

    (void)state;
    r->set.idle_ms = 300;
    r->set.ping_ms = 100000;
    r->set.credit_bytes = 100000;
    r->answer_bytes = 900000;
    rig_start(r);
    settle(r, &p, "prison");
    for (uint64_t id = 2; id < 40; id++)
        send_grant(&p, id);
    rig_wait(r, CALL_CLOSED, 1);
    assert_true(rig_count(r, CALL_FRAME) <= 38);
    peer_hang_up(&p);
    rig_end(r);
}

static void silent_strangers_do_not_keep_a_newcomer_out(void **state)
{
    static const char HALF_HELLO[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    enum { EACH = 30 };
    struct rig *r = rig_new();
    struct peer quiet[EACH], half[EACH], noisy[EACH], p;
    uint64_t counted = 0;
    char byte;

    (void)state;
    r->set.tls_ms = 400;
    r->set.strangers_ms = 1;
    rig_start(r);
    for (int i = 0; i < EACH; i++) {
        peer_dial(&quiet[i], &r->where);
        peer_dial(&half[i], &r->where);
        peer_write(&half[i], HALF_HELLO, sizeof HALF_HELLO - 1);
        peer_dial(&noisy[i], &r->where);
        peer_write(&noisy[i], "GET / HTTP/1.1\r\n\r\n", 18);
    }
    settle(r, &p, "prison");
    for (int i = 0; i < EACH; i++) {
        assert_int_equal(peer_read(&quiet[i], &byte, 1), 0);
        assert_int_equal(peer_read(&half[i], &byte, 1), 0);
        while (peer_read(&noisy[i], &byte, 1) > 0)
            ;
        peer_hang_up(&quiet[i]);
        peer_hang_up(&half[i]);
        peer_hang_up(&noisy[i]);
    }
    for (size_t i = 1; counted < 3 * EACH; i++)
        counted += rig_wait(r, CALL_STRANGERS, i).count;
    send_grant(&p, 2);
    expect_done(&p, 2);
    while (gate_sessions(r->gate) > 1)
        usleep(1000);
    peer_hang_up(&p);
    rig_end(r);
}

static void past_the_bound_on_handshakes_newcomers_wait_in_the_kernel(void **state)
{
    struct rig *r = rig_new();
    struct peer quiet, p;

    (void)state;
    r->set.handshakes = 1;
    r->set.tls_ms = 200;
    rig_start(r);
    peer_dial(&quiet, &r->where);
    settle(r, &p, "prison"); /* once the first one's deadline has passed */
    assert_int_equal(rig_wait(r, CALL_STRANGERS, 1).code, LIAISON_TIMEOUT);
    peer_hang_up(&quiet);
    peer_hang_up(&p);
    rig_end(r);
}

static void while_all_handshakes_are_taken_the_quiet_ones_make_room(void **state)
{
    enum { TAKEN = 8 };
    struct rig *r = rig_new();
    struct peer quiet[TAKEN], p;

    (void)state;
    r->set.handshakes = TAKEN;
    r->set.tls_ms = 1000 * 1000; /* longer than this test waits for anything */
    r->set.quiet_ms = 100;
    r->set.strangers_ms = 1;
    rig_start(r);
    for (int i = 0; i < TAKEN; i++)
        peer_dial(&quiet[i], &r->where);
    settle(r, &p, "prison");
    assert_int_equal(rig_wait(r, CALL_STRANGERS, 1).code, LIAISON_TIMEOUT);
    assert_true(gate_sessions(r->gate) > 1); /* only some had to go */
    for (int i = 0; i < TAKEN; i++)
        peer_hang_up(&quiet[i]);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- backpressure */

static void past_its_window_a_peer_is_not_read(void **state)
{
    struct rig *r = rig_new();
    struct peer p, other;

    (void)state;
    r->set.window = 4;
    r->hold = true;
    rig_start(r);
    settle(r, &p, "prison");
    settle(r, &other, "probation");
    for (uint64_t id = 2; id < 32; id++)
        send_grant(&p, id);
    rig_wait(r, CALL_FRAME, 4);
    send_grant(
        &other,
        2); /* the gate has surely seen all that the first one sent once this one is through */
    rig_wait(r, CALL_FRAME, 5);
    assert_int_equal(rig_count(r, CALL_FRAME), 5);
    rig_set(r, &r->hold, false);
    for (uint64_t id = 2; id < 32; id++) {
        struct reply done = hear(&p);
        assert_non_null(done.frame);
        reply_free(&done);
    }
    expect_done(&other, 2);
    assert_int_equal(rig_count(r, CALL_FRAME), 31);
    peer_hang_up(&p);
    peer_hang_up(&other);
    rig_end(r);
}

static void past_its_credit_of_bytes_a_peer_is_not_read(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct signed_call call = good_call();

    (void)state;
    r->set.credit_bytes = 2000;
    r->hold = true;
    rig_start(r);
    settle(r, &p, "prison");
    for (uint64_t id = 2; id < 12; id++)
        send_submit(&p, id, &call); /* more than 1000 bytes each */
    rig_wait(r, CALL_FRAME, 2);
    usleep(50000);
    assert_true(rig_count(r, CALL_FRAME) <= 2);
    rig_set(r, &r->hold, false);
    rig_wait(r, CALL_FRAME, 10);
    peer_hang_up(&p);
    rig_end(r);
}

static void send_list(struct peer *p, uint64_t id)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__List l = LIAISON__V1__LIST__INIT;

    l.box = LIAISON__V1__BOX__BOX_INBOX;
    f.id = id;
    f.body_case = LIAISON__V1__FRAME__BODY_LIST;
    f.list = &l;
    send_frame(p, &f);
}

static void reads_count_against_the_credit_by_what_they_may_bring(void **state)
{
    struct rig *r = rig_new();
    struct peer p;

    (void)state;
    r->hold = true;
    rig_start(r);
    settle(r, &p, "prison");
    for (uint64_t id = 2; id < 42; id++) /* fewer than the window, and a few bytes each */
        send_list(&p, id);
    rig_wait(r, CALL_FRAME, 8);
    usleep(50000);
    assert_in_range(rig_count(r, CALL_FRAME), 8, 9);
    rig_set(r, &r->hold, false);
    rig_wait(r, CALL_FRAME, 40);
    peer_hang_up(&p);
    rig_end(r);
}

static void a_few_pings_and_key_updates_are_welcome(void **state)
{
    struct rig *r = rig_new();
    struct peer p;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    for (uint64_t id = 2; id < 12; id++) {
        assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_true(peer_write(&p, "\x04\x07\x04PING\x00\x01", 9));
        send_grant(&p, id);
        expect_done(&p, id);
    }
    peer_hang_up(&p);
    rig_end(r);
}

static void calls_before_hello_are_answered_up_to_a_bound(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    uint64_t id = 0;
    enum liaison_code code = LIAISON_OK;

    (void)state;
    r->set.idle_talk = 20;
    rig_start(r);
    enter(r, &p, "prison");
    for (uint64_t i = 1; i <= 30; i++)
        send_grant(&p, i);
    for (uint64_t n = 1; code != LIAISON_LIMIT; n++) {
        struct reply reply = hear(&p);

        assert_non_null(reply.frame);
        assert_int_equal(reply.frame->body_case, LIAISON__V1__FRAME__BODY_ERROR);
        id = reply.frame->id;
        code = (enum liaison_code)reply.frame->error->code;
        assert_true(code == LIAISON_LIMIT ? id == 0 && n > 20 : id == n);
        reply_free(&reply);
    }
    expect_end(&p);
    assert_int_equal(rig_wait(r, CALL_REFUSED, 1).code, LIAISON_LIMIT);
    peer_hang_up(&p);
    rig_end(r);
}

static void handshakes_go_on_while_calls_come(void **state)
{
    enum { EACH = 8 };
    struct rig *r = rig_new();
    struct peer busy, p[EACH];
    uint64_t id = 2;

    (void)state;
    r->set.shake_share = 1000; /* what one handshake takes is paid back after a second */
    rig_start(r);
    settle(r, &busy, "probation");
    for (int i = 0; i < EACH; i++) {
        send_grant(&busy, id); /* from now on the gate is busy, for a while */
        expect_done(&busy, id++);
        settle(r, &p[i], "prison");
    }
    for (int i = 0; i < EACH; i++)
        peer_hang_up(&p[i]);
    peer_hang_up(&busy);
    rig_end(r);
}

static void past_what_all_may_hold_nobody_is_read(void **state)
{
    struct rig *r = rig_new();
    struct peer p, other;
    struct signed_call call = good_call();

    (void)state;
    r->set.held_bytes = 3000;
    r->hold = true;
    rig_start(r);
    settle(r, &p, "prison");
    settle(r, &other, "probation");
    for (uint64_t id = 2; id < 12; id++)
        send_submit(&p, id, &call);
    rig_wait(r, CALL_FRAME, 3);
    send_grant(&other, 2);
    usleep(50000);
    assert_int_equal(rig_count(r, CALL_FRAME), 3);
    peer_hang_up(&other);
    rig_set(r, &r->hold, false);
    rig_wait(r, CALL_FRAME, 10);
    rig_wait(r, CALL_CLOSED, 1);
    peer_hang_up(&p);
    rig_end(r);
}

static void a_peer_that_leaves_with_calls_open_harms_nobody(void **state)
{
    const struct linger abruptly = {.l_onoff = 1};
    struct rig *r = rig_new();
    struct peer p, other;

    (void)state;
    r->hold = true;
    r->set.held_bytes = 4; /* one call */
    rig_start(r);
    settle(r, &p, "prison");
    settle(r, &other, "probation");
    send_grant(&p, 2);
    rig_wait(r, CALL_FRAME, 1);
    assert_int_equal(setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &abruptly, sizeof abruptly),
                     0);
    SSL_free(p.ssl);
    p.ssl = NULL;
    peer_hang_up(&p); /* RST: seen although nobody is read now */
    rig_wait(r, CALL_CLOSED, 1);
    send_grant(&other, 2); /* what the one who left held is held no more */
    rig_wait(r, CALL_FRAME, 2);
    rig_set(r, &r->hold, false);
    expect_done(&other, 2);
    peer_hang_up(&other);
    rig_end(r);
}

static void a_half_closed_peer_is_closed(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    char byte;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    shutdown(p.fd, SHUT_WR);
    rig_wait(r, CALL_CLOSED, 1);
    assert_int_equal(peer_read(&p, &byte, 1), 0);
    peer_hang_up(&p);
    rig_end(r);
}

static void a_push_of_the_core_reaches_its_session(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct reply d;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    pthread_mutex_lock(&r->lock);
    r->push = r->notes[0].session;
    pthread_mutex_unlock(&r->lock);
    d = hear(&p);
    assert_non_null(d.frame);
    assert_int_equal(d.frame->id, 0);
    reply_free(&d);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- first judgement */

static struct note judged(struct rig *r, struct peer *p, const struct signed_call *c,
                          size_t nth)
{
    send_submit(p, nth + 1, c);
    return rig_wait(r, CALL_FRAME, nth);
}

static void a_right_submit_is_found_right(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct signed_call c = good_call();
    struct note n;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    n = judged(r, &p, &c, 1);
    assert_int_equal(n.code, LIAISON_OK);
    assert_true(n.envelope && n.signer && n.sections);
    expect_done(&p, 2);
    peer_hang_up(&p);
    rig_end(r);
}

static void every_wrong_submit_goes_to_the_core_with_its_reason(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct signed_call row[12];
    static const enum liaison_code WANT[] = {
        LIAISON_NETWORK,   LIAISON_ID,          LIAISON_FROM,      LIAISON_SIGNER,
        LIAISON_SIGNATURE, LIAISON_DIGEST,      LIAISON_FIELD,     LIAISON_FIELD,
        LIAISON_MALFORMED, LIAISON_NOT_ALLOWED, LIAISON_RECIPIENT, LIAISON_FIELD};
    enum { N = sizeof WANT / sizeof *WANT };

    (void)state;
    for (size_t i = 0; i < N; i++)
        row[i] = good_call();
    row[0].network = "other.example";
    row[1].stale_id = true;
    row[2].from = "fr/lyon/police";
    row[3].signer = "probation";
    row[3].key = fixture.probation_key;
    row[4].broken_signature = true;
    row[5].wrong_digest = true;
    row[6].reader = "fr/lyon/police";
    row[7].caller_purpose = "statistics";
    row[8].broken_envelope = true;
    row[9].purpose = "statistics";
    row[10].to = row[10].reader = "fr/lyon/ghost";
    row[11].without_signature = true;
    rig_start(r);
    settle(r, &p, "prison");
    for (size_t i = 0; i < N; i++) {
        struct note n = judged(r, &p, &row[i], i + 1);
        if (n.code != WANT[i])
            fail_msg("row %zu: got %d, want %d", i, (int)n.code, (int)WANT[i]);
        expect_error(&p, i + 2, WANT[i]);
    }
    peer_hang_up(&p);
    rig_end(r);
}

static void what_is_sealed_again_may_be_older_than_what_is_new(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct signed_call c = good_call();

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    c.stale_id = true;
    send_submit(&p, 2, &c);
    assert_int_equal(rig_wait(r, CALL_FRAME, 1).code, LIAISON_ID);
    c.version = 2;
    send_submit(&p, 3, &c);
    assert_int_equal(rig_wait(r, CALL_FRAME, 2).code, LIAISON_OK);
    peer_hang_up(&p);
    rig_end(r);
}

static void an_action_is_judged_by_its_own_signature(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    struct signed_call c = good_call();
    struct note n;

    (void)state;
    c.from = "fr/lyon/probation";
    c.signer = "probation";
    c.key = fixture.probation_key;
    rig_start(r);
    settle(r, &p, "probation");
    send_act(&p, 2, &c);
    n = rig_wait(r, CALL_FRAME, 1);
    assert_int_equal(n.code, LIAISON_OK);
    assert_true(n.action && n.signer);
    c.key = fixture.prison_key; /* probation's certificate, somebody else's signature */
    send_act(&p, 3, &c);
    assert_int_equal(rig_wait(r, CALL_FRAME, 2).code, LIAISON_SIGNATURE);
    peer_hang_up(&p);
    rig_end(r);
}

static void agencies_and_auditors_each_have_their_own_calls(void **state)
{
    struct rig *r = rig_new();
    struct peer agency, auditor;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__EntryFilter entries = LIAISON__V1__ENTRY_FILTER__INIT;

    (void)state;
    rig_start(r);
    settle(r, &agency, "prison");
    settle(r, &auditor, "dpa");
    f.id = 2;
    f.body_case = LIAISON__V1__FRAME__BODY_ENTRIES;
    f.entries = &entries;
    send_frame(&agency, &f);
    expect_error(&agency, 2, LIAISON_ROLE);
    send_frame(&auditor, &f);
    expect_done(&auditor, 2);
    send_grant(&auditor, 3);
    expect_error(&auditor, 3, LIAISON_ROLE);
    assert_int_equal(rig_count(r, CALL_FRAME), 3);
    peer_hang_up(&agency);
    peer_hang_up(&auditor);
    rig_end(r);
}

static void only_an_approver_approves_and_signs_little_else(void **state)
{
    static const struct row {
        const char *peer, *signer;
        Liaison__V1__Move move;
        enum liaison_code code;
    } ROWS[] = {
        {"dpo", "dpo", LIAISON__V1__MOVE__MOVE_APPROVE, LIAISON_OK},
        {"dpo", "dpo", LIAISON__V1__MOVE__MOVE_WITHDRAW, LIAISON_OK},
        {"dpo", "dpo", LIAISON__V1__MOVE__MOVE_ACCEPT, LIAISON_ROLE},
        {"dpo", "dpo", LIAISON__V1__MOVE__MOVE_ACKNOWLEDGE, LIAISON_ROLE},
        {"dpo", "prison", LIAISON__V1__MOVE__MOVE_APPROVE, LIAISON_SIGNER},
        {"dpo", "prison", LIAISON__V1__MOVE__MOVE_WITHDRAW, LIAISON_SIGNER},
        {"prison", "prison", LIAISON__V1__MOVE__MOVE_WITHDRAW, LIAISON_OK},
        {"prison", "prison", LIAISON__V1__MOVE__MOVE_APPROVE, LIAISON_ROLE},
        {"prison", "dpo", LIAISON__V1__MOVE__MOVE_APPROVE, LIAISON_SIGNER},
    };
    struct rig *r = rig_new();
    struct peer dpo, prison;

    (void)state;
    rig_start(r);
    settle(r, &dpo, "dpo");
    settle(r, &prison, "prison");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        bool approver = strcmp(ROWS[i].signer, "dpo") == 0;
        struct signed_call c = good_call();
        struct note n;

        c.move = ROWS[i].move;
        c.signer = ROWS[i].signer;
        c.key = approver ? fixture.dpo_key : fixture.prison_key;
        send_act(strcmp(ROWS[i].peer, "dpo") == 0 ? &dpo : &prison, 2 + i, &c);
        n = rig_wait(r, CALL_FRAME, i + 1);
        if (n.code != ROWS[i].code)
            fail_msg("row %zu: code %d", i, (int)n.code);
        if (n.code == LIAISON_OK)
            assert_string_equal(n.signer_role, approver ? "dpo" : "");
    }
    peer_hang_up(&dpo);
    peer_hang_up(&prison);
    rig_end(r);
}

static void an_approver_reads_what_its_agency_sends_and_submits_nothing(void **state)
{
    struct rig *r = rig_new();
    struct peer dpo;
    struct signed_call c = good_call();
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__List list = LIAISON__V1__LIST__INIT;

    (void)state;
    c.signer = "dpo";
    c.key = fixture.dpo_key;
    rig_start(r);
    settle(r, &dpo, "dpo");
    assert_string_equal(rig_wait(r, CALL_OPENED, 1).name, "fr/lyon/prison");
    f.body_case = LIAISON__V1__FRAME__BODY_LIST;
    f.list = &list;
    f.id = 2;
    list.box = LIAISON__V1__BOX__BOX_SENT;
    send_frame(&dpo, &f);
    expect_done(&dpo, 2);
    f.id = 3;
    list.box = LIAISON__V1__BOX__BOX_INBOX;
    send_frame(&dpo, &f);
    expect_error(&dpo, 3, LIAISON_ROLE);
    send_grant(&dpo, 4);
    expect_error(&dpo, 4, LIAISON_ROLE);
    send_submit(&dpo, 5, &c);
    expect_error(&dpo, 5, LIAISON_ROLE);
    peer_hang_up(&dpo);
    rig_end(r);
}

/* ---- trust, and the end */

static void a_revoked_live_session_is_cut_and_others_stay(void **state)
{
    struct rig *r = rig_new();
    struct peer stolen, other, again;
    struct tls_trust *trust;
    SSL_CTX *context;
    struct note n;
    char byte;

    (void)state;
    r->set.strangers_ms = 1;
    rig_start(r);
    settle(r, &stolen, "prison");
    settle(r, &other, "probation");
    peer_shell(fixture.dir,
               "cp $D/crl.pem $D/crl.before; cd $D && $OLDPWD/certs/liaison-ca revoke "
               "prison.crt --dir ca >log 2>&1 &&"
               " $OLDPWD/certs/liaison-ca crl --dir ca --out crl.pem >log 2>&1");
    assert_true(load_trust(&trust, &context));
    r->set.context = context;
    r->set.trust = trust;
    gate_reload(r->gate, &r->set);
    expect_error(&stolen, 0, LIAISON_REVOKED);
    expect_end(&stolen);
    n = rig_wait(r, CALL_CHECKED, 1);
    assert_int_equal(n.count, 1);
    n = rig_wait(r, CALL_CUT, 1);
    assert_int_equal(n.code, LIAISON_REVOKED);
    assert_string_equal(n.name, "fr/lyon/prison");
    rig_wait(r, CALL_CLOSED, 1);
    send_grant(&other, 2);
    expect_done(&other, 2);
    peer_dial(&again, &r->where);
    (void)peer_tls(&again, fixture.dir, "prison");
    assert_int_equal(peer_read(&again, &byte, 1), 0);
    assert_int_equal(rig_wait(r, CALL_STRANGERS, 1).code, LIAISON_REVOKED);
    peer_hang_up(&stolen);
    peer_hang_up(&other);
    peer_hang_up(&again);
    rig_end(r);
    SSL_CTX_free(context);
    tls_trust_free(trust);
}

static void stopping_answers_what_was_taken_and_says_goodbye(void **state)
{
    struct rig *r = rig_new();
    struct peer p;
    size_t done = 0;
    struct reply e;

    (void)state;
    r->hold = true;
    rig_start(r);
    settle(r, &p, "prison");
    for (uint64_t id = 2; id < 12; id++)
        send_grant(&p, id);
    rig_wait(r, CALL_FRAME, 10);
    gate_stop(r->gate);
    rig_set(r, &r->hold, false);
    for (e = hear(&p); e.frame != NULL && e.frame->id != 0; e = hear(&p)) {
        done++;
        reply_free(&e);
    }
    assert_int_equal(done, 10);
    assert_non_null(e.frame);
    assert_int_equal(e.frame->error->code, LIAISON_CLOSED);
    reply_free(&e);
    rig_wait(r, CALL_CLOSED, 1);
    peer_hang_up(&p);
    rig_end(r);
}

static void the_gate_ends_when_the_core_has_ended(void **state)
{
    struct rig *r = rig_new();
    struct peer p;

    (void)state;
    rig_start(r);
    settle(r, &p, "prison");
    rig_set(r, &r->end, true);
    expect_error(&p, 0, LIAISON_CLOSED);
    peer_hang_up(&p);
    rig_end(r);
}

/* ---- parts */

static void every_state_can_be_lost_cut_and_timed_out(void **state)
{
    (void)state;
    for (int s = SESSION_TLS; s < SESSION_OVER; s++) {
        assert_true(session_allows((enum session_state)s, EVENT_LOST));
        assert_true(session_allows((enum session_state)s, EVENT_CUT));
        assert_true(session_allows((enum session_state)s, EVENT_TIMEOUT));
        assert_int_equal(session_allows((enum session_state)s, EVENT_CALL),
                         s == SESSION_HELLO || s == SESSION_READY);
        assert_int_equal(session_allows((enum session_state)s, EVENT_HELLO),
                         s == SESSION_HELLO);
    }
    for (int e = 0; e < SESSION_EVENT__COUNT; e++)
        assert_false(session_allows(SESSION_OVER, (enum session_event)e));
}

static void timers_come_in_the_order_of_their_times(void **state)
{
    enum { N = 500 };
    static struct timer t[N];
    struct timers *all = timers_new(N);
    int64_t last = INT64_MIN;
    size_t n = 0;

    (void)state;
    srandom(7);
    for (int i = 0; i < N; i++)
        timers_set(all, &t[i], random() % 1000);
    for (int i = 0; i < N; i += 3)
        timers_set(all, &t[i], random() % 1000);
    for (int i = 0; i < N; i += 5)
        timers_remove(all, &t[i]);
    timers_remove(all, &t[0]);
    for (struct timer *first; (first = timers_first(all)) != NULL; n++) {
        assert_true(first->at_ms >= last);
        last = first->at_ms;
        timers_remove(all, first);
    }
    assert_int_equal(n, N - N / 5);
    timers_free(all);
}

static void a_tally_counts_each_key_up_to_its_limit(void **state)
{
    struct tally *t = tally_new(2);

    (void)state;
    assert_true(tally_add(t, slice_text("a")) && tally_add(t, slice_text("a")));
    assert_false(tally_add(t, slice_text("a")));
    assert_true(tally_add(t, slice_text("b")));
    tally_drop(t, slice_text("a"));
    assert_true(tally_add(t, slice_text("a")));
    tally_drop(t, slice_text("never counted"));
    tally_free(t);
}

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        cmocka_unit_test(every_state_can_be_lost_cut_and_timed_out),
        cmocka_unit_test(timers_come_in_the_order_of_their_times),
        cmocka_unit_test(a_tally_counts_each_key_up_to_its_limit),
        cmocka_unit_test(a_declared_agency_is_welcomed_and_answered),
        cmocka_unit_test(a_call_before_hello_is_told_so_and_the_session_lives),
        cmocka_unit_test(calls_sent_with_hello_wait_for_the_welcome),
        cmocka_unit_test(every_breach_is_named_and_ends_that_session_only),
        cmocka_unit_test(our_last_words_survive_what_the_peer_still_sends),
        cmocka_unit_test(strangers_are_counted_and_never_named),
        cmocka_unit_test(strangers_are_told_once_then_in_sums),
        cmocka_unit_test(an_agency_unknown_to_the_rules_is_told_why),
        cmocka_unit_test(a_certificate_that_the_rules_deny_neither_logs_in_nor_signs),
        cmocka_unit_test(a_merged_name_is_told_where_its_work_went),
        cmocka_unit_test(an_agency_has_no_more_sessions_than_its_share),
        cmocka_unit_test(past_the_cap_a_newcomer_is_closed_at_once),
        cmocka_unit_test(garbage_instead_of_zmtp_ends_the_session_with_an_entry),
        cmocka_unit_test(another_socket_type_is_refused),
        cmocka_unit_test(every_phase_has_its_deadline),
        cmocka_unit_test(a_quiet_peer_is_pinged_and_a_dead_one_dropped),
        cmocka_unit_test(a_message_that_was_begun_must_end),
        cmocka_unit_test(a_peer_that_does_not_read_is_dropped),
        cmocka_unit_test(silent_strangers_do_not_keep_a_newcomer_out),
        cmocka_unit_test(past_the_bound_on_handshakes_newcomers_wait_in_the_kernel),
        cmocka_unit_test(while_all_handshakes_are_taken_the_quiet_ones_make_room),
        cmocka_unit_test(past_its_window_a_peer_is_not_read),
        cmocka_unit_test(reads_count_against_the_credit_by_what_they_may_bring),
        cmocka_unit_test(a_few_pings_and_key_updates_are_welcome),
        cmocka_unit_test(calls_before_hello_are_answered_up_to_a_bound),
        cmocka_unit_test(handshakes_go_on_while_calls_come),
        cmocka_unit_test(past_what_all_may_hold_nobody_is_read),
        cmocka_unit_test(past_its_credit_of_bytes_a_peer_is_not_read),
        cmocka_unit_test(a_peer_that_leaves_with_calls_open_harms_nobody),
        cmocka_unit_test(a_half_closed_peer_is_closed),
        cmocka_unit_test(a_push_of_the_core_reaches_its_session),
        cmocka_unit_test(a_right_submit_is_found_right),
        cmocka_unit_test(every_wrong_submit_goes_to_the_core_with_its_reason),
        cmocka_unit_test(what_is_sealed_again_may_be_older_than_what_is_new),
        cmocka_unit_test(an_action_is_judged_by_its_own_signature),
        cmocka_unit_test(agencies_and_auditors_each_have_their_own_calls),
        cmocka_unit_test(only_an_approver_approves_and_signs_little_else),
        cmocka_unit_test(an_approver_reads_what_its_agency_sends_and_submits_nothing),
        cmocka_unit_test(stopping_answers_what_was_taken_and_says_goodbye),
        cmocka_unit_test(the_gate_ends_when_the_core_has_ended),
        cmocka_unit_test(
            a_revoked_live_session_is_cut_and_others_stay), /* last: it revokes */
    };

    signal(SIGPIPE, SIG_IGN);
    log_level(LOG_ERROR_);
    return cmocka_run_group_tests(TESTS, make_fixture, drop_fixture);
}
