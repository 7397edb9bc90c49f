#include "client/lib/lists.h"

#include <openssl/asn1.h>

#include "client/lib/answer.h"
#include "client/lib/engine.h"

enum { SEQUENCE = V_ASN1_CONSTRUCTED | V_ASN1_SEQUENCE }; /* a list's first byte */

static enum liaison_code ask(struct liaison *l, uint64_t from,
                             struct liaison_answer **answer)
{
    Liaison__V1__Frame f = LIAISON__V1__FRAME__INIT;
    Liaison__V1__Directory directory = LIAISON__V1__DIRECTORY__INIT;
    Liaison__V1__Caller caller = LIAISON__V1__CALLER__INIT;
    struct outcall *c;

    directory.lists = true;
    directory.lists_from = from;
    f.caller = lib_caller(l, &caller) ? &caller : NULL;
    f.body_case = LIAISON__V1__FRAME__BODY_DIRECTORY;
    f.directory = &directory;
    enum liaison_code code = engine_call(l, &f, LIAISON__V1__FRAME__BODY_AGENCIES, &c);

    return code == LIAISON_OK ? engine_await(l, c, answer) : code;
}

/* The next part behind the n bytes that are there. False: it did not come, or is of other lists. */
static bool fetch_part(struct liaison *l, const Liaison__V1__Agencies *page, uint8_t *to,
                       size_t *n)
{
    struct liaison_answer *answer = NULL;
    bool good = ask(l, *n, &answer) == LIAISON_OK;
    const Liaison__V1__Agencies *got = good ? answer->frame->agencies : NULL;

    good = good && got->lists_part.len > 0 &&
           got->lists_part.len <= page->lists_size - *n &&
           slice_equal(slice(got->lists_sha256.data, got->lists_sha256.len),
                       slice(page->lists_sha256.data, page->lists_sha256.len));
    if (good) {
        memcpy(to + *n, got->lists_part.data, got->lists_part.len);
        *n += got->lists_part.len;
    }
    liaison_answer_free(answer);
    return good;
}

struct slice lists_fetch(struct liaison *l, const Liaison__V1__Agencies *page,
                         struct arena *a)
{
    uint8_t have[HASH_BYTES], *to;
    size_t n = 0;

    if (page->lists_size > LISTS_MAX || page->lists_sha256.len != sizeof have ||
        (to = arena_alloc(a, (size_t)page->lists_size)) == NULL)
        return slice(NULL, 0);
    while (n < page->lists_size)
        if (!fetch_part(l, page, to, &n))
            return slice(NULL, 0);
    struct slice all = slice(to, n);

    hash_sha256(l->hash, &all, 1, have);
    return memcmp(have, page->lists_sha256.data, sizeof have) == 0 ? all : slice(NULL, 0);
}

struct slice lists_next(struct slice *bytes)
{
    const unsigned char *at = bytes->p;
    long len = 0;
    int tag, class;

    if (bytes->n == 0 || bytes->n > LISTS_MAX || bytes->p[0] != SEQUENCE ||
        ASN1_get_object(&at, &len, &tag, &class, (long)bytes->n) != V_ASN1_CONSTRUCTED)
        return slice(NULL, 0);
    struct slice one = slice(bytes->p, (size_t)(at - bytes->p) + (size_t)len);

    *bytes = slice(one.p + one.n, bytes->n - one.n);
    return one;
}
