#pragma once
/* The gate's door: takes connections off the listeners, within the caps. */
#include "broker/session/inside.h"

/* Watches the listeners, or not, as the number of handshakes, descriptors and stopping allow. Call once a turn. */
void door_mind(struct gate *g);

/* When door_mind has something to do at the latest, if nothing happens before; INT64_MAX: never. */
int64_t door_wakes_ms(const struct gate *g);

/* Accepts what waits on a listener. */
void door_accept(struct gate *g, int listener);

/* The slot of a session is free again, its address counts one less. */
void door_left(struct session *s);

/* The session under that number, or NULL if it is over. */
struct session *door_find(const struct gate *g, uint64_t number);
