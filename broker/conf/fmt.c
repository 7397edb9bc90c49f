#include "broker/conf/fmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "broker/conf/layout.h"
#include "broker/conf/sources.h"
#include "proto/err.h"

struct job {
    const char *file;
    bool write, check, help;
};

static int usage(FILE *to)
{
    fputs("usage: liaisond fmt FILE [--write | --check]\n\n"
          "  Prints a settings or rules file in the one layout; comments and the order "
          "of lines stay.\n"
          "  --write  write it back into FILE instead\n"
          "  --check  print nothing; exit 65 if FILE has another layout\n"
          "\nExample: liaisond fmt rules.conf --write\n",
          to);
    return to == stdout ? EX_OK : EX_USAGE;
}

/* False: said what is wrong. */
static bool take_words(struct job *j, int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--write") == 0)
            j->write = true;
        else if (strcmp(argv[i], "--check") == 0)
            j->check = true;
        else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            j->help = true;
        else if (argv[i][0] == '-' || argv[i][0] == '\0' || j->file != NULL) {
            fprintf(
                stderr,
                "liaisond: fmt does not know \"%s\"; 'liaisond fmt --help' shows what "
                "it knows\n",
                argv[i]);
            return false;
        } else
            j->file = argv[i];
    }
    if (j->help || (j->file != NULL && !(j->write && j->check)))
        return true;
    fputs(j->file == NULL
              ? "liaisond: fmt wants a FILE\n"
              : "liaisond: --write and --check are two things; expected one\n",
          stderr);
    return false;
}

/* All of it beside the file, then in its place: whoever reads meanwhile sees the old text or the new one. */
static bool write_beside(const char *path, struct slice text, char *beside)
{
    struct stat st;
    int fd = mkstemp(beside);
    bool good = fd >= 0 && stat(path, &st) == 0 && fchmod(fd, st.st_mode & 07777) == 0;

    for (size_t n = 0; good && n < text.n;) {
        ssize_t wrote = write(fd, text.p + n, text.n - n);

        good = wrote > 0;
        n += good ? (size_t)wrote : 0;
    }
    good = good && fsync(fd) == 0;
    if (fd >= 0)
        good = close(fd) == 0 && good;
    good = good && rename(beside, path) == 0;
    if (fd >= 0 && !good)
        unlink(beside);
    return good;
}

static int write_back(const char *file, struct slice text)
{
    char *path = realpath(file, NULL), *beside = NULL; /* a link stays one */
    bool good = path != NULL && asprintf(&beside, "%s.XXXXXX", path) > 0 &&
                write_beside(path, text, beside);

    if (!good)
        fprintf(stderr, "liaisond: cannot write %s: %s\n", file, strerror(errno));
    free(beside);
    free(path);
    return good ? EX_OK : EX_CANTCREAT;
}

static int deliver(const struct job *j, struct slice before, struct slice after)
{
    bool same = slice_equal(before, after);

    if (j->check) {
        if (!same)
            fprintf(stderr,
                    "%s: has another layout; 'liaisond fmt %s --write' changes it\n",
                    j->file, j->file);
        return same ? EX_OK : EX_DATAERR;
    }
    if (j->write)
        return same ? EX_OK : write_back(j->file, after);
    fwrite(after.p, 1, after.n, stdout);
    return fflush(stdout) == 0 && !ferror(stdout) ? EX_OK : EX_IOERR;
}

static int format(const struct job *j, struct arena *a)
{
    struct tree tree = {.arena = a, .report = report_new(a)};
    struct sources sources = {.tree = &tree};
    struct slice after;

    if (tree.report == NULL)
        return err_exit(LIAISON_MEMORY);
    const struct conf_source *s =
        sources_read(&sources, j->file, NULL, (struct place){0});

    if (s != NULL)
        tree_read(&tree, s, true);
    report_print(tree.report, stderr);
    if (report_count(tree.report) > 0)
        return err_exit(sources.unreadable ? LIAISON_FILE : LIAISON_CONFIG);
    if (report_no_memory(tree.report) || s == NULL || !layout(s->text, a, &after))
        return err_exit(LIAISON_MEMORY);
    return deliver(j, s->text, after);
}

int fmt_command(int argc, char *const *argv)
{
    struct job j = {0};
    struct arena *a = NULL;

    if (!take_words(&j, argc, argv))
        return EX_USAGE;
    if (j.help)
        return usage(stdout);
    a = arena_new();
    int status = a != NULL ? format(&j, a) : err_exit(LIAISON_MEMORY);

    arena_free(a);
    return status;
}
