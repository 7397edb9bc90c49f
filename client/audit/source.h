#pragma once
/* Where a verifier gets entries and hashes from: bundles (bundle.h), or a broker. Whoever checks does not know which.
 *
 * Hashes come as C2SP tiles: tile (level, n) holds the hashes of the complete subtrees of 256^level leaves, from number n * 256 on,
 * at most 256 of them. Tile (0, n) are the leaf hashes of page n of entries. Source: C2SP tlog-tiles v0.1.0. */
#include "liaison-codes.h"
#include "proto/hash.h"

enum {
    SOURCE_WIDTH = 256,  /* of a full tile, and entries of a full page */
    SOURCE_LEVELS = 8,   /* 256^8 leaves are more than there can be */
    SOURCE_ENTRY_MAX = 65535,
};

/* The entries of one page, and the memory they lie in. Begin with {0}; one thread's. */
struct source_page {
    unsigned n;
    struct slice entry[SOURCE_WIDTH];
    uint8_t *room; /* whoever fills it may enlarge it; release with free() */
    size_t room_len;
};

/* All calls from any thread. What is wrong with what is there is said by the code:
 *   LIAISON_NOT_FOUND  it is missing, or ends too early: what was sealed was more
 *   LIAISON_DAMAGED    it is there and cannot be this: too long, or of no form
 *   LIAISON_IO, LIAISON_MEMORY  it cannot be told */
struct source {
    void *arg;
    uint64_t from; /* the first entry there is; a multiple of SOURCE_WIDTH */
    uint64_t size; /* of the tree: the checkpoint's */

    /* `width` hashes of tile (level, n); width is what source_width() says. Of level 0 only from `from` on. */
    enum liaison_code (*tile)(void *arg, unsigned level, uint64_t n, unsigned width,
                              uint8_t (*out)[HASH_BYTES]);

    /* The `width` entries of page n. The byte before each entry is the page's own and may be overwritten. An entry that whoever
     * asks may not read has p NULL; a bundle has all. */
    enum liaison_code (*page)(void *arg, uint64_t n, unsigned width, struct source_page *out);

    /* The rule text of this SHA-256, as it lies there: whether it is that text is the caller's to check.
     * Gives: *text, to be released with free(). */
    enum liaison_code (*rules)(void *arg, const uint8_t id[HASH_BYTES], uint8_t **text, size_t *len);
};

/* How many hashes tile (level, n) of a tree of `size` leaves has; 0: there is no such tile. */
static inline unsigned source_width(uint64_t size, unsigned level, uint64_t n)
{
    uint64_t all = level < SOURCE_LEVELS ? size >> 8 * level : 0;

    if (n > all / SOURCE_WIDTH)
        return 0;
    uint64_t left = all - n * SOURCE_WIDTH;

    return left < SOURCE_WIDTH ? (unsigned)left : SOURCE_WIDTH;
}
