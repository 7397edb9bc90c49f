#pragma once
/* Runs the tests of a rules file. Private to broker/conf.
 *
 * A test speaks of every question that it leaves open: of any purpose where it names none, and so on. It fails by one question
 * that is decided otherwise. Left out of this are the size (none is 0 bytes), the day (none: as if no date had come), and the
 * sections (none are sent; `expect sections` without any sends all that rules name). */
#include "broker/conf/tree.h"

/* Runs every test that is not broken, reports what fails, and notes in each how it went. */
void trials_run(struct tree *t, const struct rules *r);
