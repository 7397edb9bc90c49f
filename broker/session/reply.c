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

struct slice reply_welcome(struct arena *a, const struct reply_welcome *w)
{
    Liaison__V1__Limits limits = LIAISON__V1__LIMITS__INIT;
    Liaison__V1__Welcome welcome = LIAISON__V1__WELCOME__INIT;
    Liaison__V1__Frame frame = LIAISON__V1__FRAME__INIT;
    int64_t left = w->not_after_unix - (int64_t)(w->now_unix_ms / 1000);

    limits.message_bytes = w->message_bytes;
    limits.window = w->window;
    limits.sections = w->sections;
    limits.page = w->page;
    limits.burst = w->burst;
    welcome.version = REPLY_VERSION;
    welcome.network = (char *)(uintptr_t)w->network; /* only read */
    welcome.broker = (char *)(uintptr_t)w->broker;
    welcome.limits = &limits;
    welcome.time_unix_ms = w->now_unix_ms;
    welcome.certificate_days = left > 0 ? (uint32_t)(left / 86400) : 0;
    welcome.rule_set =
        (ProtobufCBinaryData){sizeof w->rule_set, (uint8_t *)(uintptr_t)w->rule_set};
    frame.id = w->id;
    frame.body_case = LIAISON__V1__FRAME__BODY_WELCOME;
    frame.welcome = &welcome;
    return arena_pack(a, &frame.base);
}
