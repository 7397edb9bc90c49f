/* witness: checks that the broker's log only grows, and cosigns its checkpoint.
 *
 *     PROFILE/witness.key      PRIVATE+KEY+..., Ed25519, 0600
 *     PROFILE/witness.state    the last checkpoint that was cosigned; on disk before a cosignature is given
 *
 * A request is what C2SP tlog-witness puts into an HTTP body: "old SIZE", the proof of growth in base64, an empty
 * line, the note. So the key may live where there is no network. Source: PROTOCOL.md, "Witnesses"; C2SP tlog-witness
 * v1.0.0. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "client/cli/cli.h"
#include "client/lib/disk.h"
#include "client/lib/evidence.h"
#include "proto/base64.h"
#include "proto/note.h"

enum { REQUEST_MAX = NOTE_BYTES_MAX + MERKLE_PROOF_MAX * 45 + 64 };

/* What a witness is asked to cosign. */
struct request {
    uint64_t old;
    uint8_t proof[MERKLE_PROOF_MAX * HASH_BYTES];
    size_t proof_n;
    struct slice note;
};

/* A note as the policy judged it. */
struct judged {
    struct checkpoint checkpoint;
    struct slice note;
};

static const char *path_of(struct cli *c, const char *file)
{
    const char *path = profile_path(&c->profile, file, c->arena);

    return path != NULL ? path : "";
}

/* ---------------------------------------------------------------- key */

static int init(struct cli *c, const char *name)
{
    const char *path = path_of(c, "witness.key");
    const char *own = c->profile.agency != NULL ? c->profile.agency : c->profile.auditor;
    struct note_signer signer = {0};
    char text[NOTE_SIGNER_TEXT_MAX + 1] = "", key[NOTE_KEY_TEXT_MAX];
    struct hash *h = hash_new();
    int status = 0;

    if (name == NULL)
        name = cli_text(c, "%s/%s", c->profile.network, own);
    enum liaison_code code =
        h == NULL ? LIAISON_MEMORY : note_signer_make(h, name, NOTE_COSIGNATURE, &signer);

    if (code != LIAISON_OK) {
        status = cli_fail(
            code, "'%s' cannot be a witness's name: it has no space and no '+'", name);
    } else {
        note_signer_print(&signer, text);
        note_key_print(&signer.key, key);
        strcat(text, "\n");
        if (files_write_new(path, slice_text(text), &status)) /* never over another key */
            printf("witness %s %s\n", own, key);
    }
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(&signer, sizeof signer);
    hash_free(h);
    return status;
}

static bool load_key(struct cli *c, struct note_signer *out, int *status)
{
    const char *path = path_of(c, "witness.key");
    uint8_t *text = NULL;
    size_t n = 0;
    struct stat st;
    enum liaison_code code = disk_read(path, NOTE_SIGNER_TEXT_MAX + 2, &text, &n);

    if (code == LIAISON_NOT_FOUND)
        *status = cli_fail(LIAISON_FILE,
                           "%s is not there; 'liaison witness init' makes it", path);
    else if (code != LIAISON_OK)
        *status = cli_fail(code, "%s: %s", path, strerror(errno));
    else if (stat(path, &st) != 0 || (st.st_mode & 077) != 0)
        *status = cli_fail(code = LIAISON_PERMISSION,
                           "%s: others may read this key; run: chmod 600 %s", path, path);
    if (code == LIAISON_OK) {
        if (n > 0 && text[n - 1] == '\n')
            text[n - 1] = '\0';
        code = note_signer_parse((const char *)text, out);
        if (code != LIAISON_OK || out->key.type != NOTE_COSIGNATURE)
            *status =
                cli_fail(code = LIAISON_CONFIG, "%s is not the key of a witness", path);
    }
    if (text != NULL)
        OPENSSL_cleanse(text, n);
    free(text);
    return code == LIAISON_OK;
}

/* ---------------------------------------------------------------- notes and requests */

static bool judge(struct cli *c, struct slice note, const char *what, struct judged *out,
                  int *status)
{
    struct note parsed;
    uint64_t size, quorum_s;
    uint8_t root[HASH_BYTES];
    size_t witnesses;
    enum liaison_code code =
        liaison_log_judge(c->lib, note.p, note.n, &size, root, &witnesses, &quorum_s);

    if (code != LIAISON_OK) {
        *status = cli_fail(code, "%s: %s", what, liaison_errmsg(c->lib));
        return false;
    }
    out->note = note;
    if (note_parse(note, &parsed) == LIAISON_OK &&
        checkpoint_parse(parsed.text, &out->checkpoint) == LIAISON_OK)
        return true;
    *status =
        cli_fail(LIAISON_INTERNAL, "%s: a note that was judged cannot be read", what);
    return false;
}

/* The next line, without its end, off the front. */
static struct slice line_of(struct slice *text)
{
    const uint8_t *end = text->n == 0 ? NULL : memchr(text->p, '\n', text->n);
    size_t n = end == NULL ? text->n : (size_t)(end - text->p);
    struct slice line = slice(text->p, n);

    *text = end == NULL ? slice(NULL, 0) : slice(end + 1, text->n - n - 1);
    return line;
}

static bool number_of(struct slice digits, uint64_t *out)
{
    char text[21];

    if (digits.n == 0 || digits.n >= sizeof text || (digits.p[0] == '0' && digits.n > 1))
        return false;
    memcpy(text, digits.p, digits.n);
    text[digits.n] = '\0';
    if (text[strspn(text, "0123456789")] != '\0')
        return false;
    errno = 0;
    *out = strtoull(text, NULL, 10);
    return errno == 0;
}

/* A request, or a note alone, which asks from nothing. */
static bool read_request(struct slice text, struct request *out)
{
    struct slice rest = text, line = line_of(&rest);

    *out = (struct request){.note = text};
    if (line.n < 4 || memcmp(line.p, "old ", 4) != 0)
        return true;
    if (!number_of(slice(line.p + 4, line.n - 4), &out->old))
        return false;
    while (rest.n > 0 && (line = line_of(&rest)).n > 0) {
        size_t n = 0;

        if (out->proof_n == sizeof out->proof ||
            !base64_decode(line, out->proof + out->proof_n, HASH_BYTES, &n) ||
            n != HASH_BYTES)
            return false;
        out->proof_n += n;
    }
    out->note = rest;
    return rest.n > 0;
}

/* ---------------------------------------------------------------- cosigning */

/* Does what we are asked to cosign extend what we have cosigned? */
static bool extends(struct cli *c, struct hash *h, const struct judged *state,
                    const struct judged *now, const struct request *q, int *status)
{
    const struct checkpoint *a = &state->checkpoint, *b = &now->checkpoint;
    const char *fork = path_of(c, "log.fork");

    if (strcmp(a->origin, b->origin) != 0) {
        *status =
            cli_fail(LIAISON_FORK,
                     "%s is another log than %s, which this witness watches: make a new "
                     "state (move %s aside) once its "
                     "first entry was seen to name the last checkpoint of the old one",
                     b->origin, a->origin, path_of(c, "witness.state"));
        return false;
    }
    if (b->size > a->size && q->old != a->size) {
        *status = cli_fail(LIAISON_STALE,
                           "it was asked from %llu entries on, and this witness has "
                           "cosigned %llu: liaison witness request %llu",
                           (unsigned long long)q->old, (unsigned long long)a->size,
                           (unsigned long long)a->size);
        return false;
    }
    if (merkle_check_growth(h, a->size, a->root, b->size, b->root,
                            b->size == a->size ? slice(NULL, 0)
                                               : slice(q->proof, q->proof_n)))
        return true;
    bool kept = evidence_keep(fork, (int64_t)time(NULL), state->note, now->note,
                              slice(q->proof, q->proof_n));

    *status = cli_fail(LIAISON_FORK,
                       "the log does not extend what this witness has cosigned (%llu "
                       "entries then, %llu now): nothing was signed%s%s; "
                       "show this to the network's auditor",
                       (unsigned long long)a->size, (unsigned long long)b->size,
                       kept ? ", both notes are in " : "", kept ? fork : "");
    return false;
}

/* What was cosigned last. state->note.p NULL: nothing yet. */
static bool read_state(struct cli *c, struct judged *state, int *status)
{
    const char *path = path_of(c, "witness.state");
    struct slice bytes = {0};

    *state = (struct judged){0};
    if (access(path, F_OK) != 0 && errno == ENOENT)
        return true;
    return files_read(c, path, NOTE_BYTES_MAX, &bytes, status) &&
           judge(c, bytes, path, state, status);
}

/* The note with our cosignature; in c->arena. It is the state before it is given. */
static bool cosign_locked(struct cli *c, struct hash *h, const struct note_signer *signer,
                          const struct request *q, struct slice *out, int *status)
{
    struct judged state, now;
    struct note parsed;
    char line[NOTE_LINE_MAX];
    size_t line_n = 0;

    if (!judge(c, q->note, "what is to be cosigned", &now, status) ||
        !read_state(c, &state, status))
        return false;
    if (state.note.p == NULL)
        fprintf(stderr,
                "liaison: this witness has seen nothing before: it takes the log of %llu "
                "entries as it is\n",
                (unsigned long long)now.checkpoint.size);
    else if (!extends(c, h, &state, &now, q, status))
        return false;
    enum liaison_code code = note_parse(q->note, &parsed);

    if (code == LIAISON_OK)
        code = note_sign(signer, parsed.text, (uint64_t)time(NULL), line, &line_n);
    uint8_t *bytes =
        code == LIAISON_OK ? arena_alloc(c->arena, q->note.n + line_n) : NULL;

    if (bytes == NULL) {
        *status = cli_fail(LIAISON_INTERNAL, "the cosignature could not be made");
        return false;
    }
    memcpy(bytes, q->note.p, q->note.n);
    memcpy(bytes + q->note.n, line, line_n);
    *out = slice(bytes, q->note.n + line_n);
    if (disk_replace(path_of(c, "witness.state"), *out) == LIAISON_OK)
        return true;
    *status =
        cli_fail(LIAISON_FILE, "%s: %s", path_of(c, "witness.state"), strerror(errno));
    return false;
}

/* One at a time, whoever else runs. */
static bool cosign(struct cli *c, const struct request *q, struct slice *out, int *status)
{
    struct note_signer signer = {0};
    struct hash *h = hash_new();
    bool ok = false;

    if (h == NULL) {
        *status = cli_no_memory();
    } else if (load_key(c, &signer, status)) {
        int lock = disk_lock(path_of(c, "witness.state"));

        ok = cosign_locked(c, h, &signer, q, out, status);
        disk_unlock(lock);
    }
    OPENSSL_cleanse(&signer, sizeof signer);
    hash_free(h);
    return ok;
}

/* ---------------------------------------------------------------- asking the broker */

/* The broker's newest checkpoint, and that it extends `old`. Borrows from *answer. */
static bool fetch(struct cli *c, uint64_t old, struct request *out,
                  struct liaison_answer **answer, int *status)
{
    enum liaison_code code = liaison_prove(c->lib, NULL, 0, old, 0, answer);

    if (code == LIAISON_NOT_FOUND &&
        old !=
            0) { /* its log is smaller than what was cosigned: that is to be looked at */
        liaison_answer_free(*answer);
        *answer = NULL;
        old = 0;
        code = liaison_prove(c->lib, NULL, 0, old, 0, answer);
    }
    const Liaison__V1__Frame *f = code == LIAISON_OK ? cli_frame(c, *answer) : NULL;

    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    if (f == NULL || f->body_case != LIAISON__V1__FRAME__BODY_PROOF ||
        f->proof->consistency.len > sizeof out->proof) {
        if (code == LIAISON_OK)
            *status = cli_fail(LIAISON_MALFORMED, "the broker's proof cannot be read");
        return false;
    }
    *out = (struct request){
        .old = old, .note = slice(f->proof->checkpoint.data, f->proof->checkpoint.len)};
    if (old != 0 && f->proof->consistency.len > 0) { /* from nothing anything follows */
        memcpy(out->proof, f->proof->consistency.data, f->proof->consistency.len);
        out->proof_n = f->proof->consistency.len;
    }
    return true;
}

static int hand_in(struct cli *c, struct slice note)
{
    enum liaison_code code = liaison_cosign(c->lib, note.p, note.n);

    return code == LIAISON_OK ? 0 : cli_lib_fail(c, code);
}

/* Fetch, check, cosign, hand in. */
static int witness(struct cli *c)
{
    struct liaison_answer *a = NULL;
    struct judged state, now;
    struct request q;
    struct slice note = {0};
    int status = 0;

    if (!read_state(c, &state, &status))
        return status;
    if (fetch(c, state.note.p == NULL ? 0 : state.checkpoint.size, &q, &a, &status) &&
        cosign(c, &q, &note, &status))
        status = hand_in(c, note);
    if (status == 0 && judge(c, note, "what was cosigned", &now, &status))
        printf("cosigned %s at %llu entries\n", now.checkpoint.origin,
               (unsigned long long)now.checkpoint.size);
    liaison_answer_free(a);
    return status;
}

static int print_request(struct cli *c, const char *size)
{
    struct liaison_answer *a = NULL;
    struct request q;
    char line[BASE64_LEN(HASH_BYTES) + 1];
    uint64_t old = 0;
    int status = 0;

    if (size == NULL || !number_of(slice_text(size), &old))
        return cli_fail(
            LIAISON_USAGE,
            "from how many entries on? what the witness has cosigned last, 0 if nothing");
    if (fetch(c, old, &q, &a, &status)) {
        printf("old %llu\n", (unsigned long long)q.old);
        for (size_t i = 0; i < q.proof_n; i += HASH_BYTES) {
            base64_encode(slice(q.proof + i, HASH_BYTES), line);
            puts(line);
        }
        putchar('\n');
        fwrite(q.note.p, 1, q.note.n, stdout);
    }
    liaison_answer_free(a);
    return status;
}

/* ---------------------------------------------------------------- by file */

static int sign_file(struct cli *c, const char *path)
{
    struct slice text = {0}, note = {0};
    struct request q;
    int status = 0;

    if (!files_read(c, path, REQUEST_MAX, &text, &status))
        return status;
    if (!read_request(text, &q))
        return cli_fail(LIAISON_MALFORMED,
                        "%s: neither a request to a witness nor a signed note", path);
    if (cosign(c, &q, &note, &status))
        fwrite(note.p, 1, note.n, stdout);
    return status;
}

static int hand_in_file(struct cli *c, const char *path)
{
    struct slice note = {0};
    int status = 0;

    return files_read(c, path, NOTE_BYTES_MAX, &note, &status) ? hand_in(c, note)
                                                               : status;
}

int cmd_witness(struct cli *c, int argc, char **argv)
{
    const char *word = argc > 0 ? argv[0] : "", *argument = argc > 1 ? argv[1] : NULL;
    int status;

    if (strcmp(word, "init") == 0)
        return cli_profile(c, &status) ? init(c, argument) : status;
    if (!cli_open_any(c, &status))
        return status;
    if (!liaison_log_on(c->lib))
        return cli_fail(LIAISON_CONFIG, "a witness must know the log's key: put its "
                                        "policy in with 'liaison enrol --policy FILE'");
    if (argc == 0)
        return witness(c);
    if (strcmp(word, "request") == 0)
        return print_request(c, argument);
    if (argument != NULL && strcmp(word, "sign") == 0)
        return sign_file(c, argument);
    if (argument != NULL && strcmp(word, "hand-in") == 0)
        return hand_in_file(c, argument);
    return cli_fail(LIAISON_USAGE, "witness, witness init [NAME], witness request SIZE, "
                                   "witness sign PATH, or witness hand-in PATH");
}
