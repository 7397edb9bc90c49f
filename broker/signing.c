/* The notary: the process that holds the log's key, and the witnesses of what it signs. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "proto/err.h"

enum { NOTARY_MS = 10000, FIRST_LOG = 1 };

struct notary_place signing_place(const struct conf *c, const char *origin)
{
    return (struct notary_place){
        .settings = {.key_file = c->notary_key,
                     .state_file = c->notary_state,
                     .origin = origin,
                     .user = c->notary_user != NULL ? c->notary_user : c->user},
        .policy = c->witnesses};
}

/* Our log's key counts in the policy, whatever the file says of it. */
static enum liaison_code load_witnesses(struct broker *b, char *why, size_t why_len)
{
    struct notary_answer *a = malloc(sizeof *a);
    enum liaison_code code = a == NULL ? LIAISON_MEMORY : notary_ask_status(b->notary);

    if (code == LIAISON_OK)
        code = notary_wait(b->notary, NOTARY_MS, a);
    if (code == LIAISON_OK)
        code =
            notary_policy(b->conf.witnesses, &a->status.key, &b->witnesses, why, why_len);
    else
        snprintf(why, why_len, "the notary does not answer: %s", err_text(code));
    free(a);
    return code;
}

enum liaison_code signing_start(struct broker *b, char *why, size_t why_len)
{
    char origin[NOTE_NAME_MAX + 1];
    int fd, prefix = snprintf(origin, sizeof origin, "%s/%s",
                              rules_network(b->now.conf.rules), b->now.self.name);
    const struct notary_place place = signing_place(&b->conf, origin);
    enum liaison_code code = LIAISON_OK;

    if (prefix < 0 || (size_t)prefix > sizeof origin - sizeof "/4294967295") {
        snprintf(why, why_len, "network and broker's name are too long for a log's name");
        return LIAISON_CONFIG;
    }
    if (b->newlog.path != NULL)
        code = newlog_prepare(&b->newlog, &b->conf, &place.settings, origin,
                              privilege_drop, why, why_len);
    snprintf(origin + prefix, sizeof origin - (size_t)prefix, "/%d", FIRST_LOG);
    if (code == LIAISON_OK)
        code = notary_start(&place.settings, &fd, &b->notary_pid, why, why_len);
    if (code != LIAISON_OK)
        return code;
    b->notary = notary_new(fd);
    if (b->notary == NULL) {
        close(fd);
        return LIAISON_MEMORY;
    }
    return b->conf.witnesses == NULL ? LIAISON_OK : load_witnesses(b, why, why_len);
}

void signing_end(struct broker *b)
{
    notary_free(b->notary);
    note_policy_free(b->witnesses);
    if (b->notary_pid > 0)
        waitpid(b->notary_pid, NULL, 0);
}
