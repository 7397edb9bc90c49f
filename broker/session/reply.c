#include "broker/session/reply.h"

#include "proto/err.h"

struct slice reply_error(struct arena *a, uint64_t id, enum liaison_code code,
                         const char *text)
{
    Liaison__V1__Error error = LIAISON__V1__ERROR__INIT;
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;

    error.code = (Liaison__V1__Code)code;
    error.text =
        (char *)(uintptr_t)(text != NULL ? text : err_text(code)); /* only read */
    frame.id = id;
    frame.body_case = LIAISON__V1__FRAME__BODY_ERROR;
    frame.error = &error;
    return arena_pack(a, &frame.base);
}

Liaison__V1__Welcome *reply_welcome(struct arena *a, const struct reply_welcome *w)
{
    Liaison__V1__Welcome *welcome = arena_alloc(a, sizeof *welcome);
    Liaison__V1__Limits *limits = arena_alloc(a, sizeof *limits);
    int64_t left = w->not_after_unix - (int64_t)(w->now_unix_ms / 1000);

    if (welcome == NULL || limits == NULL)
        return NULL;
    liaison__v1__welcome__init(welcome);
    liaison__v1__limits__init(limits);
    limits->message_bytes = w->message_bytes;
    limits->window = w->window;
    limits->sections = w->sections;
    limits->page = w->page;
    limits->burst = w->burst;
    welcome->version = REPLY_VERSION;
    welcome->network = (char *)(uintptr_t)w->network; /* only read */
    welcome->broker = (char *)(uintptr_t)w->broker;
    welcome->limits = limits;
    welcome->time_unix_ms = w->now_unix_ms;
    welcome->certificate_days = left > 0 ? (uint32_t)(left / 86400) : 0;
    welcome->rule_set.data = arena_copy(a, slice(w->rule_set, sizeof w->rule_set));
    welcome->rule_set.len = sizeof w->rule_set;
    return welcome->rule_set.data == NULL ? NULL : welcome;
}
