/* The evidence of a fork or rollback, as a file. */
#include <stdio.h>
#include <stdlib.h>

#include "client/audit/verify.h"

static void print_note(FILE *f, const char *which, struct slice note)
{
    fprintf(f, "%s %zu\n", which, note.n);
    fwrite(note.p, 1, note.n, f);
}

enum liaison_code verify_fork_print(const struct verify_fork *v, uint8_t **text,
                                    size_t *len)
{
    char *bytes = NULL;
    FILE *f = open_memstream(&bytes, len);

    if (f == NULL)
        return LIAISON_MEMORY;
    fputs("liaison/1 fork\n", f);
    print_note(f, "first", v->first);
    print_note(f, "second", v->second);
    fprintf(f, "proof %zu\n", v->proof_len);
    for (size_t i = 0; i < v->proof_len; i++) {
        for (size_t j = 0; j < HASH_BYTES; j++)
            fprintf(f, "%02x", v->proof[i][j]);
        fputc('\n', f);
    }
    bool good = !ferror(f);

    if (fclose(f) != 0 || !good) {
        free(bytes);
        return LIAISON_MEMORY;
    }
    *text = (uint8_t *)bytes;
    return LIAISON_OK;
}
