/* The notary's process over its real socket: what it signs, what it never signs, and what it knows after it was
 * killed. */
#include "tests/unit/notary_rig.h"

#include <dirent.h>
#include <pwd.h>
#include <sys/socket.h>

static void must_restart(struct rig *r)
{
    rig_stop(r);
    must_start(r);
}

static void a_log_that_begins_has_a_key_and_a_state_for_its_owner_alone(void **state)
{
    struct rig *r = *state;
    struct stat st;

    must_start(r);
    const struct notary_status *s = status(r);

    assert_string_equal(s->key.name, ORIGIN);
    assert_int_equal(s->key.type, NOTE_ED25519);
    assert_true(s->has_state);
    assert_int_equal(s->size, 0);
    assert_memory_equal(s->root, r->log.root[0], HASH_BYTES);
    assert_int_equal(stat(r->key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(r->state, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void growth_is_signed(void **state)
{
    struct rig *r = *state;
    static const uint64_t SIZES[] = {0, 1, 2, 5, 8, 13, 16};

    must_start(r);
    const struct note_key key = status(r)->key;

    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        assert_int_equal(sign(r, &r->log, i > 0 ? SIZES[i - 1] : 0, SIZES[i]),
                         LIAISON_OK);
        must_say(r, &key, &r->log, SIZES[i]);
        assert_int_equal(r->answer.status.size, SIZES[i]);
    }
}

static void the_same_tree_again_gets_the_same_note(void **state)
{
    struct rig *r = *state;
    struct notary_answer first;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    first = r->answer;
    assert_int_equal(sign(r, &r->log, 5, 5), LIAISON_OK);
    assert_int_equal(r->answer.note_len, first.note_len);
    assert_memory_equal(r->answer.note, first.note, first.note_len);
    must_restart(r);
    assert_int_equal(sign(r, &r->log, 0, 5),
                     LIAISON_OK); /* whatever it takes for the old size */
    assert_memory_equal(r->answer.note, first.note, first.note_len);
}

/* Neither at once nor after a restart. */
static void never(struct rig *r, const struct notary_tree *t, enum liaison_code want)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(say(r, t), want);
        assert_int_equal(r->answer.note_len, 0);
        assert_int_equal(r->answer.status.size, 5);
        assert_memory_equal(r->answer.status.root, r->log.root[5], HASH_BYTES);
        must_restart(r);
    }
}

static void two_roots_of_one_size_are_never_signed(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    const struct notary_tree as_if_grown = tree_of(r, &r->fork, 3, 5),
                             as_if_same = tree_of(r, &r->fork, 5, 5);

    never(r, &as_if_grown, LIAISON_FORK);
    never(r, &as_if_same, LIAISON_FORK);
}

static void a_smaller_tree_is_never_signed(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    for (uint64_t size = 0; size < 5; size++) {
        const struct notary_tree t = tree_of(r, &r->log, 0, size);

        never(r, &t, LIAISON_FORK);
    }
}

static void a_fork_is_never_signed_though_its_own_proof_is_right(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    for (uint64_t size = 6; size <= LOG_LEAVES; size++) {
        const struct notary_tree t = tree_of(r, &r->fork, 5, size);

        never(r, &t, LIAISON_FORK);
    }
}

static void a_wrong_proof_gets_no_signature(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    const struct notary_tree right = tree_of(r, &r->log, 5, 13);

    assert_true(right.proof_len > 1);
    for (size_t i = 0; i < right.proof_len * HASH_BYTES; i++) {
        struct notary_tree t = right;

        t.proof[i / HASH_BYTES][i % HASH_BYTES] ^= 1;
        assert_int_equal(say(r, &t), LIAISON_FORK);
    }
    for (size_t n = 0; n <= MERKLE_PROOF_MAX; n++) {
        struct notary_tree t = right;

        t.proof_len = n;
        assert_int_equal(say(r, &t), n == right.proof_len ? LIAISON_OK : LIAISON_FORK);
        if (n == right.proof_len)
            return;
    }
}

static void a_proof_from_another_size_is_sent_back_with_what_was_signed(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    assert_int_equal(sign(r, &r->log, 3, 8), LIAISON_PROOF);
    assert_int_equal(sign(r, &r->log, 6, 8), LIAISON_PROOF);
    assert_int_equal(r->answer.status.size, 5);
    assert_int_equal(sign(r, &r->log, r->answer.status.size, 8), LIAISON_OK);
}

/* ------------------------------------------------------------ killed, torn, lost */

static void killed_at_any_call_it_signs_the_same_tree_again_and_no_other(void **state)
{
    struct rig *r = *state;
    int kills = 0, raised = 0;

    for (int kind = TRAP_BEFORE; kind <= TRAP_AFTER; kind++) {
        for (long at = 1;; at++) {
            rig_empty(r);
            must_start(r);
            assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK);
            trap_set((enum trap_kind)kind, at);
            enum liaison_code code = sign(r, &r->log, 3, 5);
            bool died = WIFSIGNALED(rig_stop(r));

            trap_set(TRAP_NONE, 0);
            must_start(r);
            uint64_t known = status(r)->size;

            assert_true(known == 3 || known == 5);
            assert_true(code != LIAISON_OK || known == 5);
            raised += code != LIAISON_OK && known == 5;
            if (known == 5)
                assert_int_equal(sign(r, &r->fork, 3, 5), LIAISON_FORK);
            assert_int_equal(sign(r, &r->log, known, 5), LIAISON_OK);
            assert_int_equal(sign(r, &r->fork, 3, 5), LIAISON_FORK);
            rig_stop(r);
            if (!died)
                break;
            kills++;
        }
    }
    assert_true(kills >= 6);  /* high-water, flush, answer: before and after each */
    assert_true(raised >= 3); /* between high-water and answer */
}

static void killed_while_it_begins_a_log_it_begins_again(void **state)
{
    struct rig *r = *state;
    int kills = 0;

    for (int kind = TRAP_BEFORE; kind <= TRAP_AFTER; kind++) {
        for (long at = 1;; at++) {
            rig_empty(r);
            trap_set((enum trap_kind)kind, at);
            enum liaison_code code = rig_start(r);

            trap_set(TRAP_NONE, 0);
            if (code == LIAISON_OK)
                rig_stop(r);
            must_start(r);
            assert_true(status(r)->has_state);
            assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
            rig_stop(r);
            if (code == LIAISON_OK)
                break;
            kills++;
        }
    }
    assert_true(kills >= 16);
}

static void a_write_that_fails_is_the_last_thing_it_does(void **state)
{
    struct rig *r = *state;

    for (long at = 1; at <= 2; at++) { /* pwrite, fdatasync */
        rig_empty(r);
        must_start(r);
        assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK);
        trap_set(TRAP_EIO, at);
        assert_int_equal(sign(r, &r->log, 3, 5), LIAISON_IO);
        assert_int_equal(r->answer.note_len, 0);
        assert_int_equal(sign(r, &r->log, 3, 5), LIAISON_IO);
        trap_set(TRAP_NONE, 0);
        must_restart(r);
        assert_int_equal(sign(r, &r->log, status(r)->size, 5), LIAISON_OK);
        rig_stop(r);
    }
}

/* Turns one byte of the state file over. */
static void tear(const struct rig *r, off_t at)
{
    int fd = open(r->state, O_RDWR);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void a_torn_slot_falls_back_to_the_other(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK); /* into the slot a page on */
    assert_int_equal(sign(r, &r->log, 3, 5), LIAISON_OK); /* into the first one */
    for (off_t at = 0; at < 96; at++) {
        rig_stop(r);
        tear(r, at);
        must_start(r);
        assert_true(status(r)->has_state);
        assert_int_equal(status(r)->size, 3);
        rig_stop(r);
        tear(r, at);
        must_start(r);
        assert_int_equal(status(r)->size, 5);
    }
    rig_stop(r);
    tear(r, 4096);
    must_start(r);
    assert_int_equal(status(r)->size, 5);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_OK); /* over the torn one */
    must_restart(r);
    assert_int_equal(status(r)->size, 8);
}

static void signs_nothing(struct rig *r)
{
    must_start(r);
    assert_false(status(r)->has_state);
    assert_int_equal(sign(r, &r->log, 5, 8), LIAISON_CONFIG);
    assert_int_equal(sign(r, &r->log, 0, 8), LIAISON_CONFIG);
    assert_int_equal(r->answer.note_len, 0);
    rig_stop(r);
}

static void without_its_state_it_starts_and_signs_nothing(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK);
    assert_int_equal(sign(r, &r->log, 3, 5), LIAISON_OK);
    rig_stop(r);
    tear(r, 40);
    tear(r, 4096 + 40);
    signs_nothing(r);
    assert_int_equal(truncate(r->state, 0), 0);
    signs_nothing(r);
    assert_int_equal(unlink(r->state), 0);
    signs_nothing(r);
    signs_nothing(r);
}

static void the_state_of_another_log_is_none(void **state)
{
    struct rig *r = *state;
    char aside[128];

    snprintf(aside, sizeof aside, "%s/aside", r->folder);
    r->settings.origin = "practicies.example/eu/other/1";
    must_start(r);
    assert_int_equal(sign(r, &r->fork, 0, 3), LIAISON_OK);
    rig_stop(r);
    assert_int_equal(rename(r->state, aside), 0);
    assert_int_equal(unlink(r->key), 0);
    r->settings.origin = ORIGIN;
    must_start(r);
    rig_stop(r);
    assert_int_equal(rename(aside, r->state), 0);
    signs_nothing(r);
}

static void a_state_without_its_key_is_refused_once_it_was_used(void **state)
{
    struct rig *r = *state;

    must_start(r);
    rig_stop(r);
    assert_int_equal(unlink(r->key), 0);
    must_start(r); /* nothing was signed: a new key takes nothing from anybody */
    assert_int_equal(sign(r, &r->log, 0, 3), LIAISON_OK);
    rig_stop(r);
    assert_int_equal(unlink(r->key), 0);
    assert_int_equal(rig_start(r), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "key is gone"));
}

static void files_that_others_may_read_are_refused(void **state)
{
    struct rig *r = *state;
    const char *files[] = {r->key, r->state};

    must_start(r);
    rig_stop(r);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(chmod(files[i], 0644), 0);
        assert_int_equal(rig_start(r), LIAISON_PERMISSION);
        assert_non_null(strstr(r->why, "chmod 600"));
        assert_int_equal(chmod(files[i], 0600), 0);
    }
    must_start(r);
}

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
    chmod(path, 0600);
}

static void what_is_no_key_is_refused_in_a_sentence(void **state)
{
    struct rig *r = *state;
    static const char *const TEXTS[] = {"", "\n", "x\n", "PRIVATE+KEY+\n",
                                        "PRIVATE+KEY+synthetic.example+00000000+AAAA\n"};

    must_start(r);
    rig_stop(r);
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        put_text(r->key, TEXTS[i]);
        assert_int_equal(rig_start(r), LIAISON_CONFIG);
        assert_non_null(strstr(r->why, r->key));
    }
}

/* ------------------------------------------------------------ the socket */

static void garbage_on_the_socket_is_answered_as_such(void **state)
{
    struct rig *r = *state;
    static uint8_t bytes[4096], back[8192];
    static const size_t LENGTHS[] = {0, 1, 7, 55, 56, 2135, 2137, sizeof bytes};

    must_start(r);
    fcntl(r->fd, F_SETFL, 0); /* recv() waits */
    for (size_t i = 0; i < sizeof LENGTHS / sizeof *LENGTHS; i++) {
        assert_int_equal(send(r->fd, bytes, LENGTHS[i], 0), (ssize_t)LENGTHS[i]);
        assert_true(recv(r->fd, back, sizeof back, 0) > 4);
        assert_int_equal(be32_get(back), LIAISON_MALFORMED);
    }
    for (uint32_t kind = 0; kind < 6; kind++) { /* right length, wrong words */
        memset(bytes, 0xff, sizeof bytes);
        be32_put(bytes, kind);
        assert_int_equal(send(r->fd, bytes, 2136, 0), 2136);
        assert_true(recv(r->fd, back, sizeof back, 0) > 4);
        assert_int_equal(be32_get(back), LIAISON_MALFORMED);
    }
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    int how = rig_stop(r);

    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void it_ends_when_the_last_copy_of_its_socket_closes(void **state)
{
    struct rig *r = *state;

    must_start(r);
    int copy = fcntl(r->fd, F_DUPFD_CLOEXEC, 0);

    notary_free(r->notary);
    r->notary = notary_new(copy);
    assert_int_equal(kill(r->pid, SIGTERM), 0); /* meant for its broker */
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    int how = rig_stop(r);

    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

static void a_notary_that_was_killed_is_noticed(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(kill(r->pid, SIGKILL), 0);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_CLOSED);
    assert_int_equal(notary_ask_status(r->notary), LIAISON_IO);
}

static void one_request_is_out_at_a_time(void **state)
{
    struct rig *r = *state;

    must_start(r);
    assert_int_equal(notary_answer(r->notary, &r->answer), LIAISON_BUSY);
    assert_int_equal(notary_ask_status(r->notary), LIAISON_OK);
    assert_int_equal(notary_ask_status(r->notary), LIAISON_BUSY);
    assert_int_equal(notary_wait(r->notary, ANSWER_MS, &r->answer), LIAISON_OK);
    assert_int_equal(notary_ask_rotation(r->notary), LIAISON_OK);
    assert_int_equal(notary_wait(r->notary, ANSWER_MS, &r->answer), LIAISON_OK);
    assert_int_equal(r->answer.note_len, 0);
}

static void a_second_notary_is_refused_while_the_first_one_lives(void **state)
{
    struct rig *r = *state;
    int fd;
    pid_t pid;

    must_start(r);
    assert_int_equal(notary_start(&r->settings, &fd, &pid, r->why, sizeof r->why),
                     LIAISON_BUSY);
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
}

/* ------------------------------------------------------------ what it gives up */

static bool status_says(pid_t pid, const char *line)
{
    char path[64], text[256];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");

    while (f != NULL && fgets(text, sizeof text, f) != NULL)
        found = found || strncmp(text, line, strlen(line)) == 0;
    if (f != NULL)
        fclose(f);
    return found;
}

static void it_keeps_its_state_the_socket_and_stderr(void **state)
{
    struct rig *r = *state;
    char path[64], limit[256];
    int others = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a library may */

    must_start(r);
    assert_true(status_says(r->pid, "NoNewPrivs:\t1"));
    snprintf(path, sizeof path, "/proc/%d/fd", r->pid);
    DIR *d = opendir(path);

    close(others);
    if (d == NULL) { /* it is not dumpable: only root may look */
        assert_int_not_equal(geteuid(), 0);
        return;
    }
    int n = 0;

    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    assert_int_equal(n, 5); /* and two of /dev/null */
    snprintf(path, sizeof path, "/proc/%d/cwd", r->pid);
    ssize_t len = readlink(path, limit, sizeof limit);

    assert_int_equal(len, 1);
    snprintf(path, sizeof path, "/proc/%d/limits", r->pid);
    FILE *f = fopen(path, "r");
    bool found = false;

    while (fgets(limit, sizeof limit, f) != NULL)
        found = found || (strncmp(limit, "Max open files ", 15) == 0 &&
                          strstr(limit, " 5 ") != NULL);
    fclose(f);
    assert_true(found); /* all five in use: nothing more can be opened */
}

static void started_as_root_it_becomes_its_user_and_so_do_its_files(void **state)
{
    struct rig *r = *state;
    const struct passwd *nobody = getpwnam("nobody");
    char line[64];
    struct stat st;

    if (geteuid() != 0 || nobody == NULL) {
        print_message("SKIPPED: not root\n");
        skip();
    }
    const uid_t uid = nobody->pw_uid;

    assert_int_equal(chown(r->folder, uid, nobody->pw_gid), 0);
    r->settings.user = "nobody";
    must_start(r);
    snprintf(line, sizeof line, "Uid:\t%u\t%u\t%u\t%u", uid, uid, uid, uid);
    assert_true(status_says(r->pid, line));
    assert_int_equal(sign(r, &r->log, 0, 5), LIAISON_OK);
    assert_int_equal(stat(r->key, &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(stat(r->state, &st), 0);
    assert_int_equal(st.st_uid, uid);
    r->settings.user = "no-such-user";
    int fd;
    pid_t pid;

    assert_int_equal(notary_start(&r->settings, &fd, &pid, r->why, sizeof r->why),
                     LIAISON_CONFIG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_make, rig_drop)
    const struct CMUnitTest tests[] = {
        T(a_log_that_begins_has_a_key_and_a_state_for_its_owner_alone),
        T(growth_is_signed),
        T(the_same_tree_again_gets_the_same_note),
        T(two_roots_of_one_size_are_never_signed),
        T(a_smaller_tree_is_never_signed),
        T(a_fork_is_never_signed_though_its_own_proof_is_right),
        T(a_wrong_proof_gets_no_signature),
        T(a_proof_from_another_size_is_sent_back_with_what_was_signed),
        T(killed_at_any_call_it_signs_the_same_tree_again_and_no_other),
        T(killed_while_it_begins_a_log_it_begins_again),
        T(a_write_that_fails_is_the_last_thing_it_does),
        T(a_torn_slot_falls_back_to_the_other),
        T(without_its_state_it_starts_and_signs_nothing),
        T(the_state_of_another_log_is_none),
        T(a_state_without_its_key_is_refused_once_it_was_used),
        T(files_that_others_may_read_are_refused),
        T(what_is_no_key_is_refused_in_a_sentence),
        T(garbage_on_the_socket_is_answered_as_such),
        T(it_ends_when_the_last_copy_of_its_socket_closes),
        T(a_notary_that_was_killed_is_noticed),
        T(one_request_is_out_at_a_time),
        T(a_second_notary_is_refused_while_the_first_one_lives),
        T(it_keeps_its_state_the_socket_and_stderr),
        T(started_as_root_it_becomes_its_user_and_so_do_its_files),
    };

    log_level(LOG_NOTHING);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
