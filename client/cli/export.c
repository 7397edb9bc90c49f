/* show --export: the signed pieces of a referral as files, for whoever wants to check them with openssl alone. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cli/cli.h"

static bool write_piece(const char *dir, const char *name, ProtobufCBinaryData bytes,
                        int *status)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return files_write_new(path, slice(bytes.data, bytes.len), status);
}

/* The burst's place and path: "INDEX SIZE", then a line of hex a hash. */
static bool write_path(struct cli *c, const char *dir, const Liaison__V1__Signature *s,
                       int *status)
{
    size_t room = 32 + s->n_path * 65, n;
    char *text = arena_alloc(c->arena, room);

    if (text == NULL)
        return *status = cli_fail(LIAISON_MEMORY, "out of memory"), false;
    n = (size_t)snprintf(text, room, "%u %u\n", s->index, s->size);
    for (size_t i = 0; i < s->n_path; i++) {
        for (size_t j = 0; j < s->path[i].len && j < 32; j++)
            n += (size_t)snprintf(text + n, room - n, "%02x", s->path[i].data[j]);
        n += (size_t)snprintf(text + n, room - n, "\n");
    }
    return write_piece(dir, "path.txt", (ProtobufCBinaryData){n, (uint8_t *)text},
                       status);
}

int export_view(struct cli *c, const Liaison__V1__SignedReferral *r, const char *dir)
{
    int status = 0;

    if (mkdir(dir, 0700) != 0)
        return cli_fail(LIAISON_FILE, "%s: %s; name a folder that is not there yet", dir,
                        strerror(errno));
    if (write_piece(dir, "envelope.bin", r->envelope, &status) &&
        write_piece(dir, "certificate.der", r->signature->certificate, &status) &&
        write_piece(dir, "signature.der", r->signature->signature, &status) &&
        write_path(c, dir, r->signature, &status))
        fprintf(stderr,
                "liaison: wrote envelope.bin, certificate.der, signature.der and "
                "path.txt to %s; "
                "PROTOCOL.md, \"Signatures\", has the openssl commands\n",
                dir);
    return status;
}
