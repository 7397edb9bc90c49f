/* What a gate does with a peer's message before any key or rule is asked: strict decoding, forms, digests.
 * What is taken encodes to exactly what came, whatever depth it stood at. */
#include <stdlib.h>

#include "broker/session/judge.h"
#include "proto/hash.h"
#include "proto/valid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const void *decode(const ProtobufCMessageDescriptor *d, struct slice in,
                          struct arena *a)
{
    const void *m = NULL;
    struct slice again;

    if (valid_decode(d, in, a, &m) != LIAISON_OK)
        return NULL;
    again = arena_pack(a, m);
    if (!slice_equal(in, again))
        abort();
    return m;
}

/* A form that is refused says why. */
static bool said(enum liaison_code code, const char *why)
{
    if (code != LIAISON_OK && why == NULL)
        abort();
    return code == LIAISON_OK;
}

static void sections(struct hash *h, struct arena *a, Liaison__V1__Section *const *list,
                     size_t n, const ProtobufCBinaryData *digests, size_t n_digests,
                     const char *reader)
{
    const char *names[VALID_REPEATED_MAX] = {0}, *why = NULL;

    if (!said(valid_sections(h, a, list, n, digests, n_digests, reader, names, &why),
              why))
        return;
    for (size_t i = 0; i < n; i++)
        if (names[i] == NULL || !id_word(names[i]))
            abort();
}

static void referral(struct hash *h, struct arena *a,
                     const Liaison__V1__SignedReferral *r)
{
    const Liaison__V1__Envelope *e;
    const char *why = NULL;

    if (r == NULL)
        return;
    e = decode(&liaison__v1__envelope__descriptor,
               slice(r->envelope.data, r->envelope.len), a);
    if (r->signature != NULL)
        (void)said(valid_signature(r->signature, &why), why);
    if (e != NULL && said(valid_envelope(e, &why), why))
        sections(h, a, r->sections, r->n_sections, e->digests, e->n_digests, e->to);
}

static void action(struct hash *h, struct arena *a, const Liaison__V1__SignedAction *s)
{
    const Liaison__V1__Action *m =
        decode(&liaison__v1__action__descriptor, slice(s->action.data, s->action.len), a);
    const char *why = NULL;

    if (m != NULL && said(valid_action(m, &why), why))
        sections(h, a, s->sections, s->n_sections, m->digests, m->n_digests, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct hash *h = hash_new();
    struct arena *a = arena_new();
    const Liaison__V1__Frame *f =
        decode(&liaison__v1__frame__descriptor, slice(data, n), a);

    if (f != NULL && judge_sender(f) == JUDGE_NOBODY &&
        f->body_case == LIAISON__V1__FRAME__BODY_SUBMIT)
        abort();
    if (f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_SUBMIT)
        referral(h, a, f->submit->referral);
    if (f != NULL && f->body_case == LIAISON__V1__FRAME__BODY_ACT)
        action(h, a, f->act);
    arena_free(a);
    hash_free(h);
    return 0;
}
