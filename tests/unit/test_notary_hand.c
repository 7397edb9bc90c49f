/* What an operator does by hand: show, adopt, rotate, renew; each of them killed at every step. */
#include "tests/unit/notary_rig.h"

#include <dirent.h>

enum { NOW_S = 1800000000, WITNESSES = 3 };

/* A rig whose notary has signed 3 and then 5 leaves and has ended; `last` is its note. */
struct hand {
    struct rig *rig;
    struct note_signer witness[WITNESSES];
    uint8_t last[NOTARY_NOTE_MAX + WITNESSES * NOTE_LINE_MAX];
    size_t last_len;
};

static void begin(struct hand *h)
{
    struct rig *r = h->rig;

    rig_empty(r);
    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK);
    assert_int_equal(sign(r, &r->log, 3, 5), LIAISON_OK);
    memcpy(h->last, r->answer.note, r->answer.note_len);
    h->last_len = r->answer.note_len;
    rig_stop(r);
}

static int hand_make(void **state)
{
    struct hand *h = test_calloc(1, sizeof *h);
    void *rig;
    char name[32];

    rig_make(&rig);
    h->rig = rig;
    for (int i = 0; i < WITNESSES; i++) {
        snprintf(name, sizeof name, "witness.example/%d", i);
        assert_int_equal(
            note_signer_make(h->rig->h, name, NOTE_COSIGNATURE, &h->witness[i]),
            LIAISON_OK);
    }
    begin(h);
    *state = h;
    return 0;
}

static int hand_drop(void **state)
{
    struct hand *h = *state;
    void *rig = h->rig;

    rig_drop(&rig);
    test_free(h);
    return 0;
}

/* Adds a witness's line to the last note. */
static void cosign(struct hand *h, int witness)
{
    struct note note;
    size_t n;

    assert_int_equal(note_parse(slice(h->last, h->last_len), &note), LIAISON_OK);
    assert_int_equal(note_sign(&h->witness[witness], note.text, NOW_S,
                               (char *)h->last + h->last_len, &n),
                     LIAISON_OK);
    h->last_len += n;
}

/* The log's key, the witnesses, and what is wanted of them. */
static struct note_policy *policy(const struct hand *h, const struct note_key *log,
                                  const char *quorum)
{
    char text[4096], key[NOTE_KEY_TEXT_MAX], why[256];
    int n;
    struct note_policy *p = NULL;

    note_key_print(log, key);
    n = snprintf(text, sizeof text, "log %s\n", key);
    for (int i = 0; i < WITNESSES; i++) {
        note_key_print(&h->witness[i].key, key);
        n += snprintf(text + n, sizeof text - (size_t)n, "witness w%d %s\n", i, key);
    }
    snprintf(text + n, sizeof text - (size_t)n, "group two 2 w0 w1 w2\nquorum %s\n",
             quorum);
    if (note_policy_parse(slice_text(text), &p, why, sizeof why) != LIAISON_OK)
        fail_msg("%s in:\n%s", why, text);
    return p;
}

static const struct notary_status *look(struct rig *r)
{
    enum liaison_code code =
        notary_look(&r->settings, &r->answer.status, r->why, sizeof r->why);

    if (code != LIAISON_OK)
        fail_msg("code %d: %s", code, r->why);
    return &r->answer.status;
}

static void what_the_files_say_is_shown_while_the_notary_runs_too(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;

    assert_int_equal(look(r)->size, 5);
    must_start(r);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
    assert_true(look(r)->has_state);
    assert_int_equal(look(r)->size, 8);
    assert_memory_equal(look(r)->root, r->log.root[8], HASH_BYTES);
    assert_string_equal(look(r)->key.name, ORIGIN);
    rig_stop(r);
    assert_int_equal(unlink(r->state), 0);
    assert_false(look(r)->has_state);
    assert_int_not_equal(access(r->state, F_OK), 0); /* showing makes nothing */
    rig_empty(r);
    assert_int_equal(notary_look(&r->settings, &r->answer.status, r->why, sizeof r->why),
                     LIAISON_CONFIG);
    assert_int_not_equal(access(r->key, F_OK), 0);
}

/* ------------------------------------------------------------ adopt */

static enum liaison_code adopt(struct hand *h, const char *quorum)
{
    struct rig *r = h->rig;
    struct note_policy *p = policy(h, &look(r)->key, quorum);
    enum liaison_code code = notary_adopt(&r->settings, p, slice(h->last, h->last_len),
                                          NOW_S, r->why, sizeof r->why);

    note_policy_free(p);
    return code;
}

static void a_lost_state_is_made_again_from_what_a_quorum_has_seen(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;

    assert_int_equal(unlink(r->state), 0);
    assert_int_equal(adopt(h, "two"), LIAISON_SIGNATURE);
    cosign(h, 0);
    assert_int_equal(adopt(h, "two"), LIAISON_SIGNATURE);
    assert_non_null(strstr(r->why, "no quorum"));
    assert_int_not_equal(access(r->state, F_OK), 0);
    cosign(h, 2);
    assert_int_equal(adopt(h, "two"), LIAISON_OK);
    must_start(r);
    assert_int_equal(status(r)->size, 5);
    assert_int_equal(sign(r, &r->fork, 3, 5), LIAISON_FORK);
    assert_int_equal(sign(r, &r->fork, 5, 8), LIAISON_FORK);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
}

static void a_policy_that_wants_no_witness_is_not_enough(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;

    assert_int_equal(unlink(r->state), 0);
    assert_int_equal(adopt(h, "none"), LIAISON_SIGNATURE);
    assert_int_not_equal(access(r->state, F_OK), 0);
}

static void what_the_notary_knows_is_not_replaced(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;

    cosign(h, 0);
    cosign(h, 1);
    must_start(r);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
    rig_stop(r);
    assert_int_equal(adopt(h, "two"), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "nothing is adopted"));
    assert_int_equal(look(r)->size, 8);
    assert_int_equal(truncate(r->state, 0),
                     0); /* no slot whole: as if it were not there */
    assert_int_equal(adopt(h, "two"), LIAISON_OK);
    assert_int_equal(look(r)->size, 5);
}

static void a_note_of_another_key_is_not_adopted(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    const struct note_key old = look(r)->key;

    cosign(h, 0);
    cosign(h, 1);
    rig_empty(r);
    must_start(r); /* another key of the same name */
    rig_stop(r);
    assert_int_equal(unlink(r->state), 0);
    struct note_policy *p = policy(h, &old, "two");

    assert_int_equal(notary_adopt(&r->settings, p, slice(h->last, h->last_len), NOW_S,
                                  r->why, sizeof r->why),
                     LIAISON_SIGNATURE);
    assert_non_null(strstr(r->why, "not signed by the notary's key"));
    note_policy_free(p);
    assert_int_equal(adopt(h, "two"), LIAISON_SIGNATURE);
}

/* ------------------------------------------------------------ policies */

/* How many logs the policy of this text believes, and whether ours is one of them; -1: it is refused with `code`. */
static int logs_of(struct hand *h, const char *text, bool *ours, enum liaison_code *code)
{
    struct rig *r = h->rig;
    char path[128];
    struct note_policy *p = NULL;
    struct note_judgement j;
    size_t n = 0;
    const struct note_key key = look(r)->key;

    snprintf(path, sizeof path, "%s/policy", r->folder);
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
    *code = notary_policy(path, &key, &p, r->why, sizeof r->why);
    if (*code != LIAISON_OK)
        return -1;
    note_policy_logs(p, &n);
    *ours = note_judge(p, slice(h->last, h->last_len), NOW_S, &j) == LIAISON_OK;
    note_policy_free(p);
    return (int)n;
}

static void the_log_s_own_key_counts_in_every_policy_once(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    char key[NOTE_KEY_TEXT_MAX], text[NOTE_KEY_TEXT_MAX + 64];
    bool ours = false;
    enum liaison_code code;
    static const char *const FORMS[] = {"quorum none", "quorum none\n",
                                        "# log %s\nquorum none\n",
                                        "log %s\nquorum none\n"};

    note_key_print(&look(r)->key, key);
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        const char *form = FORMS[i], *hole = strstr(form, "%s");

        snprintf(text, sizeof text, "%.*s%s%s",
                 hole != NULL ? (int)(hole - form) : (int)strlen(form), form,
                 hole != NULL ? key : "", hole != NULL ? hole + 2 : "");
        assert_int_equal(logs_of(h, text, &ours, &code), 1);
        assert_true(ours);
    }
    assert_int_equal(logs_of(h, "quorum w9\n", &ours, &code), -1);
    assert_int_equal(code, LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "/policy: line 1"));
    struct note_policy *p = NULL;

    assert_int_equal(
        notary_policy("/nowhere/policy", &look(r)->key, &p, r->why, sizeof r->why),
        LIAISON_FILE);
    assert_null(p);
}

/* ------------------------------------------------------------ rotate */

static uint8_t rotation[NOTE_BYTES_MAX];
static size_t rotation_len;

static enum liaison_code rotate(struct rig *r)
{
    return notary_rotate(&r->settings, rotation, &rotation_len, r->why, sizeof r->why);
}

/* Whether a file of the folder holds this text, or these lines of a key. */
static bool folder_holds(const struct rig *r, const char *text)
{
    DIR *d = opendir(r->folder);
    bool found = false;

    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[512], bytes[16384] = "";
        snprintf(path, sizeof path, "%s/%s", r->folder, e->d_name);
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes - 1);

        if (n > 0)
            found = found || memmem(bytes, (size_t)n, text, strlen(text)) != NULL;
        if (fd >= 0)
            close(fd);
    }
    closedir(d);
    return found;
}

static void read_line(const char *path, char *line, size_t len)
{
    FILE *f = fopen(path, "r");

    assert_non_null(fgets(line, (int)len, f));
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
}

/* The rotation leads from `old` to a new key above size 5, and the notary goes on with that. */
static void must_have_rotated(struct hand *h, const struct note_key *old)
{
    struct rig *r = h->rig;
    struct note_policy *p = policy(h, old, "none");
    struct note_judgement j;

    assert_int_equal(note_policy_rotate(p, slice(rotation, rotation_len)), LIAISON_OK);
    must_start(r);
    const struct note_key new_key = status(r)->key;

    assert_string_equal(new_key.name, old->name);
    assert_memory_not_equal(new_key.public, old->public, 32);
    assert_int_equal(notary_ask_rotation(r->notary), LIAISON_OK);
    assert_int_equal(notary_wait(r->notary, ANSWER_MS, &r->answer), LIAISON_OK);
    assert_int_equal(r->answer.note_len, rotation_len);
    assert_memory_equal(r->answer.note, rotation, rotation_len);
    assert_int_equal(sign(r, &r->log, 5, 5), LIAISON_UNSIGNED); /* the old key's */
    assert_int_equal(sign(r, &r->fork, 3, 5), LIAISON_FORK);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
    must_say(r, &new_key, &r->log, 8);
    assert_int_equal(note_judge(p, slice(r->answer.note, r->answer.note_len), NOW_S, &j),
                     LIAISON_OK);
    assert_int_equal(note_judge(p, slice(h->last, h->last_len), NOW_S, &j), LIAISON_OK);
    rig_stop(r);
    note_policy_free(p);
}

static void a_rotation_is_signed_by_both_keys_and_the_old_one_is_gone(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    const struct note_key old = look(r)->key;
    char secret[NOTE_SIGNER_TEXT_MAX + 1];

    read_line(r->key, secret, sizeof secret);
    assert_true(folder_holds(r, secret));
    assert_int_equal(rotate(r), LIAISON_OK);
    must_have_rotated(h, &old);
    assert_false(folder_holds(r, secret));
}

static void rotating_again_gives_the_same_until_the_new_key_has_signed(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    static uint8_t first[NOTE_BYTES_MAX];

    assert_int_equal(rotate(r), LIAISON_OK);
    const struct note_key second = look(r)->key;
    size_t first_len = rotation_len;

    memcpy(first, rotation, first_len);
    assert_int_equal(rotate(r), LIAISON_OK);
    assert_int_equal(rotation_len, first_len);
    assert_memory_equal(rotation, first, first_len);
    must_start(r);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
    rig_stop(r);
    assert_int_equal(rotate(r), LIAISON_OK);
    assert_memory_not_equal(rotation, first, first_len);
    struct note note;
    struct note_verdict verdict;

    assert_int_equal(note_parse(slice(rotation, rotation_len), &note), LIAISON_OK);
    assert_int_equal(note_verify(&note, &second, 1, &verdict), LIAISON_OK);
    assert_true(verdict.signed_by);
}

/* Runs `work` in a process that is killed as the trap says. True if it came to its end. */
static bool survives(struct rig *r, enum liaison_code (*work)(struct rig *r))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(work(r) == LIAISON_OK ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return false;
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static enum liaison_code start_and_stop(struct rig *r)
{
    enum liaison_code code = rig_start(r);

    if (code == LIAISON_OK)
        rig_stop(r);
    return code;
}

static void killed_at_any_step_a_rotation_is_finished_by_the_next_call(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    char secret[NOTE_SIGNER_TEXT_MAX + 1];
    int kills = 0, halves = 0;

    for (int kind = TRAP_BEFORE; kind <= TRAP_AFTER; kind++) {
        bool whole = false;

        for (long at = 1; !whole; at++, kills += !whole) {
            begin(h);
            const struct note_key old = look(r)->key;

            read_line(r->key, secret, sizeof secret);
            trap_set((enum trap_kind)kind, at);
            whole = survives(r, rotate);
            trap_set(TRAP_NONE, 0);
            halves += look(r)->size == 5 && access(r->rotation, F_OK) != 0 &&
                      memcmp(look(r)->key.public, old.public, 32) != 0;
            if (at % 2 == 0) /* a start finishes it too */
                start_and_stop(r);
            assert_int_equal(rotate(r), LIAISON_OK);
            must_have_rotated(h, &old);
            char path[128];

            snprintf(path, sizeof path, "%s.new", r->key);
            assert_int_not_equal(access(path, F_OK), 0);
            assert_false(folder_holds(r, secret));
        }
    }
    assert_true(kills >= 30); /* three files, each in five calls or more */
    assert_true(halves > 0);  /* two keys, and no rotation yet */
}

static void without_its_state_no_key_is_rotated(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    const struct note_key old = look(r)->key;

    assert_int_equal(unlink(r->state), 0);
    assert_int_equal(rotate(r), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "adopt"));
    assert_memory_equal(look(r)->key.public, old.public, 32);
}

static void no_key_is_rotated_while_its_notary_runs(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;

    must_start(r);
    assert_int_equal(rotate(r), LIAISON_BUSY);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK);
}

static void a_rotation_to_another_key_is_refused(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    char aside[128];

    snprintf(aside, sizeof aside, "%s/aside", r->folder);
    assert_int_equal(rotate(r), LIAISON_OK);
    assert_int_equal(rename(r->rotation, aside), 0);
    assert_int_equal(unlink(r->key), 0);
    assert_int_equal(unlink(r->state), 0);
    must_start(r);
    rig_stop(r);
    assert_int_equal(rename(aside, r->rotation), 0);
    assert_int_equal(rig_start(r), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "not the rotation"));
}

static void after_a_rotation_the_old_key_s_last_note_may_be_adopted(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    const struct note_key old = look(r)->key;

    assert_int_equal(rotate(r), LIAISON_OK);
    assert_int_equal(unlink(r->state), 0);
    cosign(h, 0);
    cosign(h, 1);
    struct note_policy *p = policy(h, &old, "two");

    assert_int_equal(note_policy_rotate(p, slice(rotation, rotation_len)), LIAISON_OK);
    assert_int_equal(notary_adopt(&r->settings, p, slice(h->last, h->last_len), NOW_S,
                                  r->why, sizeof r->why),
                     LIAISON_OK);
    note_policy_free(p);
    must_have_rotated(h, &old);
}

/* ------------------------------------------------------------ renew */

#define SECOND "practicies.example/eu/main/2"

static enum liaison_code renew(struct rig *r)
{
    struct notary_settings s = r->settings;

    s.origin = SECOND;
    return notary_renew(&s, r->why, sizeof r->why);
}

/* Under the old name nothing is signed any more, under the new one a log begins, and the old files are kept. */
static void must_be_new(struct rig *r, const char *secret)
{
    struct notary_settings old = r->settings;
    char key[128], file[128], line[NOTE_SIGNER_TEXT_MAX + 1];

    assert_string_equal(look(r)->key.name, SECOND);
    must_start(r);
    assert_true(status(r)->has_state);
    assert_int_equal(status(r)->size, 0);
    assert_int_equal(sign(r, &r->fork, 0, 8), LIAISON_OK);
    rig_stop(r);
    assert_int_not_equal(access(r->rotation, F_OK), 0);
    snprintf(key, sizeof key, "%s.old", r->key);
    snprintf(file, sizeof file, "%s.old", r->state);
    read_line(key, line, sizeof line);
    assert_string_equal(line, secret);
    old.key_file = key;
    old.state_file = file;
    assert_int_equal(notary_look(&old, &r->answer.status, r->why, sizeof r->why),
                     LIAISON_OK);
    assert_int_equal(r->answer.status.size, 5);
}

static void killed_at_any_step_a_new_log_is_begun_by_the_next_call(void **state)
{
    struct hand *h = *state;
    struct rig *r = h->rig;
    char secret[NOTE_SIGNER_TEXT_MAX + 1];
    int kills = 0;

    for (int kind = TRAP_BEFORE; kind <= TRAP_AFTER; kind++) {
        bool whole = false;

        for (long at = 1; !whole; at++, kills += !whole) {
            begin(h);
            assert_int_equal(rotate(r), LIAISON_OK);
            read_line(r->key, secret, sizeof secret);
            trap_set((enum trap_kind)kind, at);
            whole = survives(r, renew);
            trap_set(TRAP_NONE, 0);
            if (strcmp(look(r)->key.name, ORIGIN) ==
                0) { /* not signing at all, or as before */
                must_start(r);
                assert_true(sign(r, &r->fork, 0, 8) != LIAISON_OK);
                rig_stop(r);
            }
            assert_int_equal(renew(r), LIAISON_OK);
            assert_int_equal(renew(r), LIAISON_OK); /* and not once more */
            must_be_new(r, secret);
        }
    }
    assert_true(kills >= 20);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hand_make, hand_drop)
    const struct CMUnitTest tests[] = {
        T(what_the_files_say_is_shown_while_the_notary_runs_too),
        T(a_lost_state_is_made_again_from_what_a_quorum_has_seen),
        T(a_policy_that_wants_no_witness_is_not_enough),
        T(what_the_notary_knows_is_not_replaced),
        T(a_note_of_another_key_is_not_adopted),
        T(the_log_s_own_key_counts_in_every_policy_once),
        T(a_rotation_is_signed_by_both_keys_and_the_old_one_is_gone),
        T(rotating_again_gives_the_same_until_the_new_key_has_signed),
        T(killed_at_any_step_a_rotation_is_finished_by_the_next_call),
        T(without_its_state_no_key_is_rotated),
        T(no_key_is_rotated_while_its_notary_runs),
        T(a_rotation_to_another_key_is_refused),
        T(after_a_rotation_the_old_key_s_last_note_may_be_adopted),
        T(killed_at_any_step_a_new_log_is_begun_by_the_next_call),
    };

    log_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
