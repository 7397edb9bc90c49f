#pragma once
/* What a gate answers itself: Error, encoded; and its part of Welcome, which the core completes. In the arena; {NULL, 0} or NULL
 * when memory is out. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

/* Error under a call's id; with 0 the session ends. `text` NULL: the code's own sentence. */
struct slice reply_error(struct arena *a, uint64_t id, enum liaison_code code,
                         const char *text);

struct reply_welcome {
    const char *network, *broker;
    uint32_t message_bytes, window, sections, page, burst;
    uint64_t now_unix_ms;
    int64_t not_after_unix; /* of the caller's certificate */
    uint8_t rule_set[32];
};

Liaison__V1__Welcome *reply_welcome(struct arena *a, const struct reply_welcome *w);

enum { REPLY_VERSION = 1 }; /* of the protocol; the only one there is */
