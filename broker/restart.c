/* What only a restart changes: the sockets, files and threads that a running broker has already. */
#include <string.h>

#include "broker/broker.h"

typedef bool differs(const struct conf *a, const struct conf *b);

static bool text_differs(const char *a, const char *b)
{
    return (a == NULL) != (b == NULL) || (a != NULL && strcmp(a, b) != 0);
}

static bool listen_differs(const struct conf *a, const struct conf *b)
{
    bool same = a->n_listen == b->n_listen;

    for (size_t i = 0; same && i < a->n_listen; i++)
        same = a->listen[i].port == b->listen[i].port &&
               strcmp(a->listen[i].address, b->listen[i].address) == 0;
    return !same;
}

static bool store_differs(const struct conf *a, const struct conf *b)
{
    return text_differs(a->store_url, b->store_url) ||
           text_differs(a->store_key, b->store_key) || a->map_bytes != b->map_bytes ||
           a->reserve_bytes != b->reserve_bytes;
}

static bool notary_differs(const struct conf *a, const struct conf *b)
{
    return text_differs(a->notary_key, b->notary_key) ||
           text_differs(a->notary_state, b->notary_state) ||
           text_differs(a->notary_user, b->notary_user);
}

static bool witnesses_differ(const struct conf *a, const struct conf *b)
{
    return text_differs(a->witnesses, b->witnesses);
}

static bool control_differs(const struct conf *a, const struct conf *b)
{
    return text_differs(a->control, b->control);
}

static bool user_differs(const struct conf *a, const struct conf *b)
{
    return text_differs(a->user, b->user);
}

static bool gates_differ(const struct conf *a, const struct conf *b)
{
    return a->gates != b->gates;
}

static bool metrics_differ(const struct conf *a, const struct conf *b)
{
    return text_differs(a->metrics, b->metrics);
}

static bool sandbox_differs(const struct conf *a, const struct conf *b)
{
    return a->sandbox != b->sandbox;
}

static bool pkcs11_differs(const struct conf *a, const struct conf *b)
{
    return text_differs(a->pkcs11, b->pkcs11);
}

static bool sessions_differ(const struct conf *a, const struct conf *b)
{
    return a->limits.sessions != b->limits.sessions;
}

static bool lease_differs(const struct conf *a, const struct conf *b)
{
    return a->limits.lease_ms != b->limits.lease_ms;
}

static const struct {
    const char *name;
    differs *differ;
} FIXED[] = {
    {"listen", listen_differs},
    {"store", store_differs},
    {"notary", notary_differs},
    {"witnesses", witnesses_differ},
    {"control", control_differs},
    {"user", user_differs},
    {"gates", gates_differ},
    {"metrics", metrics_differ},
    {"pkcs11", pkcs11_differs},
    {"sandbox", sandbox_differs},
    {"limit sessions", sessions_differ},
    {"limit lease", lease_differs},
};

unsigned restart_needed(const struct conf *started, const struct conf *fresh,
                        restart_name *name, void *arg)
{
    unsigned n = 0;

    for (size_t i = 0; i < sizeof FIXED / sizeof *FIXED; i++)
        if (FIXED[i].differ(started, fresh)) {
            name(arg, FIXED[i].name);
            n++;
        }
    return n;
}
