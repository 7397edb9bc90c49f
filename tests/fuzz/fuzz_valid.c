/* Property: what the strict decoder takes, protobuf-c would write in exactly those bytes. */
#include <stdlib.h>

#include "proto/valid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const TYPES[] = {
    &liaison__v1__frame__descriptor,        &liaison__v1__envelope__descriptor,
    &liaison__v1__action__descriptor,       &liaison__v1__section_header__descriptor,
    &liaison__v1__section_body__descriptor, &liaison__v1__ledger_entry__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) {
        struct arena *a = arena_new();
        const void *m;

        if (a != NULL && valid_decode(TYPES[i], slice(data, size), a, &m) == LIAISON_OK) {
            struct slice again = arena_pack(a, m);

            if (!slice_equal(again, slice(data, size)))
                abort(); /* valid.h promised otherwise */
        }
        arena_free(a);
    }
    return 0;
}
