#pragma once
/* The files of a run: the one that is named first, and what those that are read name in their turn. Private to broker/conf. */
#include <sys/types.h>

#include "broker/conf/conf.h"
#include "broker/conf/tree.h"

enum {
    SOURCES_MAX = 1024,            /* of one run */
    SOURCES_DEPTH_MAX = 8,         /* an included file that includes one, and so on */
    SOURCES_BYTES_MAX = 64 << 20,  /* of all of them */
};

struct source_file {
    struct conf_source source; /* first, so that who has the source has the file */
    unsigned depth;
    dev_t device;
    ino_t inode;
};

struct sources {
    struct tree *tree;
    struct source_file **list; /* in the order read */
    size_t n, room, bytes;
    struct conf_read *read_again; /* what a reload will look at */
    size_t n_read_again, read_again_room;
    bool unreadable; /* one of them */
};

/* Takes a text for a file. NULL: memory is out, or something in it cannot be text; reported. */
const struct conf_source *sources_add(struct sources *f, const char *name, const char *base,
                                    struct slice text);

/* Reads a file as the next source. `named_at` is where its name stands, if it stands in a file; `base` (NULL: the
 * last part of the path) is what rules show. NULL: it could not be read, or is read already; reported. */
const struct conf_source *sources_read(struct sources *f, const char *path, const char *base,
                                     struct place named_at);

/* Reads into the tree whatever its `include` statements name, and what that names, until there is no more. */
void sources_include(struct sources *f);

/* The texts of the files from number `first` on, as a set is named and kept: each but the first behind a line
 * "# included: NAME". NULL: memory is out, reported. */
const struct slice *sources_texts(struct sources *f, bool with_first, size_t *n);

/* Takes a kept text apart again and reads all of it into the tree. False: reported. */
bool sources_read_kept(struct sources *f, struct slice text);
