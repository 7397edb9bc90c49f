/* Any bytes as a rules file: refused with at least one error, or a set whose rules, written canonically, say the same again. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/conf.h"
#include "broker/rules/build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_agency(FILE *f, const struct rules_agency *a)
{
    static const char *const REGIMES[] = {"", " regime led", " regime gdpr"};

    fprintf(f, "agency %s kind %s area %s%s", a->name, a->kind, a->area,
            REGIMES[a->regime]);
    for (size_t i = 0; i < a->supervisors.n; i++)
        fprintf(f, "%s%s", i == 0 ? " supervisor { " : ", ", a->supervisors.list[i]);
    fputs(a->supervisors.n > 0 ? " }\n" : "\n", f);
}

/* The same set without its comments, layout and groups. NULL: it needs its groups. */
static char *written_again(const struct rules *r)
{
    char *text = NULL;
    size_t len;
    bool groups = false;
    FILE *f = open_memstream(&text, &len);
    const struct rules_agency *a;

    if (f == NULL)
        abort();
    fprintf(f, "network \"%s\"\n", rules_network(r));
    for (size_t i = 0; (a = rules_agency_at(r, i)) != NULL; i++)
        write_agency(f, a);
    for (size_t i = 0; i < rules_count(r); i++) {
        const char *line = rules_line_at(r, i, NULL)->text;

        groups = groups || strstr(line, " group ") != NULL;
        fprintf(f, "%s\n", line);
    }
    fclose(f);
    if (groups) {
        free(text);
        return NULL;
    }
    return text;
}

static void check_again(const struct rules *r)
{
    struct rules *again = NULL;
    char *text = written_again(r);

    if (text == NULL)
        return;
    FILE *warnings = fopen("/dev/null", "w"); /* of rules that have ended */

    if (warnings == NULL ||
        conf_read_rules("again", slice_text(text), &again, warnings) != LIAISON_OK ||
        rules_count(again) != rules_count(r))
        abort();
    fclose(warnings);
    for (size_t i = 0; i < rules_count(r); i++)
        if (memcmp(rules_line_at(r, i, NULL)->id, rules_line_at(again, i, NULL)->id,
                   32) != 0)
            abort(); /* the id must depend on the meaning alone */
    rules_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rules *r = NULL;
    char *errors = NULL;
    size_t len;
    FILE *f = open_memstream(&errors, &len);

    if (f == NULL)
        abort();
    enum liaison_code code = conf_read_rules("fuzz", slice(data, size), &r, f);

    fclose(f);
    if ((code == LIAISON_OK) != (strstr(errors, "error: ") == NULL) ||
        (code == LIAISON_OK) != (r != NULL))
        abort(); /* conf.h: an error is always said, and but for warnings nothing else is */
    if (r != NULL)
        check_again(r);
    rules_free(r);
    free(errors);
    return 0;
}
