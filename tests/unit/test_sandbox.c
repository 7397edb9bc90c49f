/* What a confined process can no longer do, tried in children that can. A build with a sanitizer skips it, as the broker does. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/ops/sandbox.h"

struct rig {
    char folder[64], in[80], out[80], link[80], file[100], other[100];
};

static void put(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static int make_rig(void **state)
{
    struct rig *r = test_calloc(1, sizeof *r);

    strcpy(r->folder, "/tmp/liaison-sandbox-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    snprintf(r->in, sizeof r->in, "%s/in", r->folder);
    snprintf(r->out, sizeof r->out, "%s/out", r->folder);
    snprintf(r->link, sizeof r->link, "%s/in/link", r->folder);
    snprintf(r->file, sizeof r->file, "%s/file", r->in);
    snprintf(r->other, sizeof r->other, "%s/file", r->out);
    assert_int_equal(mkdir(r->in, 0700), 0);
    assert_int_equal(mkdir(r->out, 0700), 0);
    put(r->file);
    put(r->other);
    assert_int_equal(symlink(r->other, r->link), 0);
    *state = r;
    return 0;
}

static int drop_rig(void **state)
{
    struct rig *r = *state;

    unlink(r->link);
    unlink(r->file);
    unlink(r->other);
    rmdir(r->in);
    rmdir(r->out);
    rmdir(r->folder);
    test_free(r);
    return 0;
}

/* Runs `body` in a child; it returns the line that went wrong, 0 for none. -1: this kernel has not what is tried. */
static void in_a_child(int (*body)(const struct rig *r), void **state)
{
    int status;
    pid_t child;

    if (!sandbox_fits()) {
        print_message("SKIPPED: built with a sanitizer\n");
        skip();
    }
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(body(*state) & 0xff);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 0xff) {
        print_message("SKIPPED: this kernel has it not, or refused\n");
        skip();
    }
    if (WEXITSTATUS(status) != 0)
        fail_msg("step %d of the child went wrong", WEXITSTATUS(status));
}

static bool opens(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int files(const struct rig *r)
{
    const struct sandbox_place places[] = {{SANDBOX_FILE, r->file}, {SANDBOX_FILE, NULL}};

    if (!opens(r->other, O_RDONLY) || !opens("/etc/passwd", O_RDONLY))
        return 1;
    if (sandbox_files(places, 2) == 0)
        return -1;
    if (!opens(r->file, O_RDONLY))
        return 2;
    if (opens(r->file, O_WRONLY) || opens(r->other, O_RDONLY) ||
        opens(r->link, O_RDONLY) || opens("/etc/passwd", O_RDONLY))
        return 3;
    if (unlink(r->file) == 0 || truncate(r->other, 0) == 0)
        return 4;
    execl("/bin/true", "true", (char *)NULL);
    return errno == EACCES ? 0 : 5;
}

static void only_named_places_can_be_read(void **state)
{
    in_a_child(files, state);
}

static int replaced(const struct rig *r)
{
    const struct sandbox_place places[] = {{SANDBOX_FILE, r->link}};

    if (sandbox_files(places, 1) == 0)
        return -1;
    /* the folder of the link, and the folder that it leads to */
    return opens(r->link, O_RDONLY) && opens(r->file, O_RDONLY) ? 0 : 1;
}

static void a_link_is_followed_to_where_it_leads(void **state)
{
    in_a_child(replaced, state);
}

static int folder(const struct rig *r)
{
    const struct sandbox_place places[] = {{SANDBOX_READ, r->in}};

    if (sandbox_files(places, 1) == 0)
        return -1;
    return !opens(r->file, O_RDONLY) || opens(r->file, O_RDWR) ||
                   opens(r->other, O_RDONLY) || opens(r->folder, O_RDONLY)
               ? 1
               : 0;
}

static void a_folder_is_read_and_nothing_beside_it(void **state)
{
    in_a_child(folder, state);
}

static int layers(const struct rig *r)
{
    const struct sandbox_place make[] = {{SANDBOX_MAKE, r->file},
                                         {SANDBOX_FILE, r->other}};
    const struct sandbox_place read[] = {{SANDBOX_FILE, r->other}};
    char fresh[120];

    snprintf(fresh, sizeof fresh, "%s.new", r->file);
    if (sandbox_files(make, 2) == 0)
        return -1;
    if (!opens(fresh, O_RDWR | O_CREAT) || unlink(fresh) != 0)
        return 1;
    if (sandbox_files(read, 1) == 0)
        return 2;
    return opens(fresh, O_RDWR | O_CREAT) || opens(r->file, O_RDONLY) ||
                   !opens(r->other, O_RDONLY)
               ? 3
               : 0;
}

static void a_second_layer_takes_more_away(void **state)
{
    in_a_child(layers, state);
}

static void *nothing(void *arg)
{
    return arg;
}

static int calls(const struct rig *r)
{
    pthread_t thread;
    void *data =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (!sandbox_calls())
        return -1;
    if (!opens(r->file, O_RDONLY)) /* Landlock's business */
        return 1;
    execl("/bin/true", "true", (char *)NULL);
    if (errno != EPERM)
        return 2;
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 3;
    if (fork() >= 0 || errno != EPERM)
        return 4;
    if (pthread_create(&thread, NULL, nothing, NULL) != 0 ||
        pthread_join(thread, NULL) != 0)
        return 5;
    if (mprotect(data, 4096, PROT_READ | PROT_EXEC) == 0 ||
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
            MAP_FAILED)
        return 6;
    if (munmap(data, 4096) != 0 || unlink(r->file) == 0 || chmod(r->file, 0777) == 0 ||
        setuid(0) == 0 || prctl(PR_SET_DUMPABLE, 1) == 0)
        return 7;
    return 0;
}

static void only_a_brokers_calls_can_be_made(void **state)
{
    in_a_child(calls, state);
}

static void *wait_and_try(void *arg)
{
    char byte;

    if (read(*(int *)arg, &byte, 1) != 1)
        return arg;
    return socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM ? NULL : arg;
}

static int threads(const struct rig *r)
{
    int ends[2];
    pthread_t before;
    void *wrong;

    (void)r;
    if (pipe(ends) != 0 || pthread_create(&before, NULL, wait_and_try, &ends[0]) != 0)
        return 1;
    if (!sandbox_calls())
        return -1;
    if (write(ends[1], "x", 1) != 1 || pthread_join(before, &wrong) != 0)
        return 2;
    return wrong == NULL ? 0 : 3;
}

static void threads_that_run_already_are_confined_too(void **state)
{
    in_a_child(threads, state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_rig, drop_rig)
    const struct CMUnitTest tests[] = {
        TEST(only_named_places_can_be_read),
        TEST(a_link_is_followed_to_where_it_leads),
        TEST(a_folder_is_read_and_nothing_beside_it),
        TEST(a_second_layer_takes_more_away),
        TEST(only_a_brokers_calls_can_be_made),
        TEST(threads_that_run_already_are_confined_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
