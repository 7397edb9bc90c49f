#include "client/lib/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "client/lib/check.h"
#include "client/lib/wire.h"
#include "proto/err.h"

#define BODY(name) LIAISON__V1__FRAME__BODY_##name

enum {
    PROTOCOL_VERSION = 1,
    PAUSE_FIRST_MS = 50,
    PAUSE_MAX_MS = 5000,
    WINDOW_MAX = 1024,
    FIELD_ID = 1,
    FIELD_CALLER = 2,
    FIELD_SUBMIT = 20,
    FIELD_CHECK = 24,
    FIELD_ACT = 26,
};

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT,
               "the link speaks poll, the engine epoll");

/* ---------------------------------------------------------------- lists */

static void append(struct outcalls *list, struct outcall *c)
{
    c->next = NULL;
    if (list->tail == NULL)
        list->head = c;
    else
        list->tail->next = c;
    list->tail = c;
    list->n++;
}

/* Puts all of `front` before what is in `list`. */
static void prepend_all(struct outcalls *list, struct outcalls *front)
{
    if (front->head == NULL)
        return;
    front->tail->next = list->head;
    if (list->tail == NULL)
        list->tail = front->tail;
    list->head = front->head;
    list->n += front->n;
    *front = (struct outcalls){0};
}

/* Takes the call behind `before` (NULL: the first) out of the list. */
static struct outcall *take_behind(struct outcalls *list, struct outcall *before)
{
    struct outcall *c = before == NULL ? list->head : before->next;

    if (before == NULL)
        list->head = c->next;
    else
        before->next = c->next;
    if (list->tail == c)
        list->tail = before;
    list->n--;
    c->next = NULL;
    return c;
}

/* Answers mostly come in the order of the calls, so this finds the first. */
static struct outcall *take_flying(struct engine *e, uint64_t wire_id)
{
    struct outcall *before = NULL;

    for (struct outcall *c = e->flying.head; c != NULL; before = c, c = c->next)
        if (c->wire_id == wire_id)
            return take_behind(&e->flying, before);
    return NULL;
}

static void outcall_free(struct outcall *c)
{
    if (c == NULL)
        return;
    sealed_free(c->sealed);
    liaison_answer_free(c->refusal);
    free(c);
}

static void outcalls_free(struct outcalls *list)
{
    while (list->head != NULL)
        outcall_free(take_behind(list, NULL));
}

/* Takes a call out by the program's number. */
static struct outcall *take_call(struct outcalls *list, uint64_t call)
{
    struct outcall *before = NULL;

    for (struct outcall *c = list->head; c != NULL; before = c, c = c->next)
        if (c->call == call)
            return take_behind(list, before);
    return NULL;
}

static void ready(struct engine *e, struct liaison_answer *a)
{
    a->next = NULL;
    if (e->ready.tail == NULL)
        e->ready.head = a;
    else
        e->ready.tail->next = a;
    e->ready.tail = a;
}

/* What a program waits for. */
enum goal_kind { GOAL_CALL, GOAL_ANY, GOAL_DELIVERY, GOAL_OPEN, GOAL_MET };

struct goal {
    enum goal_kind kind;
    uint64_t call;   /* of GOAL_CALL */
    engine_met *met; /* of GOAL_MET */
    void *arg;
};

static struct liaison_answer *fetch(struct engine *e, enum goal_kind goal, uint64_t call)
{
    struct liaison_answer *before = NULL;

    for (struct liaison_answer *a = e->ready.head; a != NULL; before = a, a = a->next) {
        if (goal != GOAL_ANY && a->call != (goal == GOAL_CALL ? call : 0))
            continue;
        if (before == NULL)
            e->ready.head = a->next;
        else
            before->next = a->next;
        if (e->ready.tail == a)
            e->ready.tail = before;
        a->next = NULL;
        return a;
    }
    return NULL;
}

/* ---------------------------------------------------------------- life */

enum liaison_code engine_init(struct liaison *l)
{
    struct engine *e = &l->engine;

    e->next_id = 1;
    e->window = 1;
    e->epoll = epoll_create1(EPOLL_CLOEXEC);
    return e->epoll < 0 ? LIAISON_MEMORY : LIAISON_OK;
}

void engine_free(struct liaison *l)
{
    struct engine *e = &l->engine;

    link_close(&l->link);
    outcalls_free(&e->queued);
    outcalls_free(&e->flying);
    while (e->ready.head != NULL)
        liaison_answer_free(fetch(e, GOAL_ANY, 0));
    free(e->welcome);
    if (e->epoll >= 0)
        close(e->epoll);
}

/* The calls that the library itself makes belong to one conversation and end with it. */
static void drop_own(struct outcalls *list)
{
    struct outcall *before = NULL;

    for (struct outcall *c = list->head; c != NULL;) {
        struct outcall *next = c->next;

        if (c->own)
            outcall_free(take_behind(list, before));
        else
            before = c;
        c = next;
    }
}

void engine_hang_up(struct liaison *l)
{
    struct engine *e = &l->engine;

    link_close(&l->link);
    e->talk = TALK_NONE;
    e->watched = 0;
    drop_own(&e->flying);
    drop_own(&e->queued);
    l->receipts.asked = ASK_NOTHING;
    prepend_all(&e->queued, &e->flying);
    e->reconnect_at_ms = 0;
}

/* A pause that doubles, between half of it and all of it, so that a thousand clients do not come back at once. */
static int64_t pause_ms(struct liaison *l, unsigned tries)
{
    int64_t ms = tries > 7 ? PAUSE_MAX_MS : (int64_t)PAUSE_FIRST_MS << tries;
    uint16_t random;

    if (ms > PAUSE_MAX_MS)
        ms = PAUSE_MAX_MS;
    hash_random(l->hash, &random, sizeof random);
    return ms / 2 + ms / 2 * random / UINT16_MAX;
}

/* The connection is over, for `code`. Returns the code if waiting does not cure it. */
static enum liaison_code lost(struct liaison *l, enum liaison_code code, const char *why,
                              int64_t now_ms)
{
    struct engine *e = &l->engine;
    char text[LINK_WHY];

    snprintf(text, sizeof text, "%s", why);
    engine_hang_up(l);
    e->trouble = code;
    memcpy(e->trouble_text, text, sizeof text);
    e->reconnect_at_ms = now_ms + pause_ms(l, e->failures);
    if (e->failures < 16)
        e->failures++;
    e->evidence = code == LIAISON_FORK || code == LIAISON_PROOF ||
                  code == LIAISON_SIGNATURE || code == LIAISON_MALFORMED;
    if (err_retry(code) != RETRY_NEVER)
        return LIAISON_OK;
    return lib_fail(l, code, "%s", text);
}

/* ---------------------------------------------------------------- making calls */

static struct outcall *outcall_new(struct liaison *l, size_t head_len,
                                   Liaison__V1__Frame__BodyCase want)
{
    struct outcall *c = calloc(1, sizeof *c + head_len);

    if (c == NULL) {
        (void)lib_fail(l, LIAISON_MEMORY, "out of memory");
        return NULL;
    }
    c->want = want;
    c->head_len = head_len;
    c->deadline_ms = lib_mono_ms() + lib_setting_ms(l, SET_TIMEOUT_MS);
    return c;
}

enum liaison_code engine_call(struct liaison *l, const Liaison__V1__Frame *f,
                              Liaison__V1__Frame__BodyCase want, struct outcall **out)
{
    Liaison__V1__Frame rest = *f;

    rest.id = 0; /* not written: it is the default */
    struct outcall *c = outcall_new(l, liaison__v1__frame__get_packed_size(&rest), want);

    if (c == NULL)
        return LIAISON_MEMORY;
    liaison__v1__frame__pack(&rest, c->head);
    *out = c;
    return LIAISON_OK;
}

enum liaison_code engine_caller_call(struct liaison *l, Liaison__V1__Frame *f,
                                     Liaison__V1__Frame__BodyCase want,
                                     struct outcall **out)
{
    Liaison__V1__Caller caller = LIAISON__V1__CALLER__INIT;

    f->caller = lib_caller(l, &caller) ? &caller : NULL;
    return engine_call(l, f, want, out);
}

/* The heads of the messages around the signed bytes, outermost first. */
static size_t put_heads(uint8_t *out, Liaison__V1__Frame__BodyCase body, size_t bytes_n,
                        size_t tail_n)
{
    size_t n;

    if (body == BODY(ACT))
        return wire_head(FIELD_ACT, bytes_n, out);
    n = wire_head(body == BODY(CHECK) ? FIELD_CHECK : FIELD_SUBMIT,
                  wire_field_len(1, bytes_n) + tail_n, out);
    return n + wire_head(1, bytes_n, out + n);
}

enum liaison_code engine_signed_call(struct liaison *l, struct sealed *s,
                                     Liaison__V1__Frame__BodyCase body, bool strip,
                                     struct outcall **out)
{
    static const uint8_t STRIP[] = {0x10, 0x01}; /* Submit.strip = true */
    Liaison__V1__Caller caller = LIAISON__V1__CALLER__INIT;
    size_t caller_n, n;

    caller.officer = (char *)(uintptr_t)s->officer; /* the same as in the signed bytes */
    caller.purpose = (char *)(uintptr_t)s->purpose;
    caller.basis = (char *)(uintptr_t)s->basis;
    caller_n = liaison__v1__caller__get_packed_size(&caller);
    struct outcall *c =
        outcall_new(l, caller_n + 3 * WIRE_HEAD_MAX,
                    body == BODY(CHECK) ? BODY(DECISION) : BODY(ACCEPTED));

    if (c == NULL)
        return LIAISON_MEMORY;
    if (strip && body != BODY(ACT)) {
        memcpy(c->tail, STRIP, sizeof STRIP);
        c->tail_len = sizeof STRIP;
    }
    n = wire_head(FIELD_CALLER, caller_n, c->head);
    n += liaison__v1__caller__pack(&caller, c->head + n);
    c->head_len = n + put_heads(c->head + n, body, s->bytes.n, c->tail_len);
    c->sealed = sealed_share(s);
    *out = c;
    return LIAISON_OK;
}

uint64_t engine_send(struct liaison *l, struct outcall *c)
{
    c->call = ++l->engine.calls;
    append(&l->engine.queued, c);
    return c->call;
}

/* ---------------------------------------------------------------- sending */

static size_t outcall_len(const struct outcall *c)
{
    return WIRE_HEAD_MAX + c->head_len + (c->sealed == NULL ? 0 : c->sealed->bytes.n) +
           c->tail_len;
}

/* Writes the call as a frame. Every sending has an id of its own: ids rise in the order of writing. */
static enum liaison_code put_call(struct liaison *l, struct outcall *c)
{
    uint8_t id[12] = {FIELD_ID << 3};

    c->wire_id = l->engine.next_id++;
    return link_put(
        &l->link,
        (struct slice[]){{id, 1 + wire_varint(c->wire_id, id + 1)},
                         {c->head, c->head_len},
                         c->sealed == NULL ? slice(NULL, 0) : c->sealed->bytes,
                         {c->tail, c->tail_len}},
        4);
}

/* The answer to `c` is of the library's own making. */
static void settle_local(struct liaison *l, struct outcall *c, enum liaison_code code,
                         const char *text)
{
    struct liaison_answer *a = c->own ? NULL : answer_local(code, text);

    if (a != NULL) {
        a->call = c->call;
        ready(&l->engine, a);
    }
    outcall_free(c);
}

/* Writes what may go out: its pause is over and the broker's window has room. */
static enum liaison_code send_queued(struct liaison *l, int64_t now_ms)
{
    struct engine *e = &l->engine;
    struct outcall *before = NULL, *c = e->queued.head;

    while (c != NULL && e->flying.n < e->window && link_unsent(&l->link) < LINK_OUT_MAX) {
        struct outcall *next = c->next;

        if (c->not_before_ms > now_ms) {
            before = c;
        } else if (outcall_len(c) > e->message_max) {
            char text[128];

            snprintf(text, sizeof text,
                     "the message has %zu bytes; the broker takes at most %zu",
                     outcall_len(c), e->message_max);
            settle_local(l, take_behind(&e->queued, before), LIAISON_LIMIT, text);
        } else {
            take_behind(&e->queued, before);
            append(&e->flying, c);
            if (put_call(l, c) != LIAISON_OK)
                return LIAISON_MEMORY;
        }
        c = next;
    }
    return LIAISON_OK;
}

/* Hello, Grant after a reconnect, Prove: before everything else that is queued. */
enum liaison_code engine_own(struct liaison *l, const Liaison__V1__Frame *f,
                             Liaison__V1__Frame__BodyCase want)
{
    struct outcall *c = NULL;
    enum liaison_code code = engine_call(l, f, want, &c);

    if (code != LIAISON_OK)
        return code;
    c->own = true;
    append(&l->engine.flying, c);
    return put_call(l, c);
}

static enum liaison_code say_hello(struct liaison *l)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Hello hello = LIAISON__V1__HELLO__INIT;
    uint32_t versions[] = {PROTOCOL_VERSION};
    const char *software = lib_setting(l, SET_SOFTWARE);

    hello.n_versions = 1;
    hello.versions = versions;
    hello.software = (char *)(uintptr_t)(software[0] == '\0' ? "libliaison" : software);
    hello.receipts = log_on(l);
    hello.log_size = log_tell(l);
    f.body_case = BODY(HELLO);
    f.hello = &hello;
    l->engine.talk = TALK_HELLO;
    return engine_own(l, &f, BODY(WELCOME));
}

static enum liaison_code grant_again(struct liaison *l)
{
    struct engine *e = &l->engine;
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Grant grant = LIAISON__V1__GRANT__INIT;

    if (e->granted_messages == 0 && e->granted_bytes == 0)
        return LIAISON_OK;
    grant.messages = e->granted_messages;
    grant.bytes = e->granted_bytes;
    f.body_case = BODY(GRANT);
    f.grant = &grant;
    return engine_own(l, &f, BODY(DONE));
}

/* ---------------------------------------------------------------- receiving */

static enum liaison_code keep_welcome(struct liaison *l, const struct liaison_answer *a)
{
    uint8_t *copy = malloc(a->bytes.n);

    if (copy == NULL)
        return LIAISON_MEMORY;
    memcpy(copy, a->bytes.p, a->bytes.n);
    free(l->engine.welcome);
    l->engine.welcome = copy;
    l->engine.welcome_len = a->bytes.n;
    return LIAISON_OK;
}

/* Welcome. On error *why is set. */
static enum liaison_code welcomed(struct liaison *l, const struct liaison_answer *a,
                                  const char **why)
{
    const Liaison__V1__Welcome *w = a->frame->welcome;
    struct engine *e = &l->engine;

    *why = "the broker picked a protocol version that was not offered";
    if (w->version != PROTOCOL_VERSION)
        return LIAISON_VERSION;
    *why = "the broker serves another network";
    if (strcmp(w->network, lib_setting(l, SET_NETWORK)) != 0)
        return LIAISON_NETWORK;
    *why = "the broker's Welcome says no limits";
    if (w->limits == NULL || w->limits->window == 0 || w->limits->message_bytes == 0)
        return LIAISON_PROTOCOL;
    if (log_on(l)) {
        enum liaison_code code =
            log_welcomed(l, slice(w->checkpoint.data, w->checkpoint.len),
                         slice(w->consistency.data, w->consistency.len));

        *why = l->log.why;
        if (code != LIAISON_OK)
            return code;
    }
    *why = "out of memory";
    if (keep_welcome(l, a) != LIAISON_OK)
        return LIAISON_MEMORY;
    receipts_welcomed(l);
    e->window = w->limits->window > WINDOW_MAX ? WINDOW_MAX : w->limits->window;
    e->message_max = w->limits->message_bytes;
    e->talk = TALK_OPEN;
    e->failures = 0;
    e->trouble = LIAISON_OK;
    return grant_again(l);
}

/* Queues a call again that the broker did not take now. False: its answer stands. */
static bool again(struct liaison *l, struct outcall *c, struct liaison_answer *a,
                  int64_t now_ms)
{
    /* What is over the hour's limit is denied and logged each time: its caller comes again, not we. */
    enum err_retry retry = a->code == LIAISON_RATE ? RETRY_NEVER : err_retry(a->code);

    if (a->code == LIAISON_OK || retry == RETRY_NEVER || c->own ||
        (a->frame->body_case != BODY(ERROR) && a->frame->body_case != BODY(REFUSED)))
        return false;
    c->not_before_ms =
        retry == RETRY_SAME && c->tries == 0 ? 0 : now_ms + pause_ms(l, c->tries);
    if (c->not_before_ms >= c->deadline_ms)
        return false;
    if (c->tries < 16)
        c->tries++;
    liaison_answer_free(c->refusal);
    c->refusal = a;
    append(&l->engine.queued, c);
    return true;
}

/* Looks at what the broker says it did. */
static void examine(struct liaison *l, const struct outcall *c, struct liaison_answer *a)
{
    Liaison__V1__Frame__BodyCase body = a->frame->body_case;

    if (c->sealed != NULL && (answer_accepted(a) != NULL || body == BODY(REFUSED))) {
        const char *wrong = check_entry(l->hash, a, c->sealed);

        if (wrong != NULL)
            answer_say(a, LIAISON_SIGNATURE,
                       "the broker answered with a ledger entry that is not about this "
                       "call (%s differs): keep this "
                       "answer and tell the network's auditor",
                       wrong);
        else
            receipts_await(l, a);
    }
    if (a->code == LIAISON_OK && c->want == BODY(DONE)) {
        l->engine.granted_messages += c->own ? 0 : c->grant_messages;
        l->engine.granted_bytes += c->own ? 0 : c->grant_bytes;
    }
}

static bool fits(const struct outcall *c, const struct liaison_answer *a)
{
    Liaison__V1__Frame__BodyCase body = a->frame->body_case;

    return body == c->want || body == BODY(ERROR) || body == BODY(REFUSED) ||
           (body == BODY(DUPLICATE) && c->want == BODY(ACCEPTED));
}

/* One answer to a call. Takes: a. On error the conversation is over and *why says why. */
static enum liaison_code answered(struct liaison *l, struct liaison_answer *a,
                                  int64_t now_ms, const char **why)
{
    struct outcall *c = take_flying(&l->engine, a->frame->id);
    enum liaison_code code = LIAISON_OK;

    if (c == NULL) {
        bool late = a->frame->id < l->engine.next_id; /* its time was over */

        liaison_answer_free(a);
        *why = "the broker answered a call that was never made";
        return late ? LIAISON_OK : LIAISON_PROTOCOL;
    }
    if (!fits(c, a)) {
        append(&l->engine.flying, c);
        liaison_answer_free(a);
        *why = "the broker answered with something else than was asked for";
        return LIAISON_PROTOCOL;
    }
    if (a->code == LIAISON_HELLO_REQUIRED && !c->own && l->engine.talk == TALK_OPEN)
        code = say_hello(l);
    if (code == LIAISON_OK && again(l, c, a, now_ms))
        return LIAISON_OK;
    if (c->own && c->want == BODY(PROOF)) {
        code = receipts_proven(l, a, why);
        liaison_answer_free(a);
    } else if (c->own) { /* Hello or Grant */
        if (code == LIAISON_OK)
            code = c->want == BODY(WELCOME) && a->code == LIAISON_OK ? welcomed(l, a, why)
                                                                     : a->code;
        if (a->code != LIAISON_OK) {
            snprintf(l->engine.trouble_text, sizeof l->engine.trouble_text, "%s",
                     a->text);
            *why = l->engine.trouble_text;
        }
        liaison_answer_free(a);
    } else {
        examine(l, c, a);
        a->call = c->call;
        ready(&l->engine, a);
    }
    outcall_free(c);
    return code;
}

/* A frame with id 0. Takes: a. */
static enum liaison_code announced(struct liaison *l, struct liaison_answer *a,
                                   const char **why)
{
    enum liaison_code code = LIAISON_PROTOCOL;

    *why = "the broker started something that this version does not know";
    if (a->frame->body_case == BODY(DELIVER)) {
        ready(&l->engine, a);
        return LIAISON_OK;
    }
    if (a->frame->body_case == BODY(RECEIPTS) && log_on(l))
        code = receipts_pushed(l, a->frame->receipts, why);
    if (a->frame->body_case == BODY(ERROR)) {
        code = a->code;
        snprintf(l->engine.trouble_text, sizeof l->engine.trouble_text, "%s", a->text);
        *why = l->engine.trouble_text;
    }
    liaison_answer_free(a);
    return code;
}

static enum liaison_code take_messages(struct liaison *l, int64_t now_ms,
                                       const char **why)
{
    struct slice message;
    enum liaison_code code;

    while ((code = link_message(&l->link, &message)) == LIAISON_OK) {
        struct liaison_answer *a = NULL;

        *why = "the broker's message is not a strict Frame";
        if ((code = answer_new(message, &a)) != LIAISON_OK)
            return code;
        code = a->frame->id == 0 ? announced(l, a, why) : answered(l, a, now_ms, why);
        if (code != LIAISON_OK)
            return code;
    }
    *why = l->link.why;
    return code == LIAISON_BUSY ? LIAISON_OK : code;
}

/* ---------------------------------------------------------------- one turn */

/* Calls whose time is over get what is known: the broker's last refusal, or what was wrong with the connection. */
static void expire(struct liaison *l, struct outcalls *list, int64_t now_ms)
{
    struct engine *e = &l->engine;
    struct outcall *before = NULL;

    for (struct outcall *c = list->head; c != NULL;) {
        struct outcall *next = c->next;

        if (c->deadline_ms > now_ms || c->own) {
            before = c;
        } else {
            take_behind(list, before);
            if (c->refusal != NULL) {
                c->refusal->call = c->call;
                ready(e, c->refusal);
                c->refusal = NULL;
                outcall_free(c);
            } else if (e->talk != TALK_OPEN && e->trouble != LIAISON_OK) {
                settle_local(l, c, e->trouble, e->trouble_text);
            } else {
                settle_local(l, c, LIAISON_TIMEOUT, "no answer from the broker in time");
            }
        }
        c = next;
    }
}

/* Begins to connect. What is wrong with our own settings and keys does not pass by waiting. */
static enum liaison_code begin(struct liaison *l, int64_t now_ms)
{
    enum liaison_code code = lib_need(l, SET_BROKER);

    if (code != LIAISON_OK || (code = keys_context(l)) != LIAISON_OK ||
        (code = log_ready(l)) != LIAISON_OK)
        return code;
    code = link_start(&l->link, l->keys.context, lib_setting(l, SET_BROKER),
                      lib_setting_ms(l, SET_CONNECT_MS), now_ms);
    return code == LIAISON_OK ? LIAISON_OK : lost(l, code, l->link.why, now_ms);
}

/* ZMTP is up: is it the broker we want? Then say Hello. */
static enum liaison_code greet(struct liaison *l, int64_t now_ms)
{
    const struct tls_identity *peer = tls_peer(l->link.ssl);
    const char *want = lib_setting(l, SET_BROKER_NAME);

    if (want[0] != '\0' && (peer == NULL || strcmp(peer->name, want) != 0))
        return lost(l, LIAISON_IDENTITY,
                    "the broker is not the one that the setting \"broker_name\" names",
                    now_ms);
    enum liaison_code code = say_hello(l);

    l->engine.flying.tail->deadline_ms = now_ms + lib_setting_ms(l, SET_CONNECT_MS);
    return code == LIAISON_OK ? LIAISON_OK : lost(l, code, "out of memory", now_ms);
}

/* True when Hello was said and its time is over. */
static bool hello_late(const struct engine *e, int64_t now_ms)
{
    for (const struct outcall *c = e->flying.head; e->talk == TALK_HELLO && c != NULL;
         c = c->next)
        if (c->own && c->want == BODY(WELCOME))
            return now_ms > c->deadline_ms;
    return false;
}

static enum liaison_code traffic(struct liaison *l, int64_t now_ms)
{
    struct engine *e = &l->engine;
    const char *why = "out of memory";
    enum liaison_code code;

    if (e->talk == TALK_OPEN && (code = send_queued(l, now_ms)) != LIAISON_OK)
        return lost(l, code, why, now_ms);
    code = link_step(&l->link, now_ms);
    if (code != LIAISON_OK)
        return lost(l, code, l->link.why, now_ms);
    if (e->talk == TALK_NONE && l->link.state == LINK_UP &&
        (code = greet(l, now_ms)) != LIAISON_OK)
        return code;
    code = take_messages(l, now_ms, &why);
    if (code == LIAISON_OK && e->talk == TALK_OPEN && log_on(l))
        code = receipts_turn(l, now_ms, &why);
    if (code == LIAISON_OK && e->talk == TALK_OPEN)
        code = send_queued(l, now_ms);
    if (code == LIAISON_OK && hello_late(e, now_ms)) {
        code = LIAISON_TIMEOUT;
        why = "the broker did not answer in time: Welcome was awaited";
    }
    if (code == LIAISON_OK && link_unsent(&l->link) > 0 && !l->link.write_blocked) {
        code = link_step(&l->link, now_ms);
        why = l->link.why;
    }
    return code == LIAISON_OK ? LIAISON_OK : lost(l, code, why, now_ms);
}

static enum liaison_code turn(struct liaison *l, int64_t now_ms)
{
    struct engine *e = &l->engine;
    enum liaison_code code = LIAISON_OK;

    if (l->link.state == LINK_DOWN && now_ms >= e->reconnect_at_ms)
        code = begin(l, now_ms);
    if (code == LIAISON_OK && l->link.state != LINK_DOWN)
        code = traffic(l, now_ms);
    expire(l, &e->flying, now_ms);
    expire(l, &e->queued, now_ms);
    return code;
}

/* ---------------------------------------------------------------- waiting */

/* Keeps epoll's idea of the socket in step with the link's. A closed socket leaves it by itself. */
static void watch(struct liaison *l)
{
    struct engine *e = &l->engine;
    uint32_t wants = (uint32_t)link_wants(&l->link);
    struct epoll_event event = {.events = wants};

    if (l->link.state == LINK_DOWN || l->link.fd < 0) {
        e->watched = 0;
        return;
    }
    if (wants == e->watched && l->link.sockets == e->watched_socket)
        return;
    if (epoll_ctl(e->epoll, EPOLL_CTL_MOD, l->link.fd, &event) != 0 && errno == ENOENT)
        (void)epoll_ctl(e->epoll, EPOLL_CTL_ADD, l->link.fd, &event);
    e->watched = wants;
    e->watched_socket = l->link.sockets;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is due even if nothing comes. */
static int64_t next_due(const struct liaison *l, int64_t now_ms)
{
    const struct engine *e = &l->engine;
    int64_t due =
        l->link.state == LINK_DOWN ? e->reconnect_at_ms : l->link.phase_deadline_ms + 1;

    due = sooner(due, receipts_due(l));

    for (const struct outcall *c = e->flying.head; c != NULL; c = c->next)
        if (!c->own || c->want == BODY(WELCOME))
            due = sooner(due, c->deadline_ms + 1);
    for (const struct outcall *c = e->queued.head; c != NULL; c = c->next) {
        due = sooner(due, c->deadline_ms + 1);
        if (c->not_before_ms > now_ms && e->talk == TALK_OPEN && e->flying.n < e->window)
            due = sooner(due, c->not_before_ms);
    }
    return due;
}

static void wait(struct liaison *l, int64_t now_ms, int64_t until_ms)
{
    struct epoll_event event;
    int64_t ms = sooner(until_ms, next_due(l, now_ms)) - now_ms;

    watch(l);
    if (l->link.in_full || l->link.failed != LIAISON_OK || ms < 0)
        ms = 0;
    (void)epoll_wait(l->engine.epoll, &event, 1, ms > 60000 ? 60000 : (int)ms);
}

/* True if the call is still to be answered; it is lost only when memory was out for its answer. */
static bool open_call(const struct engine *e, uint64_t call)
{
    for (const struct outcall *c = e->flying.head; c != NULL; c = c->next)
        if (c->call == call && !c->own)
            return true;
    for (const struct outcall *c = e->queued.head; c != NULL; c = c->next)
        if (c->call == call)
            return true;
    return false;
}

/* After a turn that ended with `code`. LIAISON_BUSY: the goal is not met yet. */
static enum liaison_code look(struct liaison *l, const struct goal *g,
                              enum liaison_code code, struct liaison_answer **answer)
{
    struct engine *e = &l->engine;
    bool fetches = g->kind != GOAL_OPEN && g->kind != GOAL_MET;
    struct liaison_answer *a = fetches ? fetch(e, g->kind, g->call) : NULL;

    if (a != NULL) {
        *answer = a;
        return LIAISON_OK;
    }
    if (g->kind == GOAL_MET && g->met(l, g->arg))
        return LIAISON_OK;
    e->evidence = e->evidence && code == LIAISON_OK;
    if (code != LIAISON_OK)
        return code;
    if (g->kind == GOAL_OPEN && e->talk == TALK_OPEN)
        return LIAISON_OK;
    if (g->kind == GOAL_OPEN && e->trouble != LIAISON_OK)
        return lib_fail(l, e->trouble, "%s", e->trouble_text);
    if (g->kind == GOAL_CALL && !open_call(e, g->call))
        return lib_fail(l, LIAISON_MEMORY, "out of memory");
    return LIAISON_BUSY;
}

/* What came behind an answer that was fetched first. */
static enum liaison_code tell(struct liaison *l)
{
    return lib_fail(l, l->engine.trouble, "%s", l->engine.trouble_text);
}

/* Turns until the goal is met or `until_ms` is over (LIAISON_TIMEOUT). */
static enum liaison_code run(struct liaison *l, struct goal g, int64_t until_ms,
                             struct liaison_answer **answer)
{
    enum liaison_code code;

    for (;;) {
        int64_t now_ms = lib_mono_ms();

        code = look(l, &g, l->engine.evidence ? tell(l) : turn(l, now_ms), answer);
        if (code != LIAISON_BUSY)
            break;
        if (now_ms >= until_ms) {
            code = lib_fail(l, LIAISON_TIMEOUT, "nothing came in time");
            break;
        }
        wait(l, now_ms, until_ms);
    }
    watch(l);
    return code;
}

enum liaison_code engine_await(struct liaison *l, struct outcall *c,
                               struct liaison_answer **answer)
{
    struct engine *e = &l->engine;
    struct liaison_answer *a = NULL;
    uint64_t call = engine_send(l, c);
    enum liaison_code code =
        run(l, (struct goal){.kind = GOAL_CALL, .call = call}, INT64_MAX, &a);

    if (code != LIAISON_OK) {
        struct outcall *left = take_call(&e->queued, call);

        outcall_free(left != NULL ? left : take_call(&e->flying, call));
        return code;
    }
    code = a->code;
    if (code != LIAISON_OK)
        (void)lib_fail(l, code, "%s", a->text);
    if (a->frame == NULL || answer == NULL)
        liaison_answer_free(a);
    else
        *answer = a;
    return code;
}

enum liaison_code engine_receive(struct liaison *l, bool delivery, int64_t deadline_ms,
                                 struct liaison_answer **answer)
{
    struct liaison_answer *a = fetch(&l->engine, delivery ? GOAL_DELIVERY : GOAL_ANY, 0);

    if (a == NULL)
        return run(l, (struct goal){.kind = delivery ? GOAL_DELIVERY : GOAL_ANY},
                   deadline_ms, answer);
    *answer = a;
    return LIAISON_OK;
}

enum liaison_code engine_connect(struct liaison *l)
{
    l->engine.trouble = LIAISON_OK;
    l->engine.reconnect_at_ms = 0;
    return run(l, (struct goal){.kind = GOAL_OPEN},
               lib_mono_ms() + lib_setting_ms(l, SET_TIMEOUT_MS), NULL);
}

enum liaison_code engine_until(struct liaison *l, engine_met *met, void *arg,
                               int64_t deadline_ms)
{
    return run(l, (struct goal){.kind = GOAL_MET, .met = met, .arg = arg}, deadline_ms,
               NULL);
}
