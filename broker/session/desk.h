#pragma once
/* The gate's desk: its lists of sessions, the chain of calls for the core, the count of strangers. */
#include "broker/session/inside.h"

/* Takes the first session off a list; NULL if it is empty. */
struct session *desk_first(struct gate *g, enum session_list which);

/* Frees the sessions that are over. */
void desk_free_the_dead(struct gate *g);

/* Hands the chain over as one message. A full pipe keeps it; nobody is read then, until the core has room. */
void desk_send(struct gate *g);

/* Tells what strangers were counted since and are due; everything when `all`. Returns when to look again. */
int64_t desk_strangers(struct gate *g, bool all);
