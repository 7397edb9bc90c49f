/* Opens one broker's store with each bit of both meta pages flipped in turn, each time in a process of its own, for 09-meta-pages.
 *
 *     meta_flips SETTINGS STORE [blind]
 *
 * SETTINGS are those of a broker that does not run, STORE its folder. Opening is what liaisond does before it takes the first
 * call: notary, store, checks, epoch. Prints one line of JSON: how many flips had which outcome. Files are as before afterwards.
 * `blind` takes away what looks: the store is believed to be the newest one, and no notary is asked. Then only the bits of the
 * two pages' numbers are flipped. Linked with --wrap=store_lock for that. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/conf/conf.h"
#include "broker/core/state.h"
#include "proto/err.h"

enum { META_PAGES = 2, META_BYTES = 152, TXN_AT = 144, PATIENCE_S = 20 };

enum outcome { NO_EFFECT, REFUSED, EVIDENCE, OLDER, OTHER, OUTCOME__COUNT };
static const char *const OUTCOMES[OUTCOME__COUNT] = {"no_effect", "refused", "evidence",
                                                     "older", "other"};

struct bytes {
    uint8_t *p;
    size_t n;
};

struct bench {
    struct conf conf;
    struct tls_trust *trust;
    char data[1024], lock[1024];
    struct bytes good;
    bool blind;
    uint64_t size; /* of the log as it is without a flip */
    uint8_t root[HASH_BYTES];
};

static bool blind; /* for the wrapper */

enum liaison_code __real_store_lock(struct store *s, bool *sound, char *why,
                                    size_t why_len);
enum liaison_code __wrap_store_lock(struct store *s, bool *sound, char *why,
                                    size_t why_len);

enum liaison_code __wrap_store_lock(struct store *s, bool *sound, char *why,
                                    size_t why_len)
{
    enum liaison_code code = __real_store_lock(s, sound, why, why_len);

    if (blind && code == LIAISON_OK)
        *sound = true;
    return code;
}

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "meta_flips: %s\n", what);
    exit(1);
}

static struct bytes read_all(const char *path)
{
    struct bytes b = {0};
    FILE *f = fopen(path, "r");

    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        die("the data file cannot be read");
    b.n = (size_t)ftell(f);
    b.p = malloc(b.n);
    rewind(f);
    if (b.p == NULL || fread(b.p, 1, b.n, f) != b.n)
        die("the data file cannot be read");
    fclose(f);
    return b;
}

static void write_all(const struct bench *t)
{
    int fd = open(t->data, O_WRONLY | O_TRUNC);

    if (fd < 0 || write(fd, t->good.p, t->good.n) != (ssize_t)t->good.n || close(fd) != 0)
        die("the data file cannot be written");
    unlink(t->lock);
}

static struct notary *notary_of(const struct bench *t, char *why, size_t why_len)
{
    const struct notary_settings s = {.key_file = t->conf.notary_key,
                                      .state_file = t->conf.notary_state,
                                      .origin = "practicies.example/eu/main/1"};
    int fd;
    pid_t pid;

    if (notary_start(&s, &fd, &pid, why, why_len) != LIAISON_OK)
        die(why);
    return notary_new(fd);
}

static enum liaison_code open_core(const struct bench *t, struct core **out)
{
    char why[1024] = "";
    struct core_settings s = {
        .zmq = zmq_ctx_new(),
        .gates = 1,
        .store_url = t->conf.store_url,
        .store = {.map_bytes = t->conf.map_bytes, .reserve_bytes = t->conf.reserve_bytes},
        .key_file = t->conf.store_key,
        .rules = t->conf.rules,
        .trust = t->trust,
        .broker = "eu/main",
        .lease_ms = 1000,
        .window = 1,
        .window_bytes = 1,
        .page = 1,
        .page_bytes = 1,
    };

    if (directory_load(t->conf.directory, t->trust, time(NULL), &s.directory, why,
                       sizeof why) != LIAISON_OK)
        die(why);
    if (!t->blind)
        s.notary = notary_of(t, why, sizeof why);
    enum liaison_code code = core_new(&s, out, why, sizeof why);

    if (code != LIAISON_OK)
        fprintf(stderr, "%s: %s\n", err_name(code), why);
    return code;
}

/* In a process of its own. */
static enum outcome opened(const struct bench *t)
{
    struct core *c;
    uint8_t root[HASH_BYTES];

    if (open_core(t, &c) != LIAISON_OK)
        return REFUSED;
    if (c->evidence)
        return EVIDENCE;
    if (log_size(c->log) < t->size)
        return OLDER;
    if (log_size(c->log) != t->size || log_root(c->log, t->size, root) != LIAISON_OK ||
        memcmp(root, t->root, sizeof root) != 0)
        return OTHER;
    return NO_EFFECT;
}

/* How it ended; a signal, as a store that cannot be mapped sends it, is a broker that does not start. */
static enum outcome in_child(const struct bench *t, unsigned *killed)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);

        if (null < 0 || dup2(null, STDERR_FILENO) < 0)
            _exit(OUTCOME__COUNT);
        alarm(PATIENCE_S);
        _exit((int)opened(t));
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        die("fork");
    if (WIFSIGNALED(status)) {
        ++*killed;
        return WTERMSIG(status) == SIGALRM ? OTHER : REFUSED;
    }
    if (WEXITSTATUS(status) >= OUTCOME__COUNT)
        die("a child could not begin");
    return (enum outcome)WEXITSTATUS(status);
}

/* Size and root as they are told without a flip. */
static void learn(struct bench *t)
{
    int ends[2];

    if (pipe(ends) != 0)
        die("pipe");
    pid_t child = fork();

    if (child == 0) {
        struct core *c;

        if (open_core(t, &c) != LIAISON_OK || c->evidence)
            die("the store is not sound");
        t->size = log_size(c->log);
        if (log_root(c->log, t->size, t->root) != LIAISON_OK ||
            write(ends[1], t, sizeof *t) != (ssize_t)sizeof *t)
            _exit(1);
        _exit(0);
    }
    struct bench said;

    close(ends[1]);
    if (child < 0 || read(ends[0], &said, sizeof said) != (ssize_t)sizeof said)
        die("the store cannot be opened as it is");
    close(ends[0]);
    waitpid(child, NULL, 0);
    t->size = said.size;
    memcpy(t->root, said.root, sizeof t->root);
    write_all(t);
}

static void prepare(struct bench *t, const char *settings, const char *store)
{
    char why[1024] = "";

    if (conf_load(settings, &t->conf, stderr) != LIAISON_OK ||
        tls_trust_load(rules_network(t->conf.rules), t->conf.ca, t->conf.crl, time(NULL),
                       &t->trust, why, sizeof why) != LIAISON_OK)
        die(why);
    snprintf(t->data, sizeof t->data, "%s/data.mdb", store);
    snprintf(t->lock, sizeof t->lock, "%s/lock.mdb", store);
    t->good = read_all(t->data);
}

int main(int argc, char *argv[])
{
    struct bench t = {0};
    unsigned counts[OUTCOME__COUNT] = {0}, killed = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (argc < 3)
        die("usage: meta_flips SETTINGS STORE [blind]");
    prepare(&t, argv[1], argv[2]);
    learn(&t);
    t.blind = blind = argc > 3;
    for (size_t bit = 0; bit < (size_t)META_PAGES * META_BYTES * 8; bit++) {
        if (blind && bit / 8 % META_BYTES < TXN_AT)
            continue; /* what would make an older one the newest */
        uint8_t *byte = t.good.p + bit / 8 / META_BYTES * page + bit / 8 % META_BYTES,
                mask = (uint8_t)(1u << bit % 8);

        *byte ^= mask;
        write_all(&t);
        *byte ^= mask;
        enum outcome o = in_child(&t, &killed);

        if (o == OLDER || o == OTHER)
            fprintf(stderr, "bit %zu of byte %zu: %s\n", bit % 8,
                    bit / 8 / META_BYTES * page + bit / 8 % META_BYTES, OUTCOMES[o]);
        counts[o]++;
    }
    write_all(&t);
    printf("{\"entries\":%llu,\"killed\":%u", (unsigned long long)t.size, killed);
    for (int o = 0; o < OUTCOME__COUNT; o++)
        printf(",\"%s\":%u", OUTCOMES[o], counts[o]);
    puts("}");
    conf_free(&t.conf);
    tls_trust_free(t.trust);
    free(t.good.p);
    return 0;
}
