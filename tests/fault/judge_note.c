/* What a policy makes of a note: judge_note POLICY [ROTATION...] <NOTE. Prints `size N witnesses N quorum yes|no`, or
 * the code that refuses it. */
#include <stdio.h>
#include <time.h>

#include "proto/err.h"
#include "proto/note.h"

static uint8_t text[NOTE_BYTES_MAX];

static struct slice read_all(FILE *f)
{
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text, f);

    if (f != NULL && f != stdin)
        fclose(f);
    return slice(text, n);
}

static enum liaison_code judge(struct note_policy *p, int n, char *const *rotations)
{
    struct note_judgement j;
    enum liaison_code code = LIAISON_OK;

    for (int i = 0; i < n && code == LIAISON_OK; i++)
        code = note_policy_rotate(p, read_all(fopen(rotations[i], "r")));
    if (code == LIAISON_OK)
        code = note_judge(p, read_all(stdin), (uint64_t)time(NULL), &j);
    if (code == LIAISON_OK)
        printf("size %llu witnesses %zu quorum %s\n",
               (unsigned long long)j.checkpoint.size, j.n_witnesses,
               j.quorum ? "yes" : "no");
    else
        puts(err_name(code));
    return code;
}

int main(int argc, char *argv[])
{
    struct note_policy *policy = NULL;
    char why[256] = "usage: judge_note POLICY [ROTATION...] <NOTE";

    if (argc < 2 || note_policy_parse(read_all(fopen(argv[1], "r")), &policy, why,
                                      sizeof why) != LIAISON_OK) {
        fprintf(stderr, "judge_note: %s\n", why);
        return 64;
    }
    enum liaison_code code = judge(policy, argc - 2, argv + 2);

    note_policy_free(policy);
    return code == LIAISON_OK ? 0 : 1;
}
