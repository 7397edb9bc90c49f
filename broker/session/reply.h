#pragma once
/* The frames that a gate answers itself: Welcome and Error. Each is encoded into the arena; {NULL, 0} when memory is out. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

/* Error under a call's id; with 0 the session ends. `text` NULL: the code's own sentence. */
struct slice reply_error(struct arena *a, uint64_t id, enum liaison_code code,
                         const char *text);

struct reply_welcome {
    uint64_t id;
    const char *network, *broker;
    uint32_t message_bytes, window, sections, page, burst;
    uint64_t now_unix_ms;
    int64_t not_after_unix; /* of the caller's certificate */
    uint8_t rule_set[32];
};

struct slice reply_welcome(struct arena *a, const struct reply_welcome *w);

enum { REPLY_VERSION = 1 }; /* of the protocol; the only one there is */
