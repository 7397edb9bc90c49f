#pragma once
/* Bundles: a log, or a part of it, as plain files that need no broker to be checked.
 *
 *   checkpoint              the signed note, cosignatures with it
 *   tile/L/N[.p/W]          hashes; of level 0 those of the bundle's entries, of the levels above all there are
 *   tile/entries/N[.p/W]    entries: length (2 bytes, big-endian) and bytes, one after the other
 *   rules/HEX               the exact rule texts that the entries cite, by their SHA-256
 *   sealed                  written last: `# liaison/1 bundle from N size N files N`, then a line for each file as sha256sum
 *                           writes it. A folder without it, or with less than it says, was cut short
 *
 * N of a path is three digits a folder, all but the last with an x before them: 1234067 is x001/x234/067.
 * Source: C2SP tlog-tiles v0.1.0; PROTOCOL.md, "Bundles". */
#include "client/audit/source.h"

enum { BUNDLE_PATH_MAX = 96, BUNDLE_NOTE_MAX = 64 << 10, BUNDLE_RULES_MAX = 16 << 20 };

/* ---- bundle_path.c */

/* The path of a tile, and of a page of entries; W is written when width is not full. */
void bundle_tile_path(unsigned level, uint64_t n, unsigned width, char out[BUNDLE_PATH_MAX]);
void bundle_page_path(uint64_t n, unsigned width, char out[BUNDLE_PATH_MAX]);

/* ---- bundle_parse.c: pure */

/* What the first line of `sealed` says. */
struct bundle_seal {
    uint64_t from, size, files;
};

/* Reads `sealed`. Errors: LIAISON_NOT_FOUND (it lists less than it says: cut short), LIAISON_DAMAGED (not such a list). */
MUST_CHECK
enum liaison_code bundle_parse_seal(struct slice text, struct bundle_seal *out);

/* Takes the first `len` bytes of p->room apart into `width` entries.
 * Errors: LIAISON_NOT_FOUND (they end early), LIAISON_DAMAGED (something follows them, or an empty entry). */
MUST_CHECK
enum liaison_code bundle_parse_page(struct source_page *p, size_t len, unsigned width);

/* ---- bundle_read.c */

/* One or more bundles of one log that lie one behind the other, seen as one. */
struct bundle;

/* Opens the bundles in these folders. They may overlap; the one of the largest size says what the tree is.
 *
 * Gives: *out. On error `why` is a sentence.
 * Errors: LIAISON_NOT_FOUND (no bundle, or one that is cut short: entries are missing between them, a file is missing),
 *         LIAISON_DAMAGED (files that cannot be a bundle), LIAISON_IO, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code bundle_open(const char *const *folders, size_t n, struct bundle **out, char *why, size_t why_len);
void bundle_free(struct bundle *b); /* NULL is harmless */

/* What is in them. Borrows: lives as long as b. */
const struct source *bundle_source(const struct bundle *b);

/* How many notes there are, one for each folder, and the i-th; 0 is the one of the largest size. */
size_t bundle_notes(const struct bundle *b);
struct slice bundle_note(const struct bundle *b, size_t i);

/* ---- bundle_write.c */

struct bundle_writer;

/* Begins a bundle of a tree of `size` leaves: entries from `from` (a multiple of 256) on. It is made in FOLDER.part, which may
 * be left from a run that was cut short and is then begun anew; FOLDER must not be there yet.
 * Gives: *out. Errors: LIAISON_FILE (`why` says which file and what), LIAISON_FIELD (from), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code bundle_begin(const char *folder, uint64_t from, uint64_t size, struct bundle_writer **out, char *why,
                               size_t why_len);

/* The parts, in any order: every page from `from` on, every tile (of level 0 from `from` on), the note, rule texts. */
MUST_CHECK
enum liaison_code bundle_put_page(struct bundle_writer *w, uint64_t n, const struct slice *entries, unsigned width);
MUST_CHECK
enum liaison_code bundle_put_tile(struct bundle_writer *w, unsigned level, uint64_t n,
                                  const uint8_t (*hashes)[HASH_BYTES], unsigned width);
MUST_CHECK
enum liaison_code bundle_put_note(struct bundle_writer *w, struct slice note);
MUST_CHECK
enum liaison_code bundle_put_rules(struct bundle_writer *w, const uint8_t id[HASH_BYTES], struct slice text);

/* Writes `sealed`, flushes all of it to the disk, and gives the folder its name; after LIAISON_OK it survives power loss. */
MUST_CHECK
enum liaison_code bundle_seal(struct bundle_writer *w);

/* The same in two steps, so that what was written can be read back first: FOLDER.part is a whole bundle after the one, FOLDER
 * after the other. */
MUST_CHECK
enum liaison_code bundle_close(struct bundle_writer *w);
MUST_CHECK
enum liaison_code bundle_publish(struct bundle_writer *w);

/* FOLDER.part. Borrows: until w is released. */
const char *bundle_part(const struct bundle_writer *w);

/* The sentence about what went wrong. Borrows: until w is released. */
const char *bundle_writer_why(const struct bundle_writer *w);
void bundle_writer_free(struct bundle_writer *w); /* an unsealed bundle stays in FOLDER.part; NULL is harmless */
