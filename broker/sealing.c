/* When members can no longer be sealed to: the end of each one's last published certificate, said before it comes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/ops/log.h"

struct sealing_end {
    char name[ID_NAME_MAX + 1];
    int64_t ends_unix;
    struct expiry said;
    bool ended; /* that has been said too */
};

enum { DAY_S = 24 * 60 * 60, HOUR_S = 60 * 60 };

static const int64_t STEPS[] = {30 * DAY_S, 14 * DAY_S, 7 * DAY_S, DAY_S};

enum liaison_code sealing_read(const struct directory *d, struct sealing *out)
{
    const struct published *p;
    size_t room = 0;

    while (directory_at(d, room) != NULL)
        room++;
    out->n = 0;
    out->list = calloc(room + 1, sizeof *out->list);
    if (out->list == NULL)
        return LIAISON_MEMORY;
    for (size_t i = 0; (p = directory_at(d, i)) != NULL; i++) {
        bool same = out->n > 0 && strcmp(out->list[out->n - 1].name, p->name) == 0;
        struct sealing_end *e = &out->list[same ? out->n - 1 : out->n++];

        if (!same) {
            snprintf(e->name, sizeof e->name, "%s", p->name);
            e->said.steps = STEPS;
            e->said.n_steps = sizeof STEPS / sizeof *STEPS;
        }
        if (!same || p->not_after_unix > e->ends_unix)
            e->ends_unix = p->not_after_unix;
    }
    return LIAISON_OK;
}

void sealing_free(struct sealing *s)
{
    free(s->list);
    *s = (struct sealing){0};
}

void sealing_follow(struct sealing *fresh, const struct sealing *was)
{
    for (size_t i = 0, k = 0; i < fresh->n; i++) { /* both in order of names */
        struct sealing_end *e = &fresh->list[i];

        while (k < was->n && strcmp(was->list[k].name, e->name) < 0)
            k++;
        if (k == was->n || strcmp(was->list[k].name, e->name) != 0 ||
            was->list[k].ends_unix != e->ends_unix)
            continue;
        e->said = was->list[k].said;
        e->ended = was->list[k].ended;
    }
}

int64_t sealing_first(const struct sealing *s)
{
    int64_t first = 0;

    for (size_t i = 0; i < s->n; i++)
        if (first == 0 || s->list[i].ends_unix < first)
            first = s->list[i].ends_unix;
    return first;
}

static void say(struct sealing_end *e, int64_t left, int64_t *next)
{
    switch (expiry_look(&e->said, left, next)) {
    case EXPIRY_ENDED:
        if (!e->ended)
            log_error("key.ended", "agency=%s what=\"%s\"", e->name,
                      "its last published sealing certificate has ended: nobody can seal "
                      "anything to it");
        e->ended = true;
        *next = HOUR_S;
        break;
    case EXPIRY_SOON:
        log_warn("key.ends", "agency=%s in_s=%lld what=\"%s\"", e->name, (long long)left,
                 "its last published sealing certificate ends soon: its registrar "
                 "publishes a new one");
        break;
    case EXPIRY_QUIET:
        break;
    }
}

int64_t sealing_mind(struct sealing *s, int64_t now_unix)
{
    int64_t first = HOUR_S, next;

    for (size_t i = 0; i < s->n; i++) {
        say(&s->list[i], s->list[i].ends_unix - now_unix, &next);
        first = next < first ? next : first;
    }
    return first;
}
