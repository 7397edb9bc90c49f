#pragma once
/* Recipients on disk: what the broker's directory said about an agency, so that a referral can be sealed while the
 * broker cannot be reached. Nothing in it is trusted: a certificate is checked each time it is used, against the
 * revocation lists of that moment. */
#include "liaison-codes.h"
#include "proto/arena.h"
#include "proto/liaison.pb-c.h"

struct liaison;

/* Writes the agency's line of the directory into the folder of the setting "recipients", which is made if need be;
 * a place that cannot be written keeps what it has. Nothing to do without that setting. */
void kept_write(struct liaison *l, const Liaison__V1__Agency *agency);

/* What was kept about `agency`, in `a`. NULL: nothing that can be read, or no such setting. */
const Liaison__V1__Agency *kept_read(struct liaison *l, const char *agency,
                                     struct arena *a);
