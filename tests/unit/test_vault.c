/* The key file and what it wraps: two slots, one epoch, and what a rotation that is cut short leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/core/keyfile.h"
#include "broker/core/vault.h"

enum { SECOND_SLOT = 4096, SLOT_BYTES = 128, KEY_TEXT = 64 };

static const struct vault_slot SLOT = {1, 7}, NEIGHBOUR = {1, 8}, FAR = {1, 256},
                               OTHER_TABLE = {2, 7};

struct rig {
    char dir[64], path[80], why[512];
    struct hash *h;
    struct key_file *file;
    struct vault *vault;
};

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    snprintf(r->dir, sizeof r->dir, "/tmp/test_vault.XXXXXX");
    if (mkdtemp(r->dir) == NULL)
        return -1;
    snprintf(r->path, sizeof r->path, "%s/key", r->dir);
    r->h = hash_new();
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    key_file_close(r->file);
    vault_close(r->vault);
    hash_free(r->h);
    unlink(r->path);
    rmdir(r->dir);
    free(r);
    return 0;
}

static enum liaison_code open_at(struct rig *r, bool make, uint64_t epoch)
{
    key_file_close(r->file);
    r->file = NULL;
    return key_file_open(r->path, make, epoch, r->h, &r->file, r->why, sizeof r->why);
}

static void must_open(struct rig *r, bool make, uint64_t epoch)
{
    if (open_at(r, make, epoch) != LIAISON_OK)
        fail_msg("%s", r->why);
}

/* The file as it stands, as text behind which zeros may follow. */
static struct slice contents(const struct rig *r)
{
    static uint8_t bytes[16384];
    int fd = open(r->path, O_RDONLY);
    ssize_t n = read(fd, bytes, sizeof bytes);

    close(fd);
    assert_true(n >= 0);
    return slice(bytes, (size_t)n);
}

static void hex_of(const uint8_t key[KEY_FILE_KEY], char out[KEY_TEXT + 1])
{
    for (size_t i = 0; i < KEY_FILE_KEY; i++)
        snprintf(out + 2 * i, 3, "%02x", key[i]);
}

static bool file_holds(const struct rig *r, const char *text)
{
    struct slice s = contents(r);

    return memmem(s.p, s.n, text, strlen(text)) != NULL;
}

static void write_file(const struct rig *r, off_t at, const char *text, size_t n)
{
    int fd = open(r->path, O_WRONLY | O_CREAT, 0600);

    assert_int_equal(pwrite(fd, text, n, at), (ssize_t)n);
    close(fd);
}

static const char OLD_FILE[] = "liaison-key-file 1 "
                               "000102030405060708090a0b0c0d0e0f"
                               "101112131415161718191a1b1c1d1e1f\n";

/* ------------------------------------------------------------ the key file */

static void a_new_key_file_is_of_epoch_0_and_opens_again(void **state)
{
    struct rig *r = *state;
    struct stat st;
    uint8_t key[KEY_FILE_KEY];

    assert_int_equal(open_at(r, false, 0), LIAISON_FILE);
    must_open(r, true, 0);
    memcpy(key, key_file_key(r->file), sizeof key);
    assert_int_equal(stat(r->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    must_open(r, false, 0);
    assert_memory_equal(key_file_key(r->file), key, sizeof key);
    assert_int_equal(key_file_epoch(r->file), 0);
    assert_null(key_file_next(r->file));
}

static void a_file_of_one_line_is_epoch_0_and_is_rotated_like_others(void **state)
{
    struct rig *r = *state;

    write_file(r, 0, OLD_FILE, sizeof OLD_FILE - 1);
    must_open(r, false, 0);
    assert_int_equal(key_file_key(r->file)[31], 0x1f);
    assert_int_equal(key_file_draw(r->file, r->h), LIAISON_OK);
    assert_int_equal(key_file_turn(r->file), LIAISON_OK);
    assert_false(file_holds(r, "000102030405"));
    assert_false(file_holds(r, "liaison-key-file 1"));
    must_open(r, false, 1);
}

static void what_is_no_key_file_is_refused(void **state)
{
    struct rig *r = *state;
    static const struct {
        const char *why, *text;
    } CASES[] = {
        {"empty", ""},
        {"no magic",
         "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"},
        {"short", "liaison-key-file 1 000102\n"},
        {"capitals",
         "liaison-key-file 1 "
         "000102030405060708090A0B0C0D0E0F101112131415161718191a1b1c1d1e1f\n"},
        {"no end", "liaison-key-file 1 "
                   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
        {"more", "liaison-key-file 1 "
                 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\nx"},
        {"version", "liaison-key-file 3 "
                    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"},
        {"epoch", "liaison-key-file 2 99999999999999999999 "
                  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"},
    };

    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        unlink(r->path);
        write_file(r, 0, CASES[i].text, strlen(CASES[i].text));
        if (open_at(r, true, 0) != LIAISON_CONFIG)
            fail_msg("%s was taken", CASES[i].why);
    }
}

static void a_key_file_that_others_may_read_is_refused(void **state)
{
    struct rig *r = *state;

    must_open(r, true, 0);
    assert_int_equal(chmod(r->path, 0640), 0);
    assert_int_equal(open_at(r, false, 0), LIAISON_PERMISSION);
}

static void after_a_rotation_the_old_key_is_not_in_the_file(void **state)
{
    struct rig *r = *state;
    char old[KEY_TEXT + 1], new[KEY_TEXT + 1];

    must_open(r, true, 0);
    for (uint64_t epoch = 1; epoch <= 3; epoch++) {
        hex_of(key_file_key(r->file), old);
        assert_true(file_holds(r, old));
        assert_int_equal(key_file_draw(r->file, r->h), LIAISON_OK);
        hex_of(key_file_next(r->file), new);
        assert_true(file_holds(r, old) && file_holds(r, new));
        assert_int_equal(key_file_turn(r->file), LIAISON_OK);
        assert_int_equal(key_file_epoch(r->file), epoch);
        assert_false(file_holds(r, old));
        assert_true(file_holds(r, new));
    }
}

static void the_stores_epoch_says_which_slot_a_cut_rotation_leaves(void **state)
{
    struct rig *r = *state;
    char old[KEY_TEXT + 1], new[KEY_TEXT + 1];

    for (uint64_t committed = 0; committed <= 1; committed++) {
        unlink(r->path);
        must_open(r, true, 0);
        hex_of(key_file_key(r->file), old);
        assert_int_equal(key_file_draw(r->file, r->h), LIAISON_OK);
        hex_of(key_file_next(r->file), new);
        must_open(r, false, committed); /* as after a kill */
        assert_int_equal(key_file_epoch(r->file), committed);
        assert_int_equal(file_holds(r, old), committed == 0);
        assert_int_equal(file_holds(r, new), committed == 1);
    }
}

static void a_next_key_that_was_half_written_is_overwritten(void **state)
{
    struct rig *r = *state;

    must_open(r, true, 0);
    write_file(r, SECOND_SLOT, "liaison-key-file 2 00000000000000000001 abcdef", 46);
    must_open(r, false, 0);
    assert_false(file_holds(r, "abcdef"));
    struct slice s = contents(r);

    for (size_t i = 0; i < SLOT_BYTES; i++)
        assert_int_equal(s.p[SECOND_SLOT + i], 0);
}

static void a_next_key_that_is_dropped_leaves_the_file_as_it_was(void **state)
{
    struct rig *r = *state;
    static uint8_t before[16384];

    must_open(r, true, 0);
    struct slice s = contents(r);

    memcpy(before, s.p, s.n);
    assert_int_equal(key_file_draw(r->file, r->h), LIAISON_OK);
    assert_memory_not_equal(contents(r).p, before, s.n);
    assert_int_equal(key_file_drop(r->file), LIAISON_OK);
    assert_memory_equal(contents(r).p, before, s.n);
    assert_null(key_file_next(r->file));
}

static void a_key_file_of_another_epoch_is_refused_and_left_alone(void **state)
{
    struct rig *r = *state;
    char key[KEY_TEXT + 1];

    must_open(r, true, 0);
    assert_int_equal(key_file_draw(r->file, r->h), LIAISON_OK);
    assert_int_equal(key_file_turn(r->file), LIAISON_OK);
    hex_of(key_file_key(r->file), key);
    assert_int_equal(open_at(r, false, 0), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "before an erasure"));
    assert_int_equal(open_at(r, false, 2), LIAISON_CONFIG);
    assert_non_null(strstr(r->why, "old copy"));
    assert_true(file_holds(r, key));
}

/* ------------------------------------------------------------ groups and keys */

static void open_vault(struct rig *r, uint64_t epoch)
{
    vault_close(r->vault);
    r->vault = NULL;
    if (vault_open(r->path, true, epoch, r->h, &r->vault, r->why, sizeof r->why) !=
        LIAISON_OK)
        fail_msg("%s", r->why);
}

static void keys_open_in_their_slot_under_their_groups_key_only(void **state)
{
    struct rig *r = *state;
    uint8_t group[VAULT_GROUP_BYTES], wrapped[VAULT_WRAPPED_BYTES],
        other[VAULT_GROUP_BYTES];
    struct vault_keys keys, again;
    struct slice w = slice(wrapped, sizeof wrapped);

    open_vault(r, 0);
    assert_false(vault_has_group(r->vault, SLOT));
    vault_make_group(r->vault, SLOT, group);
    assert_true(vault_has_group(r->vault, NEIGHBOUR));
    assert_false(vault_has_group(r->vault, FAR));
    assert_false(vault_has_group(r->vault, OTHER_TABLE));
    vault_make_keys(r->vault, SLOT, &keys, wrapped);
    assert_int_equal(vault_unwrap(r->vault, NEIGHBOUR, w, &again), LIAISON_DAMAGED);
    open_vault(r, 0); /* nothing in memory */
    assert_int_equal(vault_take_group(r->vault, FAR, slice(group, sizeof group)),
                     LIAISON_DAMAGED);
    assert_int_equal(vault_take_group(r->vault, OTHER_TABLE, slice(group, sizeof group)),
                     LIAISON_DAMAGED);
    assert_int_equal(vault_take_group(r->vault, SLOT, slice(group, sizeof group)),
                     LIAISON_OK);
    assert_int_equal(vault_unwrap(r->vault, SLOT, w, &again), LIAISON_OK);
    assert_memory_equal(&again, &keys, sizeof keys);
    vault_make_group(r->vault, SLOT, other); /* as when a neighbour is erased */
    assert_int_equal(vault_unwrap(r->vault, SLOT, w, &again), LIAISON_DAMAGED);
    vault_wrap(r->vault, SLOT, &keys, wrapped);
    assert_int_equal(vault_unwrap(r->vault, SLOT, w, &again), LIAISON_OK);
    assert_memory_equal(&again, &keys, sizeof keys);
}

static void many_groups_take_turns_in_memory(void **state)
{
    enum { GROUPS = 1000 };
    static uint8_t groups[GROUPS][VAULT_GROUP_BYTES],
        wrapped[GROUPS][VAULT_WRAPPED_BYTES];
    struct rig *r = *state;
    struct vault_keys keys, again;

    open_vault(r, 0);
    for (size_t i = 0; i < GROUPS; i++) {
        const struct vault_slot slot = {(uint8_t)(1 + i % 2), i << VAULT_GROUP_BITS};

        vault_make_group(r->vault, slot, groups[i]);
        vault_make_keys(r->vault, slot, &keys, wrapped[i]);
    }
    for (size_t i = 0; i < GROUPS; i++) {
        const struct vault_slot slot = {(uint8_t)(1 + i % 2), i << VAULT_GROUP_BITS};

        if (!vault_has_group(r->vault, slot))
            assert_int_equal(
                vault_take_group(r->vault, slot, slice(groups[i], sizeof groups[i])),
                LIAISON_OK);
        assert_int_equal(
            vault_unwrap(r->vault, slot, slice(wrapped[i], sizeof wrapped[i]), &again),
            LIAISON_OK);
    }
    vault_forget_groups(r->vault);
    assert_false(vault_has_group(r->vault, SLOT));
}

static void a_group_opens_under_the_epoch_it_was_wrapped_in(void **state)
{
    struct rig *r = *state;
    uint8_t old[VAULT_GROUP_BYTES], new[VAULT_GROUP_BYTES], wrapped[VAULT_WRAPPED_BYTES];
    struct vault_keys keys, again;

    open_vault(r, 0);
    vault_make_group(r->vault, SLOT, old);
    vault_make_keys(r->vault, SLOT, &keys, wrapped);
    assert_int_equal(vault_draw(r->vault), LIAISON_OK);
    assert_int_equal(vault_rewrap(r->vault, FAR, slice(old, sizeof old), new),
                     LIAISON_DAMAGED);
    assert_int_equal(vault_rewrap(r->vault, SLOT, slice(old, sizeof old), new),
                     LIAISON_OK);
    assert_int_equal(vault_turn(r->vault), LIAISON_OK);
    assert_int_equal(vault_epoch(r->vault), 1);
    open_vault(r, 1);
    assert_int_equal(vault_take_group(r->vault, SLOT, slice(old, sizeof old)),
                     LIAISON_DAMAGED);
    assert_int_equal(vault_take_group(r->vault, SLOT, slice(new, sizeof new)),
                     LIAISON_OK);
    assert_int_equal(vault_unwrap(r->vault, SLOT, slice(wrapped, sizeof wrapped), &again),
                     LIAISON_OK);
    assert_memory_equal(&again, &keys, sizeof keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_new_key_file_is_of_epoch_0_and_opens_again),
        TEST(a_file_of_one_line_is_epoch_0_and_is_rotated_like_others),
        TEST(what_is_no_key_file_is_refused),
        TEST(a_key_file_that_others_may_read_is_refused),
        TEST(after_a_rotation_the_old_key_is_not_in_the_file),
        TEST(the_stores_epoch_says_which_slot_a_cut_rotation_leaves),
        TEST(a_next_key_that_was_half_written_is_overwritten),
        TEST(a_next_key_that_is_dropped_leaves_the_file_as_it_was),
        TEST(a_key_file_of_another_epoch_is_refused_and_left_alone),
        TEST(keys_open_in_their_slot_under_their_groups_key_only),
        TEST(many_groups_take_turns_in_memory),
        TEST(a_group_opens_under_the_epoch_it_was_wrapped_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
