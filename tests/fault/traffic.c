/* Senders and recipients that remember everything they were told, for tests/e2e/04-kill9.
 *
 *     traffic PROFILES SENDERS RECIPIENTS SEED
 *
 * Reads one command a line, says what it found wrong in lines that begin with "problem ", and ends each command with one
 * line of JSON.
 *
 *     broker ADDRESS   where the broker is from now on; calls without an answer are kept and sent again as they were
 *     load             submits, delivers, acknowledges and accepts until the next command; says "flowing" at the first answer
 *     settle           no more new ones: is all that was answered still there, once? Gets every call answered and every
 *                      mailbox empty, sends all of this round again, and looks again
 *     dump FILE        what was answered: "submit|accept REFERRAL SEQ" a line, for comparison with the ledger
 */
#include <inttypes.h>
#include <poll.h>
#include <search.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proto/id.h"
#include "proto/liaison.pb-c.h"
#include "tests/lib/member.h"

enum {
    WINDOW = 16,
    GRANT_MESSAGES = 64,
    GRANT_BYTES = 1 << 20,
    STALL_MS = 30000,
    SHOWN_MAX = 20, /* problems of one command; the others are counted */
    NAME = 64,
};

enum what { SUBMIT, ACCEPT, ACK };
static const char *const WHAT[] = {"submit", "accept", "ack"};

/* The first answer to a signed call; whatever comes later must be the same bytes. */
struct first {
    uint8_t *entry;
    size_t entry_len;
    uint8_t opening[32];
    uint64_t seq;
};

enum mail_of {
    CARD,
    NEWS,
    MAIL_OF__COUNT
}; /* the card at its recipient, the news of the accept at its sender */

struct mail {
    uint64_t mailbox;
    uint32_t attempt; /* of the last delivery; 0: none yet */
    bool acked;       /* the broker said Done */
};

struct item {
    uint8_t id[ID_BYTES];
    struct liaison_referral *referral;
    struct liaison_action *accept; /* NULL: it is not accepted by us */
    size_t sender, recipient;      /* their members */
    struct first first[2];         /* SUBMIT, ACCEPT */
    struct mail mail[MAIL_OF__COUNT];
    unsigned round, listed;
};

struct flight {
    uint64_t call;
    enum what what;
    struct item *item;
    enum mail_of mail;
};

struct member {
    struct liaison *l;
    bool sends;
    struct flight *flights;
    size_t n_flights, room;
};

struct traffic {
    struct member *members; /* senders, then recipients */
    size_t n_members, n_senders;
    struct item **items;
    size_t n_items, room;
    void *by_id; /* tsearch tree of items */
    int epoll;
    uint64_t random;
    unsigned round;
    bool loading;
    size_t problems;
    size_t answered, submits, accepts, late, redelivered,
        again; /* late: the first answer seen was a DUPLICATE */
};

__attribute__((format(printf, 2, 3))) static void problem(struct traffic *t,
                                                          const char *format, ...)
{
    va_list args;

    if (t->problems++ >= SHOWN_MAX)
        return;
    printf("problem ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static uint64_t draw(struct traffic *t) /* xorshift64 */
{
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return t->random;
}

static void *grown(void *list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return list;
    *room = *room == 0 ? 64 : *room * 2;
    list = realloc(list, *room * size);
    if (list == NULL)
        member_die("out of memory");
    return list;
}

/* ---------------------------------------------------------------- what is known */

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct item *)a)->id, ((const struct item *)b)->id, ID_BYTES);
}

static struct item *find(const struct traffic *t, ProtobufCBinaryData id)
{
    struct item key;

    if (id.len != ID_BYTES)
        return NULL;
    memcpy(key.id, id.data, ID_BYTES);
    struct item *const *found = tfind(&key, &t->by_id, by_id);

    return found == NULL ? NULL : *found;
}

static void know(struct traffic *t, struct item *i)
{
    t->items = grown(t->items, t->n_items, &t->room, sizeof *t->items);
    t->items[t->n_items++] = i;
    if (!id_parse(liaison_referral_id(i->referral), i->id) ||
        tsearch(i, &t->by_id, by_id) == NULL)
        member_die("a referral cannot be remembered");
}

static const char *text(const struct item *i)
{
    return liaison_referral_id(i->referral);
}

/* ---------------------------------------------------------------- calls */

static void fly(struct member *m, uint64_t call, enum what what, struct item *i,
                enum mail_of mail)
{
    m->flights = grown(m->flights, m->n_flights, &m->room, sizeof *m->flights);
    m->flights[m->n_flights++] = (struct flight){call, what, i, mail};
}

static void send_submit(struct traffic *t, struct item *i)
{
    struct member *m = &t->members[i->sender];
    uint64_t call;

    member_must(m->l, liaison_send_submit(m->l, i->referral, 0, &call), "submit");
    fly(m, call, SUBMIT, i, CARD);
}

static void send_accept(struct traffic *t, struct item *i)
{
    struct member *m = &t->members[i->recipient];
    uint64_t call;

    member_must(m->l, liaison_send_act(m->l, i->accept, &call), "accept");
    fly(m, call, ACCEPT, i, NEWS);
}

static size_t flying(const struct member *m, enum what what)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_flights; i++)
        n += m->flights[i].what == what;
    return n;
}

static void member_name(const struct traffic *t, size_t number, char out[NAME])
{
    if (number < t->n_senders)
        snprintf(out, NAME, "fr/load/source-%02zu", number + 1);
    else
        snprintf(out, NAME, "fr/load/sink-%02zu", number - t->n_senders + 1);
}

/* New ones for all the room in a sender's window: sealed, signed with one signature, sent. */
static void submit_new(struct traffic *t, size_t sender)
{
    struct member *m = &t->members[sender];
    struct liaison_referral *r[WINDOW];
    size_t to[WINDOW], busy = flying(m, SUBMIT), n = busy < WINDOW ? WINDOW - busy : 0;
    char name[NAME], body[64];

    if (n == 0)
        return;
    for (size_t k = 0; k < n; k++) {
        to[k] = t->n_senders + draw(t) % (t->n_members - t->n_senders);
        member_name(t, to[k], name);
        snprintf(body, sizeof body, "a synthetic need, number %zu", t->n_items + k);
        r[k] = member_draft(m->l, name, body, strlen(body));
    }
    member_must(m->l, liaison_seal(m->l, r, n), "seal");
    for (size_t k = 0; k < n; k++) {
        struct item *i = member_alloc(1, sizeof *i);

        i->referral = r[k];
        i->sender = sender;
        i->recipient = to[k];
        i->round = t->round;
        know(t, i);
        send_submit(t, i);
    }
}

static void accept_new(struct traffic *t, struct item *i, uint32_t version)
{
    struct member *m = &t->members[i->recipient];
    char from[NAME], number[16];

    member_name(t, i->sender, from);
    snprintf(number, sizeof number, "%" PRIu32, version);
    member_must(m->l, liaison_action_new(m->l, &i->accept), "action");
    member_must(m->l, liaison_action_set(i->accept, "from", from), "from");
    member_must(m->l, liaison_action_set(i->accept, "id", text(i)), "id");
    member_must(m->l, liaison_action_set(i->accept, "move", "accept"), "move");
    member_must(m->l, liaison_action_set(i->accept, "version", number), "version");
    send_accept(t, i);
}

/* ---------------------------------------------------------------- answers */

static void remember(struct traffic *t, struct item *i, enum what what,
                     const struct liaison_answer *a)
{
    struct first *f = &i->first[what];
    size_t len, opening_len;
    const uint8_t *entry = liaison_answer_entry(a, &len),
                  *opening = liaison_answer_opening(a, &opening_len);
    bool duplicate = strcmp(liaison_answer_kind(a), "duplicate") == 0;

    if (len == 0 || opening_len != sizeof f->opening) {
        problem(t, "%s %s was answered without an entry", WHAT[what], text(i));
    } else if (f->entry == NULL) {
        f->entry = member_alloc(1, len);
        f->entry_len = len;
        memcpy(f->entry, entry, len);
        memcpy(f->opening, opening, sizeof f->opening);
        f->seq = liaison_answer_seq(a);
        t->late += duplicate;
        *(what == SUBMIT ? &t->submits : &t->accepts) += 1;
    } else {
        t->again++;
        if (!duplicate)
            problem(t, "lost: %s %s was answered before and was taken a second time",
                    WHAT[what], text(i));
        else if (len != f->entry_len || memcmp(entry, f->entry, len) != 0 ||
                 memcmp(opening, f->opening, sizeof f->opening) != 0)
            problem(t, "%s %s: the answer to the same bytes is not the first answer",
                    WHAT[what], text(i));
    }
}

static void take_answer(struct traffic *t, struct member *m,
                        const struct liaison_answer *a)
{
    for (size_t k = 0; k < m->n_flights; k++) {
        struct flight f = m->flights[k];

        if (f.call != liaison_answer_call(a))
            continue;
        m->flights[k] = m->flights[--m->n_flights];
        t->answered++;
        if (liaison_answer_code(a) != LIAISON_OK)
            problem(t, "%s%s %s was refused: %s: %s",
                    f.item->first[SUBMIT].entry != NULL ? "lost: " : "", WHAT[f.what],
                    text(f.item), liaison_code_name(liaison_answer_code(a)),
                    liaison_answer_text(a));
        else if (f.what == ACK)
            f.item->mail[f.mail].acked = true;
        else
            remember(t, f.item, f.what, a);
        return;
    }
    member_die("an answer to no call");
}

/* Whose delivery it is; a card or news. */
static struct item *delivered(struct traffic *t, const struct liaison_letter *letter,
                              enum mail_of *mail)
{
    size_t len;
    const uint8_t *bytes = liaison_letter_bytes(letter, &len);
    struct item *i = NULL;

    *mail = strcmp(liaison_letter_kind(letter), "referral") == 0 ? CARD : NEWS;
    if (*mail == CARD) {
        Liaison__V1__Envelope *e = liaison__v1__envelope__unpack(NULL, len, bytes);

        i = e == NULL ? NULL : find(t, e->id);
        liaison__v1__envelope__free_unpacked(e, NULL);
    } else {
        Liaison__V1__Action *action = liaison__v1__action__unpack(NULL, len, bytes);

        i = action == NULL || action->referral == NULL ? NULL
                                                       : find(t, action->referral->id);
        liaison__v1__action__free_unpacked(action, NULL);
    }
    return i;
}

/* An item has one number in its mailbox, is marked when it comes again, and never comes after its Done. */
static void judge_delivery(struct traffic *t, const struct item *i, struct mail *mail,
                           const struct liaison_answer *a)
{
    uint64_t mailbox = liaison_answer_mailbox(a);
    uint32_t attempt = liaison_answer_attempt(a);

    if (mail->acked)
        problem(t, "%s was delivered after its acknowledgement was done", text(i));
    if (attempt == 0 || (mail->attempt != 0 && attempt <= mail->attempt))
        problem(t, "%s was delivered again as attempt %" PRIu32 " after %" PRIu32,
                text(i), attempt, mail->attempt);
    if (mail->attempt != 0 && mailbox != mail->mailbox)
        problem(t, "%s lies twice in the mailbox", text(i));
    t->redelivered += attempt > 1;
    mail->attempt = attempt;
    mail->mailbox = mailbox;
}

static void take_delivery(struct traffic *t, size_t number,
                          const struct liaison_answer *a)
{
    struct member *m = &t->members[number];
    struct liaison_letter *letter = NULL;
    enum mail_of mail;
    uint64_t call, mailbox = liaison_answer_mailbox(a), lease = liaison_answer_lease(a);

    member_must(m->l, liaison_verify(m->l, a, 0, &letter), "verify");
    struct item *i = delivered(t, letter, &mail);

    liaison_letter_free(letter);
    if (i == NULL || (mail == CARD ? i->recipient : i->sender) != number ||
        (mail == NEWS && i->accept == NULL)) {
        problem(t, "something was delivered that nobody sent");
        return;
    }
    judge_delivery(t, i, &i->mail[mail], a);
    if (t->loading && mail == CARD && i->accept == NULL && draw(t) % 2 == 0)
        accept_new(t, i,
                   liaison_answer_state_version(
                       a)); /* before or after the acknowledgement, as the batch falls */
    member_must(m->l, liaison_send_ack(m->l, &mailbox, &lease, 1, &call), "ack");
    fly(m, call, ACK, i, mail);
}

/* ---------------------------------------------------------------- the loop */

static void serve(struct traffic *t, size_t number)
{
    struct member *m = &t->members[number];

    for (int turn = 0; turn < 2;
         turn++) { /* the second writes what the first has queued */
        struct liaison_answer *a = NULL;
        enum liaison_code code;

        while ((code = liaison_receive(m->l, 0, &a)) == LIAISON_OK) {
            if (liaison_answer_call(a) == 0)
                take_delivery(t, number, a);
            else
                take_answer(t, m, a);
            liaison_answer_free(a);
        }
        if (code != LIAISON_TIMEOUT)
            member_must(m->l, code, "receive");
        if (turn == 0 && t->loading && m->sends)
            submit_new(t, number);
    }
}

/* One turn of all that is ready; all of them when nothing is, for deadlines. */
static void turn(struct traffic *t, int wait_ms)
{
    struct epoll_event events[32];
    int n = epoll_wait(t->epoll, events, 32, wait_ms);

    for (int i = 0; i < n; i++)
        if (events[i].data.u64 < t->n_members)
            serve(t, events[i].data.u64);
    for (size_t i = 0; n == 0 && i < t->n_members; i++)
        serve(t, i);
}

static bool input_waits(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

static void grant_all(struct traffic *t)
{
    for (size_t i = 0; i < t->n_members; i++)
        member_must(t->members[i].l,
                    liaison_grant(t->members[i].l, GRANT_MESSAGES, GRANT_BYTES), "grant");
}

static void load(struct traffic *t)
{
    size_t before = t->answered;
    bool said = false;

    if (t->round++ == 0)
        grant_all(t); /* the library grants again after each reconnect */
    t->loading = true;
    for (size_t i = 0; i < t->n_members; i++)
        serve(t, i);
    while (!input_waits()) {
        turn(t, 50);
        if (!said && t->answered > before) {
            said = true;
            puts("flowing");
            fflush(stdout);
        }
    }
    t->loading = false;
}

/* ---------------------------------------------------------------- settle */

/* Nothing is under way any more, and nothing waits in a mailbox. */
static bool settled(const struct traffic *t)
{
    for (size_t i = 0; i < t->n_members; i++)
        if (t->members[i].n_flights > 0)
            return false;
    for (size_t i = 0; i < t->n_items; i++)
        if (!t->items[i]->mail[CARD].acked ||
            (t->items[i]->accept != NULL && !t->items[i]->mail[NEWS].acked))
            return false;
    return true;
}

static size_t undelivered(const struct traffic *t, enum mail_of mail)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_items; i++)
        n += t->items[i]->mail[mail].attempt == 0 &&
             (mail == CARD || t->items[i]->accept != NULL);
    return n;
}

static void drain(struct traffic *t)
{
    uint64_t moved = member_now_ns();
    size_t before = t->answered;

    while (!settled(t) && t->problems == 0) {
        turn(t, 50);
        if (t->answered != before) {
            before = t->answered;
            moved = member_now_ns();
        } else if (member_now_ns() - moved > STALL_MS * UINT64_C(1000000)) {
            problem(t, "lost: %zu cards and %zu news never came", undelivered(t, CARD),
                    undelivered(t, NEWS));
        }
    }
}

static void judge_card(struct traffic *t, size_t number, const Liaison__V1__Card *card,
                       bool strict)
{
    Liaison__V1__Envelope *e =
        card->referral == NULL
            ? NULL
            : liaison__v1__envelope__unpack(NULL, card->referral->envelope.len,
                                            card->referral->envelope.data);
    struct item *i = e == NULL ? NULL : find(t, e->id);

    if (i == NULL || (i->sender != number && i->recipient != number)) {
        problem(t, "a list shows a referral that nobody sent");
    } else {
        const struct first *accept = &i->first[ACCEPT];
        bool moved =
            card->state == LIAISON__V1__STATE__STATE_ACCEPTED && card->state_version == 2;
        bool unmoved =
            card->state <= LIAISON__V1__STATE__STATE_RECEIVED && card->state_version == 1;

        i->listed++;
        if (accept->entry != NULL && !moved)
            problem(t,
                    "lost: the accept of %s was answered, and it stands at state %d "
                    "version %" PRIu32,
                    text(i), (int)card->state, card->state_version);
        else if (strict && accept->entry == NULL && !unmoved)
            problem(t, "%s stands at state %d version %" PRIu32 " without a move",
                    text(i), (int)card->state, card->state_version);
    }
    liaison__v1__envelope__free_unpacked(e, NULL);
}

static void judge_page(struct traffic *t, size_t number, const struct liaison_answer *a,
                       bool strict)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(a, &len);
    Liaison__V1__Frame *f = liaison__v1__frame__unpack(NULL, len, bytes);

    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_CARDS)
        member_die("a list was answered with something else");
    for (size_t i = 0; i < f->cards->n_cards; i++)
        judge_card(t, number, f->cards->cards[i], strict);
    liaison__v1__frame__free_unpacked(f, NULL);
}

static void read_list(struct traffic *t, size_t number, bool strict)
{
    struct member *m = &t->members[number];
    struct liaison_query *q = NULL;

    member_must(m->l, liaison_query_new(m->l, "list", &q), "list");
    member_must(m->l, liaison_query_set(q, "box", m->sends ? "sent" : "inbox"), "box");
    member_must(m->l, liaison_query_set(q, "finished", "yes"), "finished");
    while (liaison_query_more(q)) {
        struct liaison_answer *a = NULL;

        member_must(m->l, liaison_query_next(q, &a), "list");
        judge_page(t, number, a, strict);
        liaison_answer_free(a);
    }
    liaison_query_free(q);
}

/* Every answered referral is there once; `strict`: nothing is under way, so every one must be, in a state we know of. */
static void look(struct traffic *t, bool sent, bool strict)
{
    bool *answered = member_alloc(t->n_items + 1, sizeof *answered);

    for (size_t i = 0; i < t->n_items; i++) {
        t->items[i]->listed = 0;
        answered[i] = t->items[i]->first[SUBMIT].entry !=
                      NULL; /* reading the lists sends the others again */
    }
    for (size_t i = 0; i < t->n_members; i++)
        if (t->members[i].sends == sent)
            read_list(t, i, strict);
    for (size_t i = 0; i < t->n_items; i++) {
        unsigned listed = t->items[i]->listed;

        if (listed > 1)
            problem(t, "%s is there %u times", text(t->items[i]), listed);
        else if (listed == 0 && (strict || answered[i]))
            problem(
                t, "lost: %s was accepted as entry %" PRIu64 " and is not in the %s list",
                text(t->items[i]), t->items[i]->first[SUBMIT].seq,
                sent ? "sent" : "inbox");
    }
    free(answered);
}

static void send_all_again(struct traffic *t)
{
    for (size_t i = 0; i < t->n_items; i++) {
        if (t->items[i]->round != t->round)
            continue;
        send_submit(t, t->items[i]);
        if (t->items[i]->accept != NULL)
            send_accept(t, t->items[i]);
    }
}

static void settle(struct traffic *t)
{
    look(t, true, false);
    if (t->problems == 0)
        drain(t);
    if (t->problems == 0) {
        send_all_again(t);
        drain(t);
    }
    if (t->problems == 0)
        look(t, true, true);
    if (t->problems == 0)
        look(t, false, true);
}

/* ---------------------------------------------------------------- commands */

static void dump(struct traffic *t, const char *path)
{
    FILE *f = fopen(path, "w");

    if (f == NULL)
        member_die("%s cannot be written", path);
    for (size_t i = 0; i < t->n_items; i++)
        for (int what = SUBMIT; what <= ACCEPT; what++)
            if (t->items[i]->first[what].entry != NULL)
                fprintf(f, "%s %s %" PRIu64 "\n", WHAT[what], text(t->items[i]),
                        t->items[i]->first[what].seq);
    if (fclose(f) != 0)
        member_die("%s cannot be written", path);
}

static void report(const struct traffic *t)
{
    size_t under_way = 0;

    for (size_t i = 0; i < t->n_members; i++)
        under_way += t->members[i].n_flights;
    printf("{\"problems\":%zu,\"made\":%zu,\"submits\":%zu,\"accepts\":%zu,\"under_way\":"
           "%zu,\"late\":%zu,"
           "\"redelivered\":%zu,\"again\":%zu}\n",
           t->problems, t->n_items, t->submits, t->accepts, under_way, t->late,
           t->redelivered, t->again);
    fflush(stdout);
}

static void command(struct traffic *t, char *line)
{
    char *save = NULL, *what = strtok_r(line, " \n", &save),
         *value = strtok_r(NULL, " \n", &save);

    t->problems = 0;
    if (what == NULL)
        member_die("an empty command");
    if (strcmp(what, "broker") == 0 && value != NULL)
        for (size_t i = 0; i < t->n_members; i++)
            member_must(t->members[i].l, liaison_set(t->members[i].l, "broker", value),
                        "broker");
    else if (strcmp(what, "dump") == 0 && value != NULL)
        dump(t, value);
    else if (strcmp(what, "load") == 0)
        load(t);
    else if (strcmp(what, "settle") == 0)
        settle(t);
    else if (strcmp(what, "stop") != 0)
        member_die("no command \"%s\"", what);
    report(t);
}

static void make(struct traffic *t, const char *profiles)
{
    t->members = member_alloc(t->n_members, sizeof *t->members);
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < t->n_members; i++) {
        struct member *m = &t->members[i];
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        char name[NAME];

        member_name(t, i, name);
        m->l = member_new(profiles, name, "");
        m->sends = i < t->n_senders;
        member_must(m->l, liaison_set(m->l, "timeout_ms", "120000"), "timeout_ms");
        if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, liaison_fd(m->l), &event) != 0)
            member_die("epoll_ctl failed");
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};

    if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
        member_die("the input must be a pipe");
}

static void keep(void *item)
{
    (void)item; /* the list of items frees them */
}

static void release(struct traffic *t)
{
    tdestroy(t->by_id, keep);
    for (size_t i = 0; i < t->n_items; i++) {
        liaison_referral_free(t->items[i]->referral);
        liaison_action_free(t->items[i]->accept);
        free(t->items[i]->first[SUBMIT].entry);
        free(t->items[i]->first[ACCEPT].entry);
        free(t->items[i]);
    }
    for (size_t i = 0; i < t->n_members; i++) {
        free(t->members[i].flights);
        liaison_free(t->members[i].l);
    }
    free(t->items);
    free(t->members);
    close(t->epoll);
}

int main(int argc, char *argv[])
{
    struct traffic t = {0};
    char line[1100];

    if (argc != 5)
        member_die("usage: traffic PROFILES SENDERS RECIPIENTS SEED");
    setvbuf(stdin, NULL, _IONBF, 0); /* poll must see what was not read */
    t.n_senders = strtoul(argv[2], NULL, 10);
    t.n_members = t.n_senders + strtoul(argv[3], NULL, 10);
    t.random = strtoull(argv[4], NULL, 10) | 1;
    if (t.n_senders == 0 || t.n_members == t.n_senders)
        member_die("usage: numbers above 0");
    make(&t, argv[1]);
    while (fgets(line, sizeof line, stdin) != NULL)
        command(&t, line);
    release(&t);
    return 0;
}
