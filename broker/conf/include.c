/* `include "PATTERN"`. */
#include <ctype.h>
#include <glob.h>

#include "broker/conf/sources.h"

static const char WILD[] = "*?[";

/* The folder of a path, with its '/' at the end; "" if it has none. */
static size_t folder_len(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* `name` in the folder of `beside`, unless it is absolute. NULL: memory is out, reported. */
static const char *in_folder_of(struct sources *f, const char *beside, const char *name)
{
    size_t n = *name == '/' ? 0 : folder_len(beside), len = strlen(name);
    char *path = arena_alloc(f->tree->arena, n + len + 1);

    if (path == NULL) {
        report_memory(f->tree->report);
        return NULL;
    }
    memcpy(path, beside, n);
    memcpy(path + n, name, len + 1);
    return path;
}

static void note_read(struct sources *f, const char *path, bool folder)
{
    struct conf_read *list = tree_grow(f->tree, f->read_again, f->n_read_again,
                                       &f->read_again_room, sizeof *list);

    if (list == NULL || path == NULL)
        return;
    list[f->n_read_again++] = (struct conf_read){path, folder};
    f->read_again = list;
}

/* The kept text of a set names its files, a line each. */
static bool plain(const char *name)
{
    for (; *name != '\0'; name++)
        if (iscntrl((unsigned char)*name))
            return false;
    return true;
}

/* Reads one file; `name` is as the naming file would write it. */
static void include_file(struct sources *f, const struct text *pattern, const char *name)
{
    const struct source_file *from = (const struct source_file *)pattern->at.file;
    const char *path = in_folder_of(f, from->source.name, name),
               *base = in_folder_of(f, from->source.base, name);
    unsigned depth = from->depth + 1;

    if (path == NULL || base == NULL)
        return;
    if (f->n == SOURCES_MAX || depth > SOURCES_DEPTH_MAX || !plain(name)) {
        report_error(
            f->tree->report, pattern->at,
            !plain(name) ? "a file's name has control characters; expected none"
            : depth > SOURCES_DEPTH_MAX
                ? "files include each other too deeply; expected at most 8 levels"
                : "too many sources; expected at most 1024");
        f->tree->lost_include = true;
        return;
    }
    const struct conf_source *s = sources_read(f, path, base, pattern->at);

    if (s == NULL) {
        f->tree->lost_include = true;
        return;
    }
    f->list[f->n - 1]->depth = depth;
    tree_read(f->tree, s, false);
}

/* The folder of the naming file as a pattern that matches nothing else, then the pattern. */
static char *as_pattern(struct sources *f, const char *beside, const char *pattern,
                        size_t *prefix)
{
    size_t n = *pattern == '/' ? 0 : folder_len(beside), at = 0;
    char *out = arena_alloc(f->tree->arena, 2 * n + strlen(pattern) + 1);

    *prefix = n;
    if (out == NULL) {
        report_memory(f->tree->report);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        if (strchr("*?[\\", beside[i]) != NULL)
            out[at++] = '\\';
        out[at++] = beside[i];
    }
    strcpy(out + at, pattern);
    return out;
}

/* The folder that holds all a pattern can match. */
static const char *folder_of(struct sources *f, const struct text *pattern)
{
    const char *path = in_folder_of(f, pattern->at.file->name, pattern->s);

    if (path == NULL)
        return NULL;
    size_t fixed = strlen(path) - strlen(pattern->s) + strcspn(pattern->s, WILD);

    while (fixed > 0 && path[fixed - 1] != '/')
        fixed--;
    const char *folder =
        fixed > 0 ? (const char *)arena_copy(f->tree->arena, slice(path, fixed)) : ".";

    if (folder == NULL)
        report_memory(f->tree->report);
    return folder;
}

static void include_matching(struct sources *f, const struct text *pattern)
{
    glob_t found = {0};
    size_t prefix;
    const char *wanted = as_pattern(f, pattern->at.file->name, pattern->s, &prefix);
    int code = wanted != NULL ? glob(wanted, 0, NULL, &found) : GLOB_NOSPACE;

    note_read(f, folder_of(f, pattern), true);
    if (code == GLOB_NOSPACE)
        report_memory(f->tree->report);
    else if (code != 0 || found.gl_pathc == 0)
        report_warning(f->tree->report, pattern->at, "no file matches \"%s\"",
                       pattern->s);
    for (size_t i = 0; code == 0 && i < found.gl_pathc; i++)
        include_file(f, pattern, found.gl_pathv[i] + prefix);
    globfree(&found);
}

void sources_include(struct sources *f)
{
    struct tree *t = f->tree;

    for (size_t i = 0; i < t->includes.n && !report_full(t->report); i++) {
        const struct text *pattern = &t->includes.list[i];

        if (*pattern->s == '\0')
            report_error(t->report, pattern->at, "the name is empty; expected a file's");
        else if (strpbrk(pattern->s, WILD) != NULL)
            include_matching(f, pattern);
        else {
            note_read(f, in_folder_of(f, pattern->at.file->name, pattern->s), false);
            include_file(f, pattern, pattern->s);
        }
    }
}
