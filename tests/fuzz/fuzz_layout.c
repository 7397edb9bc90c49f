/* Any rules file that is right, laid out: the result says the same and would be laid out no other way. And any bytes as the
 * kept text of a set: refused with an error, or a set whose own kept text is that set again. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/conf/conf.h"
#include "broker/conf/layout.h"
#include "broker/rules/build.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_say_the_same(const struct rules *r, const struct rules *again,
                              bool same_text)
{
    uint8_t id[32], id_again[32];

    rules_set_id(r, id);
    rules_set_id(again, id_again);
    must(!same_text || memcmp(id, id_again, sizeof id) == 0);
    must(rules_count(again) == rules_count(r));
    for (size_t i = 0; i < rules_count(r); i++)
        must(memcmp(rules_line_at(r, i, NULL)->id, rules_line_at(again, i, NULL)->id,
                    32) == 0);
}

static void lay_out(struct slice text, FILE *errors)
{
    struct rules *r = NULL, *again = NULL;
    struct arena *a = arena_new();
    struct slice once = {0}, twice = {0};

    if (conf_read_rules("fuzz", text, &r, errors) == LIAISON_OK) {
        must(layout(text, a, &once) && layout(once, a, &twice));
        must(slice_equal(once, twice));
        must(conf_read_rules("again", once, &again, errors) == LIAISON_OK);
        must_say_the_same(r, again, false);
    }
    rules_free(r);
    rules_free(again);
    arena_free(a);
}

static void read_kept(struct slice text, FILE *errors)
{
    struct rules *r = NULL, *again = NULL;

    if (conf_read_kept(text, &r, errors) == LIAISON_OK) {
        must(conf_read_kept(rules_text(r), &again, errors) == LIAISON_OK);
        must_say_the_same(r, again, true);
    }
    rules_free(r);
    rules_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *errors = fopen("/dev/null", "w");

    must(errors != NULL);
    lay_out(slice(data, size), errors);
    read_kept(slice(data, size), errors);
    fclose(errors);
    return 0;
}
