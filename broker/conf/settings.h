#pragma once
/* The tables of settings and limits. Private to broker/conf. */
#include "broker/conf/conf.h"
#include "broker/conf/tree.h"

/* The name of setting number i, NULL past the last. */
const char *settings_name(size_t i);

/* Takes every setting of the tree into *c, which lives in the tree's arena. `source` is where missing ones are missed.
 * Errors go to the report. */
void settings_take(struct tree *t, const struct conf_source *source, struct conf *c);

/* A path as a file that names it means it: absolute, or relative to that file. NULL: out of memory, reported. */
const char *settings_path(struct tree *t, const struct conf_source *from,
                          const char *path);
