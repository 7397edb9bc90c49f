/* What a policy makes of a note: judge_note POLICY [ROTATION...] <NOTE. Prints `size N witnesses N quorum yes|no`, or the code that refuses it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/err.h"
#include "proto/note.h"

static struct slice read_all(FILE *f)
{
    uint8_t *p = malloc(NOTE_BYTES_MAX);

    return f == NULL || p == NULL ? slice(NULL, 0)
                                  : slice(p, fread(p, 1, NOTE_BYTES_MAX, f));
}

int main(int argc, char *argv[])
{
    struct note_policy *policy = NULL;
    struct note_judgement j;
    char why[256] = "usage: judge_note POLICY [ROTATION...] <NOTE";
    FILE *f = argc >= 2 ? fopen(argv[1], "r") : NULL;

    if (f == NULL ||
        note_policy_parse(read_all(f), &policy, why, sizeof why) != LIAISON_OK) {
        fprintf(stderr, "judge_note: %s\n", why);
        return 64;
    }
    enum liaison_code code = LIAISON_OK;

    for (int n = 2; n < argc && code == LIAISON_OK; n++)
        code = note_policy_rotate(policy, read_all(fopen(argv[n], "r")));
    if (code == LIAISON_OK)
        code = note_judge(policy, read_all(stdin), (uint64_t)time(NULL), &j);

    if (code == LIAISON_OK)
        printf("size %llu witnesses %zu quorum %s\n",
               (unsigned long long)j.checkpoint.size, j.n_witnesses,
               j.quorum ? "yes" : "no");
    else
        puts(err_name(code));
    return code == LIAISON_OK && j.quorum ? 0 : 1;
}
