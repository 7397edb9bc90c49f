/* From files to settings and rules, with everything that is wrong said at once. */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "broker/conf/conf.h"
#include "broker/conf/json.h"
#include "broker/conf/names.h"
#include "broker/conf/settings.h"
#include "broker/conf/sources.h"

/* One run over a file and those that it names. */
struct run {
    struct arena *arena;
    struct tree tree;
    struct sources sources;
    const struct conf_source *first; /* read */
    const struct conf_source *rules; /* the file that the rules begin in */
    bool rules_alone;                /* the file holds no setting and need not */
    struct conf conf;
};

/* What a run takes for rules. */
enum origin {
    FROM_SETTINGS, /* a settings file with what it names */
    FROM_ANY,      /* that, or a rules file */
    FROM_TEXT,     /* a text, which names nothing */
    FROM_KEPT,     /* the kept text of a set */
};

/* ---------------------------------------------------------------- judging */

static bool has_rules(const struct tree *t)
{
    return t->network.s != NULL || t->keep.s != NULL ||
           t->n_agencies + t->n_groups + t->n_auditors + t->n_rules + t->n_tests +
                   t->certificates.n + t->includes.n >
               0;
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
        const struct conf_source *s =
            sources_read(&run->sources, run->conf.rules_file, NULL, rules_setting(t));

        if (s == NULL)
            return false;
        run->rules = s;
        tree_read(t, s, false);
        return true;
    }
    if (here || run->rules_alone)
        return true;
    if (!t->lost_setting && rules_setting(t).file == NULL)
        report_error(t->report, (struct place){.file = run->first},
                     "there are no rules; expected rules \"FILE\", or network, agency, "
                     "allow and so on in this file");
    return false;
}

static void refuse_includes(struct tree *t)
{
    for (size_t i = 0; i < t->includes.n; i++)
        report_error(t->report, t->includes.list[i].at,
                     "this text is no file and cannot include one");
}

static void judge(struct run *run, enum origin source)
{
    struct tree *t = &run->tree;
    bool here = has_rules(t); /* before the rules file adds to it */
    size_t n;

    if (source < FROM_TEXT && !run->rules_alone)
        settings_take(t, run->first, &run->conf);
    bool whole = read_rules(run, here);

    if (!whole && !here)
        return;
    if (source < FROM_TEXT)
        sources_include(&run->sources);
    else if (source == FROM_TEXT)
        refuse_includes(t);
    if (!whole || t->lost_include)
        t->lost_agency = t->lost_group = t->lost_rule = t->lost_network = true;
    names_check(t, run->rules);
    if (report_no_memory(t->report))
        return;
    const struct slice *texts =
        sources_texts(&run->sources, here || run->rules == run->first, &n);

    if (texts != NULL)
        run->conf.rules = names_build(t, texts, n);
}

/* Reads what `path` names, or `text` under its name, into the tree. False: it could not be read, and that is reported. */
static bool read_first(struct run *run, const char *path, const struct slice *text,
                       enum origin source)
{
    struct report *r = run->tree.report;
    size_t most = source == FROM_KEPT ? SOURCES_BYTES_MAX : CONF_FILE_MAX;

    if (text != NULL && text->n > most) {
        report_error(r, (struct place){0}, "%s is too large; expected at most %zu bytes",
                     path, most);
        return false;
    }
    if (source == FROM_KEPT) {
        run->tree.kept = true;
        return sources_read_kept(&run->sources, *text);
    }
    const struct conf_source *s =
        text != NULL ? sources_add(&run->sources, path, NULL, *text)
                     : sources_read(&run->sources, path, NULL, (struct place){0});

    if (s != NULL)
        tree_read(&run->tree, s, text == NULL);
    return s != NULL;
}

/* Reads and judges all of it; what is wrong is in the report. */
static void read_all_of(struct run *run, const char *path, const struct slice *text,
                        enum origin origin)
{
    if (!read_first(run, path, text, origin))
        return;
    run->first = run->rules = &run->sources.list[0]->source;
    run->rules_alone =
        origin >= FROM_TEXT ||
        (origin == FROM_ANY && run->tree.n_set == 0 && !run->tree.lost_setting);
    judge(run, origin);
}

static enum liaison_code run_code(const struct run *run)
{
    if (report_no_memory(run->tree.report))
        return LIAISON_MEMORY;
    if (report_count(run->tree.report) > 0)
        return run->sources.unreadable ? LIAISON_FILE : LIAISON_CONFIG;
    return run->conf.rules != NULL ? LIAISON_OK : LIAISON_INTERNAL;
}

static bool run_new(struct run *run, FILE *errors)
{
    *run = (struct run){.arena = arena_new()};
    if (run->arena == NULL || (run->tree.report = report_new(run->arena)) == NULL) {
        fputs("error: out of memory\n", errors);
        return false;
    }
    run->tree.arena = run->arena;
    run->sources.tree = &run->tree;
    return true;
}

static enum liaison_code run_file(struct run *run, const char *path,
                                  const struct slice *text, enum origin origin,
                                  FILE *errors)
{
    if (!run_new(run, errors))
        return LIAISON_MEMORY;
    read_all_of(run, path, text, origin);
    report_print(run->tree.report, errors);
    return run_code(run);
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
    enum liaison_code code = run_file(&run, path, NULL, FROM_SETTINGS, errors);

    if (code != LIAISON_OK) {
        run_free(&run);
        return code;
    }
    run.conf.rules_files = run.sources.read_again;
    run.conf.n_rules_files = run.sources.n_read_again;
    run.conf.arena = run.arena; /* handed over, texts and all */
    SHA256(run.first->text.p, run.first->text.n, run.conf.sha256);
    *out = run.conf;
    return LIAISON_OK;
}

enum liaison_code conf_find_control(const char *path, char **out)
{
    struct run run;
    FILE *nowhere = fopen("/dev/null", "we");
    enum liaison_code code = nowhere == NULL
                                 ? LIAISON_FILE
                                 : run_file(&run, path, NULL, FROM_SETTINGS, nowhere);

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

    return take_rules(&run, run_file(&run, path, NULL, FROM_SETTINGS, errors), out);
}

enum liaison_code conf_load_any_rules(const char *path, struct rules **out, FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, path, NULL, FROM_ANY, errors), out);
}

enum liaison_code conf_read_rules(const char *name, struct slice text, struct rules **out,
                                  FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, name, &text, FROM_TEXT, errors), out);
}

enum liaison_code conf_read_kept(struct slice text, struct rules **out, FILE *errors)
{
    struct run run;

    return take_rules(&run, run_file(&run, "the kept rules", &text, FROM_KEPT, errors),
                      out);
}

static void print_rules(const struct run *run, FILE *out)
{
    const struct tree *t = &run->tree;
    uint8_t id[32];

    rules_set_id(run->conf.rules, id);
    fprintf(out, "%s: rules are right: network %s, %zu %s, %zu %s, %zu %s, set ",
            run->rules->name, rules_network(run->conf.rules), t->n_agencies,
            t->n_agencies == 1 ? "agency" : "agencies", t->n_auditors,
            t->n_auditors == 1 ? "auditor" : "auditors", t->n_rules,
            t->n_rules == 1 ? "rule" : "rules");
    for (size_t i = 0; i < sizeof id; i++)
        fprintf(out, "%02x", id[i]);
    if (t->n_tests > 0)
        fprintf(out, ", %zu %s", t->n_passed,
                t->n_passed == 1 ? "test passed" : "tests passed");
    fputc('\n', out);
}

enum liaison_code conf_check(const char *path, FILE *out, FILE *errors)
{
    struct run run;
    enum liaison_code code = run_file(&run, path, NULL, FROM_ANY, errors);

    if (code == LIAISON_OK) {
        if (!run.rules_alone)
            fprintf(out, "%s: settings are right\n", run.first->name);
        print_rules(&run, out);
    }
    run_free(&run);
    return code;
}

/* Tests are run when nothing else was wrong: then all that was reported is said by them. */
static bool ran(const struct tree *t)
{
    return t->n_tests > 0 && t->tests[0].ran;
}

static void print_result(const struct tree_test *t, bool json, FILE *out)
{
    char where[400];

    snprintf(where, sizeof where, "%.380s:%u", t->name.at.file->base, t->name.at.line);
    if (!json) {
        fprintf(out, "%s  %s", t->failure == NULL ? "pass" : "FAIL", t->name.s);
        if (t->failure != NULL)
            fprintf(out, "\n      %s: %s", where, t->failure);
        fputc('\n', out);
        return;
    }
    fputs("{\"test\":", out);
    json_text(out, t->name.s);
    fputs(",\"where\":", out);
    json_text(out, where);
    fprintf(out, ",\"passed\":%s,\"questions\":%zu",
            t->failure == NULL ? "true" : "false", t->questions);
    if (t->failure != NULL) {
        fputs(",\"failure\":", out);
        json_text(out, t->failure);
    }
    fputs("}\n", out);
}

enum liaison_code conf_test(const char *path, bool json, FILE *out, FILE *errors)
{
    struct run run;
    enum liaison_code code = LIAISON_MEMORY;

    if (run_new(&run, errors)) {
        read_all_of(&run, path, NULL, FROM_ANY);
        code = run_code(&run);
        if (!ran(&run.tree))
            report_print(run.tree.report, errors);
        for (size_t i = 0; i < run.tree.n_tests && ran(&run.tree); i++)
            print_result(&run.tree.tests[i], json, out);
        if (!json && (code == LIAISON_OK || ran(&run.tree)))
            fprintf(out, "%zu of %zu tests passed\n", run.tree.n_passed,
                    run.tree.n_tests);
    }
    run_free(&run);
    return code;
}
