/* The store, on a real LMDB in a fresh directory; only the commit's failure is faked. */
#include "broker/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/ops/log.h"

enum { T_PLAIN, T_LOG, T_BIG, N_TABLES };

static const struct store_table TABLES[N_TABLES] = {
    [T_PLAIN] = {"plain", false}, [T_LOG] = {"log", true}, [T_BIG] = {"big", false}};
static const struct store_settings ROOMY = {.map_bytes = 64u << 20,
                                            .reserve_bytes = 1u << 20};
static const uint8_t BATCH_ID[16] = "batch of a test";

static int commit_rc; /* what __wrap_mdb_txn_commit() returns next, once */

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);

int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    int rc = commit_rc;
    commit_rc = 0;
    if (rc == 0)
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn); /* a commit that fails has ended the transaction */
    errno = rc;         /* as the call that failed left it */
    return rc;
}

struct rig {
    char dir[64], url[80];
    struct store *store;
    struct store_head head;
    bool fresh;
    char why[256];
};

static enum liaison_code rig_open(struct rig *r, const struct store_settings *settings)
{
    return store_open(r->url, TABLES, N_TABLES, settings, &r->store, &r->fresh, r->why,
                      sizeof r->why);
}

static void rig_lead(struct rig *r, const struct store_settings *settings)
{
    uint64_t epoch;
    assert_int_equal(rig_open(r, settings), LIAISON_OK);
    assert_int_equal(store_lead(r->store, &epoch), LIAISON_OK);
    assert_int_equal(store_head(r->store, &r->head), LIAISON_OK);
    assert_int_equal(r->head.epoch, epoch);
}

static void rig_close(struct rig *r)
{
    store_close(r->store);
    r->store = NULL;
}

static int empty_rig(void **state)
{
    log_level(LOG_ERROR_ + 1); /* the failures below are meant */
    struct rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    snprintf(r->dir, sizeof r->dir, "%s", "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    snprintf(r->url, sizeof r->url, "lmdb:%s/s", r->dir);
    *state = r;
    return 0;
}

static int leading_rig(void **state)
{
    empty_rig(state);
    rig_lead(*state, &ROOMY);
    return 0;
}

static int drop_rig(void **state)
{
    struct rig *r = *state;
    static const char *const FILES[] = {"s/data.mdb", "s/lock.mdb", "s/leader.lock", "s",
                                        ""};
    rig_close(r);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", r->dir, FILES[i]);
        remove(path);
    }
    free(r);
    return 0;
}

static struct store_batch *begin(struct rig *r, enum store_use use)
{
    struct store_batch *b = NULL;
    assert_int_equal(store_begin(r->store, &r->head, use, &b), LIAISON_OK);
    return b;
}

static enum liaison_code commit(struct rig *r, struct store_batch *b)
{
    struct store_head next = r->head;
    next.size++;
    next.root[0]++;
    enum liaison_code code = store_commit(b, &next, BATCH_ID);
    if (code == LIAISON_OK)
        r->head = next;
    return code;
}

static void put(struct store_batch *b, int table, const char *key, const char *value)
{
    store_put(b, table, slice_text(key), slice_text(value));
}

/* Appends every key to a text: "a b c ". */
struct keys {
    char text[256];
    size_t stop_after;
};

static int note_key(void *arg, struct slice key, struct slice value)
{
    struct keys *k = arg;
    (void)value;
    strncat(k->text, (const char *)key.p, key.n);
    strcat(k->text, " ");
    return k->stop_after != 0 && --k->stop_after == 0;
}

static int count_row(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return 0;
}

static size_t rows(struct rig *r, int table)
{
    size_t n = 0;
    assert_int_equal(
        store_scan(r->store, table, slice("", 0), slice("", 0), SIZE_MAX, count_row, &n),
        LIAISON_OK);
    return n;
}

static void five_letters(struct rig *r)
{
    struct store_batch *b = begin(r, STORE_ORDINARY);
    for (const char *c = "cadbe"; *c != '\0'; c++)
        store_put(b, T_PLAIN, slice(c, 1), slice(c, 1));
    assert_int_equal(commit(r, b), LIAISON_OK);
}

/* ---------------------------------------------------------------- open and lead */

static void a_new_store_is_fresh_until_a_batch_commits(void **state)
{
    struct rig *r = *state;
    rig_lead(r, &ROOMY);
    assert_true(r->fresh);
    assert_int_equal(r->head.size, 0);
    assert_int_equal(r->head.epoch, 1);
    rig_close(r);
    rig_lead(r, &ROOMY);
    assert_true(r->fresh);
    assert_int_equal(commit(r, begin(r, STORE_ORDINARY)), LIAISON_OK);
    rig_close(r);
    rig_lead(r, &ROOMY);
    assert_false(r->fresh);
    assert_int_equal(r->head.size, 1);
    assert_int_equal(r->head.root[0], 1);
    assert_int_equal(r->head.epoch, 3);
}

static void only_the_owner_can_read_what_it_makes(void **state)
{
    static const struct {
        const char *name;
        mode_t mode;
    } FILES[] = {
        {"s", 0700}, {"s/data.mdb", 0600}, {"s/lock.mdb", 0600}, {"s/leader.lock", 0600}};
    struct rig *r = *state;
    mode_t before = umask(0);
    rig_lead(r, &ROOMY);
    umask(before);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char path[128];
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", r->dir, FILES[i].name);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, FILES[i].mode);
    }
}

static void a_directory_that_others_may_enter_is_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(mkdir(r->url + 5, 0700), 0);
    assert_int_equal(chmod(r->url + 5, 0750), 0);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_PERMISSION);
    assert_non_null(strstr(r->why, "mode 750, wanted 700"));
}

static void a_data_file_that_others_may_read_is_refused(void **state)
{
    struct rig *r = *state;
    char path[128];
    rig_lead(r, &ROOMY);
    rig_close(r);
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    assert_int_equal(chmod(path, 0604), 0);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_PERMISSION);
    assert_non_null(strstr(r->why, "data.mdb"));
}

static void a_store_that_cannot_be_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *why;
        const char *url;
        struct store_settings settings;
        enum liaison_code want;
    } ROWS[] = {
        {"not lmdb", "postgres:host", {1u << 20, 0}, LIAISON_CONFIG},
        {"no directory", "lmdb:", {1u << 20, 0}, LIAISON_CONFIG},
        {"no directory above",
         "lmdb:/nonexistent/liaison/s",
         {1u << 20, 0},
         LIAISON_FILE},
        {"not a directory", "lmdb:/dev/null", {1u << 20, 0}, LIAISON_FILE},
        {"map too small", "lmdb:/nonexistent/liaison/s", {4096, 0}, LIAISON_CONFIG},
        {"map too large", "lmdb:/nonexistent/liaison/s", {UINT64_MAX, 0}, LIAISON_CONFIG},
        {"reserve takes all",
         "lmdb:/nonexistent/liaison/s",
         {1u << 20, 1u << 20},
         LIAISON_CONFIG},
    };
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct store *s = NULL;
        bool fresh;
        r->why[0] = '\0';
        enum liaison_code code =
            store_open(ROWS[i].url, TABLES, N_TABLES, &ROWS[i].settings, &s, &fresh,
                       r->why, sizeof r->why);
        if (code != ROWS[i].want || s != NULL || r->why[0] == '\0')
            fail_msg("%s: code %d, why \"%s\"", ROWS[i].why, code, r->why);
    }
}

static void a_store_that_lost_its_data_is_damaged_and_not_new(void **state)
{
    struct rig *r = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    rig_lead(r, &ROOMY);
    rig_close(r);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_DAMAGED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_DAMAGED);
    assert_non_null(strstr(r->why, "it has been in use"));
}

static void bytes_that_are_no_store_are_damaged(void **state)
{
    struct rig *r = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    rig_lead(r, &ROOMY);
    rig_close(r);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    for (int i = 0; i < 4096 * 4; i++)
        fputc(0x5a, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_DAMAGED);
}

/* Runs `child` in a process of its own, which says over a pipe when it is ready; kills it afterwards if it still lives.
 * Called before this process opens the store: LMDB forbids taking an environment across a fork. */
struct child {
    pid_t pid;
    int ready;
};

static struct child spawn(struct rig *r, void (*run)(struct rig *))
{
    int fds[2];
    char c;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        run(r);
        if (write(fds[1], "r", 1) == 1)
            pause();
        _exit(1);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &c, 1), 1);
    return (struct child){pid, fds[0]};
}

static void kill_9(struct child c)
{
    assert_int_equal(kill(c.pid, SIGKILL), 0);
    assert_int_equal(waitpid(c.pid, NULL, 0), c.pid);
    close(c.ready);
}

static void lead_with_letters(struct rig *r)
{
    rig_lead(r, &ROOMY);
    five_letters(r);
}

static void a_second_leader_is_fenced_until_the_first_dies(void **state)
{
    struct rig *r = *state;
    uint64_t epoch = 0;
    struct child c = spawn(r, lead_with_letters);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_OK);
    assert_int_equal(store_lead(r->store, &epoch), LIAISON_FENCED);
    struct store_batch *b;
    assert_int_equal(store_begin(r->store, &r->head, STORE_ORDINARY, &b), LIAISON_FENCED);
    assert_int_equal(rows(r, T_PLAIN), 5); /* it may read */
    kill_9(c);
    assert_int_equal(store_lead(r->store, &epoch), LIAISON_OK);
    assert_int_equal(epoch, 2);
}

static void read_and_hold(struct rig *r)
{
    char dir[80];
    MDB_env *env;
    MDB_txn *txn;
    snprintf(dir, sizeof dir, "%s/s", r->dir);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, dir, MDB_RDONLY | MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), 0);
}

static void a_reader_elsewhere_is_seen_and_cleared_when_it_is_dead(void **state)
{
    struct rig *r = *state;
    struct store_readers seen;
    rig_lead(r, &ROOMY);
    five_letters(r);
    rig_close(r);
    struct child c = spawn(r, read_and_hold);
    rig_lead(r, &ROOMY); /* one commit */
    assert_int_equal(store_tend(r->store, &seen), LIAISON_OK);
    assert_int_equal(seen.pid, c.pid);
    assert_int_equal(seen.behind, 1);
    assert_int_equal(seen.cleared, 0);
    five_letters(r);
    assert_int_equal(store_tend(r->store, &seen), LIAISON_OK);
    assert_int_equal(seen.behind, 2);
    assert_in_range(seen.file_bytes, store_used_bytes(r->store), 1u << 20);
    kill_9(c);
    assert_int_equal(store_tend(r->store, &seen), LIAISON_OK);
    assert_int_equal(seen.cleared, 1);
    assert_int_equal(seen.pid, 0);
    assert_int_equal(seen.behind, 0);
}

static void begin_on_another_head_is_fenced(void **state)
{
    struct rig *r = *state;
    struct store_batch *b;
    struct store_head other = r->head;
    other.size++;
    assert_int_equal(store_begin(r->store, &other, STORE_ORDINARY, &b), LIAISON_FENCED);
    other = r->head;
    other.root[31]++;
    assert_int_equal(store_begin(r->store, &other, STORE_ORDINARY, &b), LIAISON_FENCED);
    other = r->head;
    other.epoch--;
    assert_int_equal(store_begin(r->store, &other, STORE_ORDINARY, &b), LIAISON_FENCED);
    store_abort(begin(r, STORE_ORDINARY));
}

static void batch_half_done(struct rig *r)
{
    lead_with_letters(r);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    put(b, T_PLAIN, "half", "done");
    store_delete(b, T_PLAIN, slice_text("a"));
    store_append(b, T_LOG, slice_text("1"), slice_text("one"));
}

static void kill_9_in_a_batch_leaves_the_batch_before(void **state)
{
    struct rig *r = *state;
    kill_9(spawn(r, batch_half_done));
    rig_lead(r, &ROOMY);
    struct keys k = {0};
    assert_int_equal(
        store_scan(r->store, T_PLAIN, slice("", 0), slice("", 0), 100, note_key, &k),
        LIAISON_OK);
    assert_string_equal(k.text, "a b c d e ");
    assert_int_equal(rows(r, T_LOG), 0);
    assert_int_equal(r->head.size, 1);
    five_letters(r); /* and it goes on */
}

/* ---------------------------------------------------------------- batches */

static void a_batch_sees_its_own_changes_and_others_do_not(void **state)
{
    struct rig *r = *state;
    struct slice v;
    struct keys k = {0};
    five_letters(r);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    put(b, T_PLAIN, "c", "changed");
    put(b, T_PLAIN, "cc", "new");
    store_delete(b, T_PLAIN, slice_text("d"));
    store_delete(b, T_PLAIN, slice_text("never there"));
    assert_int_equal(store_get(b, T_PLAIN, slice_text("c"), &v), LIAISON_OK);
    assert_true(slice_equal(v, slice_text("changed")));
    assert_int_equal(store_get(b, T_PLAIN, slice_text("d"), &v), LIAISON_NOT_FOUND);
    assert_int_equal(
        store_batch_scan(b, T_PLAIN, slice_text("b"), slice("", 0), 100, note_key, &k),
        LIAISON_OK);
    assert_string_equal(k.text, "b c cc e ");
    k = (struct keys){0};
    assert_int_equal(
        store_scan(r->store, T_PLAIN, slice_text("b"), slice("", 0), 100, note_key, &k),
        LIAISON_OK);
    assert_string_equal(k.text, "b c d e ");
    assert_int_equal(commit(r, b), LIAISON_OK);
    k = (struct keys){0};
    assert_int_equal(
        store_scan(r->store, T_PLAIN, slice("", 0), slice("", 0), 100, note_key, &k),
        LIAISON_OK);
    assert_string_equal(k.text, "a b c cc e ");
}

static void an_aborted_batch_leaves_nothing(void **state)
{
    struct rig *r = *state;
    struct store_batch *b = begin(r, STORE_ORDINARY);
    put(b, T_PLAIN, "a", "1");
    store_abort(b);
    store_abort(NULL);
    assert_int_equal(rows(r, T_PLAIN), 0);
    assert_int_equal(commit(r, begin(r, STORE_ORDINARY)), LIAISON_OK);
}

static void values_come_back_as_they_were(void **state)
{
    struct rig *r = *state;
    static uint8_t big[300000];
    struct slice v;
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    uint8_t key[511];
    memset(key, 'k', sizeof key);
    store_put(b, T_BIG, slice(key, sizeof key), slice(big, sizeof big));
    store_put(b, T_BIG, slice_text("empty"), slice(NULL, 0));
    assert_int_equal(commit(r, b), LIAISON_OK);
    rig_close(r);
    rig_lead(r, &ROOMY);
    b = begin(r, STORE_ORDINARY);
    assert_int_equal(store_get(b, T_BIG, slice(key, sizeof key), &v), LIAISON_OK);
    assert_true(slice_equal(v, slice(big, sizeof big)));
    assert_int_equal(store_get(b, T_BIG, slice_text("empty"), &v), LIAISON_OK);
    assert_int_equal(v.n, 0);
    store_abort(b);
}

static void scans_keep_to_their_range_and_limit(void **state)
{
    static const struct {
        const char *from, *to;
        size_t limit, stop_after;
        const char *want, *want_back;
    } ROWS[] = {
        {"", "", 100, 0, "a b c d e ", "e d c b a "},
        {"b", "d", 100, 0, "b c ", "c b "},
        {"b", "", 2, 0, "b c ", "e d "},
        {"", "c", 100, 0, "a b ", "b a "},
        {"", "zz", 2, 0, "a b ", "e d "},
        {"aa", "cc", 100, 0, "b c ", "c b "},
        {"x", "", 100, 0, "", ""},
        {"", "a", 100, 0, "", ""},
        {"d", "b", 100, 0, "", ""},
        {"", "", 0, 0, "", ""},
        {"", "", 100, 3, "a b c ", "e d c "},
        {"c", "cc", 100, 0, "c ", "c "},
    };
    struct rig *r = *state;
    five_letters(r);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct keys k = {.stop_after = ROWS[i].stop_after}, back = k, in_batch = k;
        struct slice from = slice_text(ROWS[i].from), to = slice_text(ROWS[i].to);
        assert_int_equal(
            store_scan(r->store, T_PLAIN, from, to, ROWS[i].limit, note_key, &k),
            LIAISON_OK);
        assert_int_equal(
            store_scan_back(r->store, T_PLAIN, from, to, ROWS[i].limit, note_key, &back),
            LIAISON_OK);
        struct store_batch *b = begin(r, STORE_ORDINARY);
        assert_int_equal(
            store_batch_scan(b, T_PLAIN, from, to, ROWS[i].limit, note_key, &in_batch),
            LIAISON_OK);
        store_abort(b);
        assert_string_equal(k.text, ROWS[i].want);
        assert_string_equal(in_batch.text, ROWS[i].want);
        assert_string_equal(back.text, ROWS[i].want_back);
    }
    assert_int_equal(rows(r, T_LOG), 0); /* an empty table, both ways */
    size_t n = 0;
    assert_int_equal(
        store_scan_back(r->store, T_LOG, slice("", 0), slice("", 0), 9, count_row, &n),
        LIAISON_OK);
    assert_int_equal(n, 0);
}

static void an_append_that_does_not_grow_fails_the_batch_as_damage(void **state)
{
    static const char *const SECOND[] = {"5", "4", "10"};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof SECOND / sizeof *SECOND; i++) {
        struct store_batch *b = begin(r, STORE_ORDINARY);
        store_append(b, T_LOG, slice_text("5"), slice_text("five"));
        assert_int_equal(store_failed(b), LIAISON_OK);
        store_append(b, T_LOG, slice_text(SECOND[i]), slice_text("other"));
        assert_int_equal(store_failed(b), LIAISON_DAMAGED);
        put(b, T_PLAIN, "a", "1"); /* does nothing */
        struct slice v;
        assert_int_equal(store_get(b, T_PLAIN, slice_text("a"), &v), LIAISON_DAMAGED);
        assert_int_equal(commit(r, b), LIAISON_DAMAGED);
    }
    assert_int_equal(rows(r, T_LOG), 0);
    assert_int_equal(rows(r, T_PLAIN), 0);
    struct store_batch *b = begin(r, STORE_ORDINARY); /* the store itself is well */
    store_append(b, T_LOG, slice_text("5"), slice_text("five"));
    store_append(b, T_LOG, slice_text("6"), slice_text("six"));
    assert_int_equal(commit(r, b), LIAISON_OK);
    assert_int_equal(rows(r, T_LOG), 2);
}

static void misuse_fails_the_batch(void **state)
{
    struct rig *r = *state;
    static const uint8_t LONG[512] = {1};
    for (int i = 0; i < 5; i++) {
        struct store_batch *b = begin(r, STORE_ORDINARY), *other;
        if (i == 0)
            put(b, T_LOG, "1", "put into a log");
        else if (i == 1)
            store_delete(b, T_LOG, slice_text("1"));
        else if (i == 2)
            store_put(b, T_PLAIN, slice("", 0), slice_text("no key"));
        else if (i == 3)
            store_put(b, T_PLAIN, slice(LONG, sizeof LONG), slice_text("long key"));
        else
            store_delete(b, T_PLAIN, slice(LONG, sizeof LONG));
        assert_int_equal(store_begin(r->store, &r->head, STORE_ORDINARY, &other),
                         LIAISON_INTERNAL);
        assert_int_equal(store_failed(b), LIAISON_INTERNAL);
        assert_int_equal(commit(r, b), LIAISON_INTERNAL);
    }
}

static void the_next_head_must_be_of_this_epoch(void **state)
{
    struct rig *r = *state;
    struct store_head next = r->head;
    struct store_batch *b = begin(r, STORE_ORDINARY);
    put(b, T_PLAIN, "a", "1");
    next.epoch++;
    assert_int_equal(store_commit(b, &next, BATCH_ID), LIAISON_FENCED);
    assert_int_equal(rows(r, T_PLAIN), 0);
}

/* ---------------------------------------------------------------- failures */

static void a_full_disk_stores_nothing_and_is_over_when_space_returns(void **state)
{
    static const int NO_ROOM[] = {ENOSPC, EDQUOT, MDB_MAP_FULL};
    struct rig *r = *state;
    for (size_t i = 0; i < sizeof NO_ROOM / sizeof *NO_ROOM; i++) {
        struct store_batch *b = begin(r, STORE_ORDINARY);
        put(b, T_PLAIN, "a", "1");
        store_append(b, T_LOG, slice_text("1"), slice_text("one"));
        commit_rc = NO_ROOM[i];
        assert_int_equal(commit(r, b), LIAISON_FULL);
        assert_int_equal(rows(r, T_PLAIN), 0);
        assert_int_equal(rows(r, T_LOG), 0);
    }
    five_letters(r);
    assert_int_equal(rows(r, T_PLAIN), 5);
}

static void a_failed_commit_ends_all_use_of_the_store(void **state)
{
    static const int RC[] = {EIO, EINVAL, ENOMEM, MDB_PANIC, MDB_BAD_TXN, MDB_CORRUPTED};
    struct rig *r = *state;
    five_letters(r);
    for (size_t i = 0; i < sizeof RC / sizeof *RC; i++) {
        struct store_batch *b = begin(r, STORE_ORDINARY);
        struct store_head head;
        size_t n = 0;
        put(b, T_PLAIN, "x", "1");
        commit_rc = RC[i];
        assert_int_equal(commit(r, b), LIAISON_IO);
        assert_int_equal(store_begin(r->store, &r->head, STORE_RESERVE, &b), LIAISON_IO);
        assert_int_equal(store_head(r->store, &head), LIAISON_IO);
        assert_int_equal(
            store_scan(r->store, T_PLAIN, slice("", 0), slice("", 0), 9, count_row, &n),
            LIAISON_IO);
        assert_int_equal(n, 0);
        rig_close(r);
        rig_lead(r, &ROOMY); /* what a restart finds is the batch before */
        assert_int_equal(rows(r, T_PLAIN), 5);
    }
}

static const struct store_settings SMALL = {.map_bytes = 1u << 20,
                                            .reserve_bytes = 256u << 10};

/* One batch with one row of 2 KiB; returns how its commit ended. */
static enum liaison_code one_row(struct rig *r, uint32_t number, enum store_use use)
{
    uint8_t key[4], value[2048];
    be32_put(key, number);
    memset(value, (int)number, sizeof value);
    struct store_batch *b = begin(r, use);
    store_put(b, T_BIG, slice(key, sizeof key), slice(value, sizeof value));
    return commit(r, b);
}

static uint32_t fill(struct rig *r, uint32_t from, enum store_use use)
{
    enum liaison_code code;
    while ((code = one_row(r, from, use)) == LIAISON_OK)
        from++;
    assert_int_equal(code, LIAISON_FULL);
    assert_int_equal(rows(r, T_BIG), from);
    return from;
}

static void a_small_map_fills_and_recovers_after_deletes(void **state)
{
    struct rig *r = *state;
    rig_lead(r, &SMALL);
    uint32_t n = fill(r, 0, STORE_ORDINARY);
    assert_in_range(n, 100, 300);             /* of 768 KiB, two rows a page at best */
    uint32_t all = fill(r, n, STORE_RESERVE); /* the reserve's batches go on */
    assert_in_range(all, n + 20, n + 150);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    assert_int_equal(store_failed(b), LIAISON_FULL); /* told before any work is done */
    assert_int_equal(commit(r, b), LIAISON_FULL);
    rig_close(r);
    rig_lead(r, &SMALL); /* and a restart knows it too */
    b = begin(r, STORE_ORDINARY);
    assert_int_equal(store_failed(b), LIAISON_FULL);
    store_abort(b);
    for (uint32_t i = 0; i < all; i++) {
        uint8_t key[4];
        be32_put(key, i);
        b = begin(r, STORE_RESERVE);
        store_delete(b, T_BIG, slice(key, sizeof key));
        assert_int_equal(commit(r, b), LIAISON_OK);
    }
    assert_int_equal(rows(r, T_BIG), 0);
    assert_in_range(fill(r, 0, STORE_ORDINARY), n - 20, n + 20);
}

/* A real write error: the file may not grow further, as with a quota; or only by a part of what is written, so that the write
 * is cut short. */
static void a_file_that_may_not_grow_stores_nothing_until_it_may(void **state)
{
    static const rlim_t MORE[] = {0, 100, 5 * 4096 + 100};
    struct rig *r = *state;
    static uint8_t big[1u << 20];
    struct rlimit before, limit;
    struct stat st;
    char path[128];
    five_letters(r);
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++) {
        limit = (struct rlimit){.rlim_cur = (rlim_t)st.st_size + MORE[i],
                                .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        struct store_batch *b = begin(r, STORE_ORDINARY);
        store_put(b, T_BIG, slice_text("k"), slice(big, sizeof big));
        enum liaison_code code = commit(r, b);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(code, LIAISON_FULL);
        assert_int_equal(rows(r, T_BIG), 0);
    }
    struct store_batch *b = begin(r, STORE_ORDINARY);
    store_put(b, T_BIG, slice_text("k"), slice(big, sizeof big));
    assert_int_equal(commit(r, b), LIAISON_OK);
    rig_close(r);
    rig_lead(r, &ROOMY);
    assert_int_equal(rows(r, T_PLAIN), 5);
    assert_int_equal(rows(r, T_BIG), 1);
}

static void
a_disk_with_less_than_the_reserve_takes_the_reserves_batches_only(void **state)
{
    struct rig *r = *state;
    struct statvfs fs;
    assert_int_equal(statvfs(r->dir, &fs), 0);
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    const struct store_settings settings = {.map_bytes = 2 * left + (8ull << 30),
                                            .reserve_bytes = left + (4ull << 30)};
    rig_lead(r, &settings);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    assert_int_equal(store_failed(b), LIAISON_FULL);
    store_abort(b);
    assert_int_equal(commit(r, begin(r, STORE_RESERVE)), LIAISON_OK);
}

static void one_batch_larger_than_the_map_stores_nothing(void **state)
{
    struct rig *r = *state;
    static uint8_t huge[2u << 20];
    rig_lead(r, &SMALL);
    struct store_batch *b = begin(r, STORE_RESERVE);
    put(b, T_PLAIN, "a", "1");
    store_put(b, T_BIG, slice_text("k"), slice(huge, sizeof huge));
    assert_int_equal(store_failed(b), LIAISON_FULL);
    assert_int_equal(commit(r, b), LIAISON_FULL);
    assert_int_equal(rows(r, T_PLAIN), 0);
    five_letters(r);
}

/* ---------------------------------------------------------------- backup */

/* As another process, which is what takes a backup. */
static enum liaison_code backup(struct rig *r, const char *to, uint64_t *bytes)
{
    int pipe_fds[2], status;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        char why[256];
        enum liaison_code code = store_backup(r->url, to, bytes, why, sizeof why);
        if (write(pipe_fds[1], bytes, sizeof *bytes) != sizeof *bytes)
            _exit(127);
        _exit((int)code);
    }
    close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], bytes, sizeof *bytes), sizeof *bytes);
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return (enum liaison_code)WEXITSTATUS(status);
}

static void forget(const char *dir)
{
    static const char *const FILES[] = {"data.mdb", "lock.mdb", ""};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", dir, FILES[i]);
        remove(path);
    }
}

static void a_backup_holds_what_was_committed_and_not_the_open_batch(void **state)
{
    struct rig *r = *state, copy = {0};
    struct stat st;
    uint64_t bytes = 0;
    char to[72], file[128];
    five_letters(r);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    put(b, T_PLAIN, "open", "batch");
    snprintf(to, sizeof to, "%s/copy", r->dir);
    assert_int_equal(backup(r, to, &bytes), LIAISON_OK);
    assert_int_equal(commit(r, b), LIAISON_OK);
    assert_int_equal(rows(r, T_PLAIN), 6);
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    snprintf(file, sizeof file, "%s/data.mdb", to);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, bytes);
    snprintf(copy.url, sizeof copy.url, "lmdb:%s", to);
    assert_int_equal(rig_open(&copy, &ROOMY), LIAISON_OK);
    assert_false(copy.fresh);
    assert_int_equal(rows(&copy, T_PLAIN), 5);
    assert_int_equal(store_head(copy.store, &copy.head), LIAISON_OK);
    assert_int_equal(copy.head.size + 1, r->head.size);
    rig_close(&copy);
    forget(to);
}

static void a_backup_leaves_free_pages_behind(void **state)
{
    struct rig *r = *state;
    static uint8_t big[1u << 20];
    static const char GONE[] = "deleted before the backup was made";
    uint64_t bytes = 0;
    char to[72], command[256];
    memcpy(big, GONE, sizeof GONE);
    struct store_batch *b = begin(r, STORE_ORDINARY);
    store_put(b, T_BIG, slice_text("k"), slice(big, sizeof big));
    assert_int_equal(commit(r, b), LIAISON_OK);
    b = begin(r, STORE_ORDINARY);
    store_delete(b, T_BIG, slice_text("k"));
    assert_int_equal(commit(r, b), LIAISON_OK);
    snprintf(to, sizeof to, "%s/copy", r->dir);
    assert_int_equal(backup(r, to, &bytes), LIAISON_OK);
    assert_true(bytes < sizeof big);
    snprintf(command, sizeof command, "grep -qaF '%s' %s/s/data.mdb", GONE, r->dir);
    assert_int_equal(system(command), 0); /* so there was something to leave behind */
    snprintf(command, sizeof command, "grep -qaF '%s' %s/data.mdb", GONE, to);
    assert_int_not_equal(system(command), 0);
    forget(to);
}

static void a_backup_wants_a_store_and_a_new_folder(void **state)
{
    struct rig *r = *state;
    uint64_t bytes = 0;
    char to[96], keep[96];
    five_letters(r);
    snprintf(to, sizeof to, "%s/copy", r->dir);
    assert_int_equal(mkdir(to, 0700), 0);
    assert_int_equal(backup(r, to, &bytes), LIAISON_FILE);
    assert_int_equal(rmdir(to), 0); /* still there, and empty */
    strcpy(keep, r->url);
    snprintf(r->url, sizeof r->url, "lmdb:%s/none", r->dir);
    assert_int_equal(backup(r, to, &bytes), LIAISON_FILE);
    assert_int_not_equal(access(to, F_OK), 0);
    strcpy(r->url, keep);
    snprintf(to, sizeof to, "%s/none/copy", r->dir);
    assert_int_equal(backup(r, to, &bytes), LIAISON_FILE);
}

static void a_backup_that_does_not_fit_leaves_nothing(void **state)
{
    struct rig *r = *state;
    static uint8_t big[2u << 20];
    struct rlimit was, less = {1u << 20, 1u << 20};
    uint64_t bytes = 0;
    char to[72];
    struct store_batch *b = begin(r, STORE_ORDINARY);
    store_put(b, T_BIG, slice_text("k"), slice(big, sizeof big));
    assert_int_equal(commit(r, b), LIAISON_OK);
    snprintf(to, sizeof to, "%s/copy", r->dir);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    less.rlim_max = was.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    enum liaison_code code = backup(r, to, &bytes);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(code, LIAISON_FULL);
    assert_int_not_equal(access(to, F_OK), 0);
}

/* ---------------------------------------------------------------- damaged meta pages */

enum { FREE_ROOT_AT = 80, MAIN_ROOT_AT = 128, LAST_PAGE_AT = 136, TXN_AT = 144 };
enum { FILE_MOST = 4 << 20 };

struct file {
    uint8_t bytes[FILE_MOST];
    size_t n;
};

static void read_data(const struct rig *r, struct file *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out->n = fread(out->bytes, 1, sizeof out->bytes, f);
    assert_in_range(out->n, 1, sizeof out->bytes - 1);
    fclose(f);
}

static void write_data(const struct rig *r, const struct file *in)
{
    char path[128];
    snprintf(path, sizeof path, "%s/s/data.mdb", r->dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(in->bytes, 1, in->n, f), in->n);
    assert_int_equal(fclose(f), 0);
}

static uint64_t meta_txn(const uint8_t *meta)
{
    uint64_t txn;
    memcpy(&txn, meta + TXN_AT, sizeof txn);
    return txn;
}

static void a_damaged_newest_page_is_noticed_and_nothing_is_written(void **state)
{
    static const struct {
        const char *why;
        bool of_the_older; /* its number becomes the higher one; else the newest gets a field of the older one */
        size_t at;
    } ROWS[] = {{"a higher number", true, TXN_AT},
                {"the tree before", false, MAIN_ROOT_AT},
                {"the free pages before", false, FREE_ROOT_AT},
                {"the length before", false, LAST_PAGE_AT}};
    struct rig *r = *state;
    static struct file good, bad, after;
    long page = sysconf(_SC_PAGESIZE);
    uint8_t big[9000] = {0};

    for (int i = 0; i < 6; i++) { /* grows with every commit */
        struct store_batch *b = begin(r, STORE_ORDINARY);
        store_put(b, T_BIG, slice(&"abcdef"[i], 1), slice(big, sizeof big));
        assert_int_equal(commit(r, b), LIAISON_OK);
    }
    rig_close(r);
    read_data(r, &good);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        bool sound = true;
        struct store_batch *b;
        bad = good;
        uint8_t *newest = bad.bytes, *older = bad.bytes + page;
        if (meta_txn(newest) < meta_txn(older)) {
            newest = older;
            older = bad.bytes;
        }
        if (ROWS[i].of_the_older)
            older[ROWS[i].at + 2] ^= 1;
        else
            memcpy(newest + ROWS[i].at, older + ROWS[i].at, 8);
        write_data(r, &bad);
        assert_int_equal(rig_open(r, &ROOMY), LIAISON_OK);
        assert_int_equal(store_lock(r->store, &sound, r->why, sizeof r->why), LIAISON_OK);
        if (sound)
            fail_msg("%s was not noticed", ROWS[i].why);
        assert_non_null(strstr(r->why, "damaged"));
        assert_int_equal(store_head(r->store, &r->head), LIAISON_OK);
        assert_int_equal(store_begin(r->store, &r->head, STORE_RESERVE, &b), LIAISON_OK);
        assert_int_equal(commit(r, b), LIAISON_FENCED);
        rig_close(r);
        read_data(r, &after);
        assert_int_equal(after.n, bad.n);
        assert_memory_equal(after.bytes, bad.bytes, bad.n);
    }
    bool sound = false;
    write_data(r, &good);
    assert_int_equal(rig_open(r, &ROOMY), LIAISON_OK);
    assert_int_equal(store_lock(r->store, &sound, r->why, sizeof r->why), LIAISON_OK);
    assert_true(sound);
}

#define OPENED(f)  cmocka_unit_test_setup_teardown(f, empty_rig, drop_rig)
#define LEADING(f) cmocka_unit_test_setup_teardown(f, leading_rig, drop_rig)

int main(void)
{
    static const struct CMUnitTest TESTS[] = {
        OPENED(a_new_store_is_fresh_until_a_batch_commits),
        OPENED(only_the_owner_can_read_what_it_makes),
        OPENED(a_directory_that_others_may_enter_is_refused),
        OPENED(a_data_file_that_others_may_read_is_refused),
        OPENED(a_store_that_cannot_be_is_refused_with_a_reason),
        OPENED(a_store_that_lost_its_data_is_damaged_and_not_new),
        LEADING(a_damaged_newest_page_is_noticed_and_nothing_is_written),
        OPENED(bytes_that_are_no_store_are_damaged),
        OPENED(a_second_leader_is_fenced_until_the_first_dies),
        OPENED(a_reader_elsewhere_is_seen_and_cleared_when_it_is_dead),
        LEADING(begin_on_another_head_is_fenced),
        OPENED(kill_9_in_a_batch_leaves_the_batch_before),
        LEADING(a_batch_sees_its_own_changes_and_others_do_not),
        LEADING(an_aborted_batch_leaves_nothing),
        LEADING(values_come_back_as_they_were),
        LEADING(scans_keep_to_their_range_and_limit),
        LEADING(an_append_that_does_not_grow_fails_the_batch_as_damage),
        LEADING(misuse_fails_the_batch),
        LEADING(the_next_head_must_be_of_this_epoch),
        LEADING(a_full_disk_stores_nothing_and_is_over_when_space_returns),
        LEADING(a_failed_commit_ends_all_use_of_the_store),
        OPENED(a_small_map_fills_and_recovers_after_deletes),
        LEADING(a_file_that_may_not_grow_stores_nothing_until_it_may),
        OPENED(a_disk_with_less_than_the_reserve_takes_the_reserves_batches_only),
        OPENED(one_batch_larger_than_the_map_stores_nothing),
        LEADING(a_backup_holds_what_was_committed_and_not_the_open_batch),
        LEADING(a_backup_leaves_free_pages_behind),
        LEADING(a_backup_wants_a_store_and_a_new_folder),
        LEADING(a_backup_that_does_not_fit_leaves_nothing),
    };
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
