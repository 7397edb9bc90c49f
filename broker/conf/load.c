/* From files to settings and rules, with everything that is wrong said at once. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/conf/conf.h"
#include "broker/conf/names.h"
#include "broker/conf/settings.h"
#include "proto/valid.h"

/* One run over a file and the one it names. */
struct run {
    struct arena *arena;
    struct tree tree;
    struct conf_source sources[2];
    size_t n_sources;
    bool rules_alone; /* the file holds no setting and need not */
    bool unreadable;
    struct conf conf;
};

/* ---------------------------------------------------------------- reading */

/* Reads all of an open file. NULL: errno says why; EFBIG past CONF_FILE_MAX. */
static uint8_t *read_all(int fd, struct arena *a, size_t *n)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return NULL;
    errno = S_ISDIR(st.st_mode) ? EISDIR : S_ISREG(st.st_mode) ? 0 : EINVAL;
    if (errno != 0)
        return NULL;
    size_t room = st.st_size < CONF_FILE_MAX ? (size_t)st.st_size + 1 : CONF_FILE_MAX + 1;
    uint8_t *text = arena_alloc(a, room);

    errno = ENOMEM;
    for (*n = 0; text != NULL && *n < room;) {
        ssize_t got = read(fd, text + *n, room - *n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return NULL;
        if (got == 0)
            return text;
        *n += (size_t)got;
    }
    errno =
        text != NULL ? EFBIG : ENOMEM; /* larger than allowed, or it grew as we read */
    return NULL;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static struct conf_source *add_source(struct run *run, const char *name,
                                      struct slice text)
{
    struct conf_source *s = &run->sources[run->n_sources];

    *s = (struct conf_source){name, base_name(name), text, (unsigned)run->n_sources};
    run->n_sources++;
    return s;
}

/* Says in which line a text stops being UTF-8 without NUL; such text is not looked at further. */
static bool check_text(struct run *run, const struct conf_source *s)
{
    const uint8_t *p = s->text.p, *end = s->text.p + s->text.n;

    for (uint32_t line = 1; p < end; line++) {
        const uint8_t *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop != NULL ? stop : end) - p);

        if (!valid_utf8(slice(p, n))) {
            report_error(run->tree.report,
                         (struct place){s, line, (uint32_t)(p - s->text.p)},
                         "this line is not UTF-8 text");
            return false;
        }
        p += n + 1;
    }
    return true;
}

/* Reads a file as the next source. `named_at` is where its name stands, if it stands in a file. */
static struct conf_source *read_source(struct run *run, const char *path,
                                       struct place named_at)
{
    size_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC |
                            O_NONBLOCK); /* a FIFO is refused, not waited for */
    uint8_t *text = fd >= 0 ? read_all(fd, run->arena, &n) : NULL;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (text != NULL) {
        struct conf_source *s = add_source(run, path, slice(text, n));

        return check_text(run, s) ? s : NULL;
    }
    run->unreadable = true;
    report_error(run->tree.report, named_at, "cannot read %s: %s", path,
                 error == EINVAL ? "Not a regular file" : strerror(error));
    return NULL;
}

/* ---------------------------------------------------------------- judging */

static bool has_rules(const struct tree *t)
{
    return t->network.s != NULL || t->keep.s != NULL ||
           t->n_agencies + t->n_groups + t->n_auditors + t->n_rules > 0;
}

static struct place rules_setting(const struct tree *t)
{
    for (size_t i = 0; i < t->n_set; i++)
        if (strcmp(t->set[i].name.s, "rules") == 0)
            return t->set[i].name.at;
    return (struct place){0};
}

/* Reads the rules file that the settings name. False: the rules are not all there, and that is reported. */
static bool read_rules(struct run *run, bool here)
{
    struct tree *t = &run->tree;

    if (run->conf.rules_file != NULL) {
        struct conf_source *s = read_source(run, run->conf.rules_file, rules_setting(t));

        if (s != NULL)
            tree_read(t, s, false);
        return s != NULL;
    }
    if (here || run->rules_alone)
        return true;
    if (!t->lost_setting && rules_setting(t).file == NULL)
        report_error(t->report, (struct place){.file = &run->sources[0]},
                     "there are no rules; expected rules \"FILE\", or network, agency, "
                     "allow and so on in this file");
    return false;
}

static void judge(struct run *run)
{
    struct tree *t = &run->tree;
    bool here = has_rules(t); /* before the rules file adds to it */
    struct slice texts[2];
    size_t n = 0;

    if (!run->rules_alone)
        settings_take(t, &run->sources[0], &run->conf);
    bool whole = read_rules(run, here);

    if (!whole && !here)
        return;
    if (!whole)
        t->lost_agency = t->lost_group = t->lost_rule = t->lost_network = true;
    names_check(t, &run->sources[run->n_sources - 1]);
    if (report_no_memory(t->report))
        return;
    if (here || run->n_sources == 1)
        texts[n++] = run->sources[0].text;
    if (run->n_sources == 2)
        texts[n++] = run->sources[1].text;
    run->conf.rules = names_build(t, texts, n);
}

/* Reads and judges `path`, or `text` under its name. `alone_too`: a file without settings is a rules file. */
static enum liaison_code run_file(struct run *run, const char *path,
                                  const struct slice *text, bool alone_too, FILE *errors)
{
    *run = (struct run){.arena = arena_new()};
    if (run->arena == NULL || (run->tree.report = report_new(run->arena)) == NULL) {
        fputs("error: out of memory\n", errors);
        return LIAISON_MEMORY;
    }
    run->tree.arena = run->arena;
    struct conf_source *s = NULL;

    if (text == NULL)
        s = read_source(run, path, (struct place){0});
    else if (text->n > CONF_FILE_MAX)
        report_error(run->tree.report, (struct place){0},
                     "%s is too large; expected at most %d bytes", path, CONF_FILE_MAX);
    else if (!check_text(run, s = add_source(run, path, *text)))
        s = NULL;
    if (s != NULL) {
        tree_read(&run->tree, s, text == NULL);
        run->rules_alone = text != NULL ||
                           (alone_too && run->tree.n_set == 0 && !run->tree.lost_setting);
        judge(run);
    }
    report_print(run->tree.report, errors);
    if (report_no_memory(run->tree.report))
        return LIAISON_MEMORY;
    if (report_count(run->tree.report) > 0)
        return run->unreadable ? LIAISON_FILE : LIAISON_CONFIG;
    return run->conf.rules != NULL ? LIAISON_OK : LIAISON_INTERNAL;
}

static void run_free(struct run *run)
{
    rules_free(run->conf.rules);
    arena_free(run->arena);
}

/* ---------------------------------------------------------------- for main */

enum liaison_code conf_load(const char *path, struct conf *out, FILE *errors)
{
    struct run run;
    enum liaison_code code = run_file(&run, path, NULL, false, errors);

    if (code != LIAISON_OK) {
        run_free(&run);
        return code;
    }
    run.conf.arena = run.arena; /* handed over, texts and all */
    SHA256(run.sources[0].text.p, run.sources[0].text.n, run.conf.sha256);
    *out = run.conf;
    return LIAISON_OK;
}

enum liaison_code conf_find_control(const char *path, char **out)
{
    struct run run;
    FILE *nowhere = fopen("/dev/null", "we");
    enum liaison_code code =
        nowhere == NULL ? LIAISON_FILE : run_file(&run, path, NULL, false, nowhere);

    if (nowhere == NULL)
        return code;
    fclose(nowhere);
    if (run.conf.control != NULL)
        code = (*out = strdup(run.conf.control)) == NULL ? LIAISON_MEMORY : LIAISON_OK;
    else if (code == LIAISON_OK)
        code = LIAISON_CONFIG;
    run_free(&run);
    return code;
}

void conf_free(struct conf *c)
{
    rules_free(c->rules);
    arena_free(c->arena);
    *c = (struct conf){0};
}

static enum liaison_code take_rules(struct run *run, enum liaison_code code,
                                    struct rules **out)
{
    if (code == LIAISON_OK)
        *out = rules_share(run->conf.rules);
    run_free(run);
    return code;
}

enum liaison_code conf_load_rules(const char *path, struct rules **out, FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, path, NULL, false, errors), out);
}

enum liaison_code conf_load_any_rules(const char *path, struct rules **out, FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, path, NULL, true, errors), out);
}

enum liaison_code conf_read_rules(const char *name, struct slice text, struct rules **out,
                                  FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, name, &text, true, errors), out);
}

static void print_rules(const struct run *run, FILE *out)
{
    const struct tree *t = &run->tree;
    uint8_t id[32];

    rules_set_id(run->conf.rules, id);
    fprintf(out, "%s: rules are right: network %s, %zu %s, %zu %s, %zu %s, set ",
            run->sources[run->n_sources - 1].name, rules_network(run->conf.rules),
            t->n_agencies, t->n_agencies == 1 ? "agency" : "agencies", t->n_auditors,
            t->n_auditors == 1 ? "auditor" : "auditors", t->n_rules,
            t->n_rules == 1 ? "rule" : "rules");
    for (size_t i = 0; i < sizeof id; i++)
        fprintf(out, "%02x", id[i]);
    fputc('\n', out);
}

enum liaison_code conf_check(const char *path, FILE *out, FILE *errors)
{
    struct run run;
    enum liaison_code code = run_file(&run, path, NULL, true, errors);

    if (code == LIAISON_OK) {
        if (!run.rules_alone)
            fprintf(out, "%s: settings are right\n", run.sources[0].name);
        print_rules(&run, out);
    }
    run_free(&run);
    return code;
}
