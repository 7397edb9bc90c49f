/* Sessions come and go; strangers are counted; the broker's own doings are entries too. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/ops/log.h"
#include "proto/err.h"

/* The name that the ledger uses: an agency's as it is, others with their role before it. An approver is its agency; which
 * of its people it was the entry's role and certificate say. */
static struct party *party_of(struct core *c, const struct tls_identity *peer)
{
    static const char *const ROLE[] = {[TLS_AGENCY] = "",
                                       [TLS_AUDITOR] = "auditor:",
                                       [TLS_BROKER] = "broker:",
                                       [TLS_APPROVER] = ""};
    char name[ID_NAME_MAX + 16];

    snprintf(name, sizeof name, "%s%s", ROLE[peer->role], peer->name);
    return party_named(c, name);
}

static bool record_session(struct batch *b, const struct tls_identity *peer,
                           Liaison__V1__Event event, enum liaison_code code)
{
    struct party *p = party_of(b->core, peer);
    struct recorded made;
    const struct rules_line *line;
    struct ledger_fact f = {
        .event = event,
        .code = code,
        .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
        .certificate = peer->certificate,
        .role = peer->role_name,
    };

    if (code == LIAISON_REVOKED &&
        rules_denies_certificate(b->core->settings.rules, peer->certificate, &line)) {
        f.rules = kept_rules_cite(b, &line, 1);
        f.n_rules = 1;
    }

    if (p == NULL)
        return batch_fail(b, LIAISON_MEMORY), false;
    return record(b, &f, p, NULL, NULL, false, &made);
}

static struct session *admit(struct batch *b, const struct call *c)
{
    struct session *s = calloc(1, sizeof *s);
    struct party *p = party_of(b->core, c->peer);

    if (s == NULL || p == NULL || !map_put(&b->core->sessions, c->session, s)) {
        free(s);
        batch_fail(b, LIAISON_MEMORY);
        return NULL;
    }
    s->number = c->session;
    s->role = c->peer->role;
    s->party = p;
    snprintf(s->name, sizeof s->name, "%s", c->peer->name);
    memcpy(s->certificate, c->peer->certificate, sizeof s->certificate);
    if (s->role == TLS_AGENCY &&
        delivery_open(b->core->delivery, p->number, s->number) != LIAISON_OK)
        batch_fail(b, LIAISON_MEMORY);
    return s;
}

/* The newest checkpoint, and that it extends the one the peer holds. A peer that holds a larger one gets no proof: it knows
 * what to think of that. */
static void add_checkpoint(struct batch *b, struct call *c, struct session *s)
{
    const Liaison__V1__Hello *hello = c->frame->hello;
    uint64_t size;
    struct slice note = notes_newest(b->core->notes, &size);

    s->receipts = hello->receipts;
    s->told_size = size;
    if (size == 0)
        return;
    c->welcome->checkpoint = (ProtobufCBinaryData){note.n, (uint8_t *)(uintptr_t)note.p};
    if (hello->log_size > size)
        return;
    enum liaison_code code =
        prove_growth(b->core, c->arena, hello->log_size, size, &c->welcome->consistency);

    if (code != LIAISON_OK)
        batch_fail(b, code);
}

static void welcome(struct batch *b, struct call *c, struct session *s)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;

    add_checkpoint(b, c, s);
    f.body_case = LIAISON__V1__FRAME__BODY_WELCOME;
    f.welcome = c->welcome;
    core_answer(b, c, &f);
}

void peer_opened(struct batch *b, struct call *c)
{
    struct session *s = map_get(b->core->sessions, c->session);

    if (!b->core->evidence &&
        !record_session(b, c->peer, LIAISON__V1__EVENT__EVENT_SESSION, LIAISON_OK))
        return;
    if (s == NULL && (s = admit(b, c)) == NULL) /* else the second try of a batch */
        return;
    if (!b->core->evidence && !key_spoke(b, s, s->certificate))
        return;
    welcome(b, c, s);
}
void peer_closed(struct core *core, uint64_t session)
{
    struct session *s = map_take(core->sessions, session);

    delivery_close(core->delivery, session);
    peer_free(s);
}

void peer_free(struct session *s)
{
    if (s != NULL)
        free(s->awaiting);
    free(s);
}

void peer_refused(struct batch *b, const struct call *c, Liaison__V1__Event event)
{
    if (!record_session(b, c->peer, event, c->code))
        batch_fail(b, LIAISON_MEMORY);
}

struct party *broker_party(struct batch *b)
{
    struct tls_identity self = {.role = TLS_BROKER};

    snprintf(self.name, sizeof self.name, "%s", b->core->settings.broker);
    struct party *p = party_of(b->core, &self);

    if (p == NULL)
        batch_fail(b, LIAISON_MEMORY);
    return p;
}

void broker_entry(struct batch *b, Liaison__V1__Event event, const uint8_t digest[32])
{
    struct party *p = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {.event = event,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .content = slice(digest, digest == NULL ? 0 : 32)};

    if (p == NULL || !record(b, &f, p, NULL, NULL, false, &made))
        batch_fail(b, LIAISON_MEMORY);
}

void peer_strangers(struct batch *b, const struct call *c)
{
    struct party *p = broker_party(b);
    struct recorded made;
    struct ledger_fact f = {.event = LIAISON__V1__EVENT__EVENT_STRANGERS,
                            .code = c->code,
                            .operation = LIAISON__V1__OPERATION__OPERATION_NONE,
                            .count = c->count};

    if (p == NULL || !record(b, &f, p, NULL, NULL, false, &made))
        batch_fail(b, LIAISON_MEMORY);
}
