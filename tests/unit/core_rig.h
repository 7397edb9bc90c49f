#pragma once
/* The core behind a hand-made gate: a real store and real keys, no network. Include cmocka's four headers first, and define
 * RULES, the text of the rules. All persons and places are invented. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/conf/conf.h"
#include "broker/core/call.h"
#include "broker/core/core.h"
#include "broker/core/rows.pb-c.h"
#include "broker/core/tables.h"
#include "proto/commit.h"
#include "proto/valid.h"

static const char MARK[] = "MARK-OF-THE-SEALED-BYTES-THAT-NO-FILE-MAY-HOLD";

struct rig {
    char dir[64], store[80], key[80];
    void *zmq, *gate, *main_pair;
    struct core *core;
    pthread_t thread;
    struct rules *rules;
    struct tls_trust *trust;
    struct hash *h;
    uint64_t frame_id;
    uint64_t map_bytes, unsigned_ms; /* 0: the core's own */
    struct metrics metrics;
};

/* ------------------------------------------------------------ the rig */

static inline void *run(void *arg)
{
    return (void *)(intptr_t)core_run(arg);
}

/* Opens what start() would let run. */
static inline void open_core(struct rig *r)
{
    char why[512];

    r->zmq =
        zmq_ctx_new(); /* one for each start: a name is free once its socket is reaped */
    struct core_settings s = {
        .zmq = r->zmq,
        .gates = 1,
        .store_url = r->store,
        .store = {.map_bytes = r->map_bytes, .reserve_bytes = r->map_bytes / 4},
        .key_file = r->key,
        .rules = r->rules,
        .trust = r->trust,
        .broker = "eu/main",
        .lease_ms = 60000,
        .window = 1000,
        .window_bytes = 8 << 20,
        .page = 100,
        .page_bytes = 1 << 19,
        .metrics = &r->metrics,
        .unsigned_ms = r->unsigned_ms,
    };

    if (directory_load(r->dir, r->trust, time(NULL), &s.directory, why, sizeof why) !=
            LIAISON_OK ||
        core_new(&s, &r->core, why, sizeof why) != LIAISON_OK)
        fail_msg("%s", why);
}

static inline void close_core(struct rig *r)
{
    core_free(r->core);
    zmq_ctx_term(r->zmq);
}

static inline void start(struct rig *r)
{
    char address[32];

    open_core(r);
    r->gate = zmq_socket(r->zmq, ZMQ_PAIR);
    r->main_pair = zmq_socket(r->zmq, ZMQ_PAIR);
    assert_int_equal(zmq_connect(r->gate, call_address(0, address)), 0);
    assert_int_equal(zmq_connect(r->main_pair, call_address(1, address)), 0);
    assert_int_equal(pthread_create(&r->thread, NULL, run, r->core), 0);
}

static inline void stop(struct rig *r)
{
    void *code;

    assert_int_equal(call_send(r->main_pair, call_new(CALL_STOP, 0)), LIAISON_OK);
    pthread_join(r->thread, &code);
    assert_int_equal((intptr_t)code, LIAISON_OK);
    for (struct call *c; (c = call_recv(r->gate)) != NULL;)
        for (struct call *next; c != NULL; c = next) {
            next = c->next;
            call_free(c);
        }
    call_free(call_recv(r->main_pair));
    zmq_close(r->gate);
    zmq_close(r->main_pair);
    close_core(r);
}

/* All that a core needs, and no core yet. NULL: it could not be made. */
static inline struct rig *rig_new(uint64_t map_bytes)
{
    struct rig *r = calloc(1, sizeof *r);
    char command[400], ca[96], crl[96], why[512];

    snprintf(r->dir, sizeof r->dir, "/tmp/test_core.XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return NULL;
    snprintf(command, sizeof command,
             "certs/liaison-ca --dir %s/ca root --network practicies.example >/dev/null "
             "2>&1 && "
             "certs/liaison-ca --dir %s/ca crl >/dev/null 2>&1",
             r->dir, r->dir);
    if (system(command) != 0)
        return NULL;
    snprintf(ca, sizeof ca, "%s/ca/ca.crt", r->dir);
    snprintf(crl, sizeof crl, "%s/ca/crl.pem", r->dir);
    snprintf(r->store, sizeof r->store, "lmdb:%s/store", r->dir);
    snprintf(r->key, sizeof r->key, "%s/kek", r->dir);
    if (tls_trust_load("practicies.example", ca, crl, time(NULL), &r->trust, why,
                       sizeof why) != LIAISON_OK ||
        conf_read_rules("test.conf", slice_text(RULES), &r->rules, stderr) != LIAISON_OK)
        return NULL;
    r->h = hash_new();
    r->map_bytes = map_bytes;
    return r;
}

/* Once the core is closed. */
static inline int rig_free(struct rig *r)
{
    char command[128];

    rules_free(r->rules);
    tls_trust_free(r->trust);
    hash_free(r->h);
    snprintf(command, sizeof command, "rm -rf %s", r->dir);
    free(r);
    return system(command) == 0 ? 0 : -1;
}

static inline int setup_sized(void **state, uint64_t map_bytes)
{
    struct rig *r = rig_new(map_bytes);

    if (r == NULL)
        return -1;
    start(r);
    *state = r;
    return 0;
}

static inline int setup(void **state)
{
    return setup_sized(state, 64 << 20);
}

static inline int setup_small(void **state)
{
    return setup_sized(state, 1 << 20);
}

static inline int teardown(void **state)
{
    stop(*state);
    return rig_free(*state);
}

/* ------------------------------------------------------------ talking to the core */

/* The next call from the core, with its frame decoded; NULL after two seconds of silence. */
static inline struct call *next_call(struct rig *r)
{
    static struct call *rest;
    struct call *c = rest;

    if (c == NULL) {
        zmq_pollitem_t item = {.socket = r->gate, .events = ZMQ_POLLIN};

        if (zmq_poll(&item, 1, 2000) <= 0)
            return NULL;
        c = call_recv(r->gate);
    }
    rest = c->next;
    c->next = NULL;
    if (c->reply.p != NULL) {
        const void *frame;

        assert_int_equal(
            valid_decode(&liaison__v1__frame__descriptor, c->reply, c->arena, &frame),
            LIAISON_OK);
        c->frame = frame;
    }
    return c;
}

/* Says Hello as a gate hands it over; returns the Welcome, to be freed. */
static inline struct call *open_with(struct rig *r, uint64_t session, enum tls_role role,
                              const char *name, uint64_t log_size, bool receipts)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hello hello = LIAISON__V1__HELLO__INIT;
    struct call *c = call_new(CALL_OPENED, session);
    uint32_t version = 1;
    const void *frame;

    hello.versions = &version;
    hello.n_versions = 1;
    hello.log_size = log_size;
    hello.receipts = receipts;
    f.id = c->frame_id = ++r->frame_id;
    f.body_case = LIAISON__V1__FRAME__BODY_HELLO;
    f.hello = &hello;
    assert_int_equal(valid_decode(&liaison__v1__frame__descriptor,
                                  arena_pack(c->arena, &f.base), c->arena, &frame),
                     LIAISON_OK);
    c->frame = frame;
    c->welcome = arena_alloc(c->arena, sizeof *c->welcome);
    liaison__v1__welcome__init(c->welcome);
    c->welcome->version = 1;
    c->peer = arena_zero(c->arena, sizeof *c->peer);
    c->peer->role = role;
    snprintf(c->peer->name, sizeof c->peer->name, "%s", name);
    assert_int_equal(call_send(r->gate, c), LIAISON_OK);
    c = next_call(r);
    assert_non_null(c);
    assert_int_equal(c->kind, CALL_ANSWER);
    assert_int_equal(c->frame->body_case, LIAISON__V1__FRAME__BODY_WELCOME);
    return c;
}

static inline void open_session(struct rig *r, uint64_t session, enum tls_role role,
                         const char *name)
{
    call_free(open_with(r, session, role, name, 0, false));
}

static inline void close_session(struct rig *r, uint64_t session)
{
    assert_int_equal(call_send(r->gate, call_new(CALL_CLOSED, session)), LIAISON_OK);
}

static Liaison__V1__Caller CALLER;

static inline struct call *frame_call(struct rig *r, uint64_t session, Liaison__V1__Frame *f)
{
    struct call *c = call_new(CALL_FRAME, session);
    const void *frame;

    liaison__v1__caller__init(&CALLER);
    CALLER.officer = (char *)"4711";
    CALLER.purpose = (char *)"reintegration";
    CALLER.basis = (char *)"law";
    f->caller = &CALLER;
    f->id = ++r->frame_id;
    assert_int_equal(valid_decode(&liaison__v1__frame__descriptor,
                                  arena_pack(c->arena, &f->base), c->arena, &frame),
                     LIAISON_OK);
    c->frame = frame;
    c->frame_id = f->id;
    c->code = LIAISON_OK;
    return c;
}

/* Sends and returns the answer, to be freed. */
static inline struct call *ask(struct rig *r, struct call *c)
{
    uint64_t id = c->frame_id;

    assert_int_equal(call_send(r->gate, c), LIAISON_OK);
    c = next_call(r);
    assert_non_null(c);
    assert_int_equal(c->kind, CALL_ANSWER);
    assert_int_equal(c->frame->id, id);
    return c;
}

/* ------------------------------------------------------------ referrals */

static uint8_t LAST_ID[16];

/* What a test wants other than usual; NULL: nothing. */
static void (*ADJUST_ENVELOPE)(Liaison__V1__Envelope *e);
static void (*ADJUST_ACTION)(Liaison__V1__Action *a);

static inline struct slice envelope_bytes(struct arena *a, const char *from, const char *to,
                                   bool transfer)
{
    static uint8_t digests[8][32];
    ProtobufCBinaryData list[8];
    Liaison__V1__Envelope e = LIAISON__V1__ENVELOPE__INIT;
    static uint64_t count;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    count++;
    uint8_t random[10] = {(uint8_t)(count >> 8), (uint8_t)count};

    id_make((uint64_t)now.tv_sec * 1000, random, LAST_ID);
    for (size_t i = 0; i < 8; i++) {
        digests[i][0] = (uint8_t)i;
        list[i] = (ProtobufCBinaryData){32, digests[i]};
    }
    e.network = (char *)"practicies.example";
    e.version = 1;
    e.id = (ProtobufCBinaryData){16, LAST_ID};
    e.case_id = (ProtobufCBinaryData){16, digests[1]};
    e.from = (char *)from;
    e.to = (char *)to;
    e.type =
        transfer ? LIAISON__V1__TYPE__TYPE_TRANSFER : LIAISON__V1__TYPE__TYPE_REFERRAL;
    e.category = (char *)(transfer ? "release-handover" : "mentoring");
    e.purpose = (char *)"reintegration";
    e.basis = (char *)(transfer ? "law" : "consent");
    e.subject_category = LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONVICTED;
    e.regime = LIAISON__V1__REGIME__REGIME_LED;
    e.handling = LIAISON__V1__HANDLING__HANDLING_NONE;
    e.informed = LIAISON__V1__INFORMED__INFORMED_YES;
    e.minor = LIAISON__V1__MINOR__MINOR_NO;
    e.urgency = LIAISON__V1__URGENCY__URGENCY_DAYS_7;
    e.created_unix_ms = 1;
    e.officer = (char *)"4711";
    e.digests = list;
    e.n_digests = 8;
    if (ADJUST_ENVELOPE != NULL)
        ADJUST_ENVELOPE(&e);
    return arena_pack(a, &e.base);
}

/* A submit as the gate would hand it over: sections named `names`, each holding MARK and its name. */
static inline struct call *submit(struct rig *r, uint64_t session, struct slice envelope,
                           const char *const *names, size_t n, bool strip)
{
    static uint8_t certificate[40] = "not looked at by the core", salt[32];
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Submit s = LIAISON__V1__SUBMIT__INIT;
    Liaison__V1__SignedReferral sr = LIAISON__V1__SIGNED_REFERRAL__INIT;
    Liaison__V1__Signature sig = LIAISON__V1__SIGNATURE__INIT;
    Liaison__V1__Section sections[4], *list[4];
    char bodies[4][128];
    const void *e;

    for (size_t i = 0; i < n; i++) {
        liaison__v1__section__init(&sections[i]);
        snprintf(bodies[i], sizeof bodies[i], "%s-%s", MARK, names[i]);
        sections[i].salt = (ProtobufCBinaryData){32, salt};
        sections[i].header = (ProtobufCBinaryData){strlen(names[i]), (uint8_t *)names[i]};
        sections[i].ciphertext =
            (ProtobufCBinaryData){strlen(bodies[i]), (uint8_t *)bodies[i]};
        list[i] = &sections[i];
    }
    sig.certificate = (ProtobufCBinaryData){sizeof certificate, certificate};
    sig.signature = (ProtobufCBinaryData){8, certificate};
    sig.size = 1;
    sr.envelope = (ProtobufCBinaryData){envelope.n, (uint8_t *)envelope.p};
    sr.signature = &sig;
    sr.sections = list;
    sr.n_sections = n;
    s.referral = &sr;
    s.strip = strip;
    f.body_case = LIAISON__V1__FRAME__BODY_SUBMIT;
    f.submit = &s;
    struct call *c = frame_call(r, session, &f);
    const Liaison__V1__SignedReferral *got = c->frame->submit->referral;

    assert_int_equal(valid_decode(&liaison__v1__envelope__descriptor,
                                  slice(got->envelope.data, got->envelope.len), c->arena,
                                  &e),
                     LIAISON_OK);
    c->envelope = e;
    c->section_names = arena_alloc(c->arena, (n + 1) * sizeof *c->section_names);
    for (size_t i = 0; i < n; i++)
        c->section_names[i] = (const char *)arena_copy(c->arena, slice_text(names[i]));
    return c;
}

static inline struct call *act(struct rig *r, uint64_t session, const char *agency,
                        const char *from, const uint8_t id[16], Liaison__V1__Move move,
                        uint32_t version, const char *reason)
{
    static uint8_t certificate[40] = "not looked at by the core";
    static uint64_t count = 1 << 20;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__SignedAction sa = LIAISON__V1__SIGNED_ACTION__INIT;
    Liaison__V1__Signature sig = LIAISON__V1__SIGNATURE__INIT;
    Liaison__V1__Action a = LIAISON__V1__ACTION__INIT;
    Liaison__V1__Reference ref = LIAISON__V1__REFERENCE__INIT;
    struct arena *scratch = arena_new();
    uint8_t action_id[16], random[10] = {0};
    const void *decoded;

    be64_put(random, ++count);
    id_make((uint64_t)time(NULL) * 1000, random, action_id);
    ref.from = (char *)from;
    ref.id = (ProtobufCBinaryData){16, (uint8_t *)id};
    a.network = (char *)"practicies.example";
    a.id = (ProtobufCBinaryData){16, action_id};
    a.referral = &ref;
    a.move = move;
    a.agency = (char *)agency;
    a.expected_version = version;
    a.reason = (char *)reason;
    a.officer = (char *)"4712";
    a.purpose = (char *)"reintegration";
    a.basis = (char *)"law";
    a.created_unix_ms = 1;
    if (ADJUST_ACTION != NULL)
        ADJUST_ACTION(&a);
    struct slice bytes = arena_pack(scratch, &a.base);

    sig.certificate = (ProtobufCBinaryData){sizeof certificate, certificate};
    sig.signature = (ProtobufCBinaryData){8, certificate};
    sig.size = 1;
    sa.action = (ProtobufCBinaryData){bytes.n, (uint8_t *)bytes.p};
    sa.signature = &sig;
    f.body_case = LIAISON__V1__FRAME__BODY_ACT;
    f.act = &sa;
    struct call *c = frame_call(r, session, &f);

    arena_free(scratch);
    assert_int_equal(
        valid_decode(&liaison__v1__action__descriptor,
                     slice(c->frame->act->action.data, c->frame->act->action.len),
                     c->arena, &decoded),
        LIAISON_OK);
    c->action = decoded;
    c->section_names = arena_alloc(c->arena, sizeof *c->section_names);
    return c;
}

static inline struct call *open_referral(struct rig *r, uint64_t session, const char *from,
                                  const uint8_t id[16])
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Open o = LIAISON__V1__OPEN__INIT;
    Liaison__V1__Reference ref = LIAISON__V1__REFERENCE__INIT;

    ref.from = (char *)from;
    ref.id = (ProtobufCBinaryData){16, (uint8_t *)id};
    o.referral = &ref;
    f.body_case = LIAISON__V1__FRAME__BODY_OPEN;
    f.open = &o;
    return ask(r, frame_call(r, session, &f));
}

static inline struct call *list(struct rig *r, uint64_t session, Liaison__V1__Box box)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__List l = LIAISON__V1__LIST__INIT;

    l.box = box;
    l.finished = true;
    f.body_case = LIAISON__V1__FRAME__BODY_LIST;
    f.list = &l;
    return ask(r, frame_call(r, session, &f));
}

static inline struct call *grant(struct rig *r, uint64_t session, uint32_t messages)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Grant g = LIAISON__V1__GRANT__INIT;

    g.messages = messages;
    g.bytes = 1 << 20;
    f.body_case = LIAISON__V1__FRAME__BODY_GRANT;
    f.grant = &g;
    return ask(r, frame_call(r, session, &f));
}

static inline struct call *ack(struct rig *r, uint64_t session, uint64_t mailbox, uint64_t lease)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Ack a = LIAISON__V1__ACK__INIT;
    Liaison__V1__Lease l = LIAISON__V1__LEASE__INIT, *leases[] = {&l};

    l.mailbox = mailbox;
    l.lease = lease;
    a.leases = leases;
    a.n_leases = 1;
    f.body_case = LIAISON__V1__FRAME__BODY_ACK;
    f.ack = &a;
    return ask(r, frame_call(r, session, &f));
}

static const char *const SECTIONS[] = {"identity", "custody", "health"};

/* A hand-over from session 1, the prison, to probation; the envelope stays in *envelope (malloc). */
static inline struct call *hand_over(struct rig *r, struct slice *envelope)
{
    struct arena *a = arena_new();
    struct slice bytes = envelope_bytes(a, "fr/lyon/prison", "fr/lyon/probation", true);
    uint8_t *copy = malloc(bytes.n);

    memcpy(copy, bytes.p, bytes.n);
    *envelope = slice(copy, bytes.n);
    arena_free(a);
    return ask(r, submit(r, 1, *envelope, SECTIONS, 2, false));
}

static inline void open_all(struct rig *r)
{
    open_session(r, 1, TLS_AGENCY, "fr/lyon/prison");
    open_session(r, 2, TLS_AGENCY, "fr/lyon/probation");
    open_session(r, 3, TLS_AGENCY, "fr/lyon/rebond");
    open_session(r, 4, TLS_AUDITOR, "fr/dpa");
}

static inline void assert_code(struct call *c, enum liaison_code code)
{
    if (c->frame->body_case == LIAISON__V1__FRAME__BODY_REFUSED)
        assert_int_equal(c->frame->refused->code, code);
    else if (c->frame->body_case == LIAISON__V1__FRAME__BODY_ERROR)
        assert_int_equal(c->frame->error->code, code);
    else
        assert_int_equal(LIAISON_OK, code);
    call_free(c);
}

/* Does any file below the rig's folder hold these bytes? */
static inline bool on_disk(struct rig *r, const char *text)
{
    char command[300];

    snprintf(command, sizeof command, "grep -rqaF -e '%s' %s/store", text, r->dir);
    return system(command) == 0;
}
