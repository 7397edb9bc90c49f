#pragma once
/* What operators ask of a running broker, by the operators' socket: the commands' table, and how the core's answers come
 * back. */
#include "broker/core/call.h"
#include "broker/ops/control.h"

struct broker;

enum { OPERATE_ERASE_MIN_DIGITS = 8 }; /* of an id that is not given whole */

struct operate {
    struct control *control; /* NULL: the settings name none */
    void *core;              /* main's pair with it */
    struct broker *broker;
};

/* Opens the socket that the broker's settings name. On error `why` is a sentence. Errors: those of control_open. */
MUST_CHECK
enum liaison_code operate_open(struct operate *o, struct broker *b, char *why, size_t why_len);

/* The core's answer to a call that a command has sent it. Takes the call. */
void operate_answer(struct operate *o, struct call *c);

/* Reads `BASIS OFFICER FROM/ID...` into a call's arena. NULL: it is not that, and *why is a sentence. For operate.c and
 * tests. */
struct erase *operate_read_erase(struct arena *a, char *words, const char **why);
