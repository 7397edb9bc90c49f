/* What the core finds in its store: rows, sealed values and wrapped keys, whatever the disk made of them. Damage is told,
 * what is taken is whole, and what is written back is what was read.
 *
 * Input: a byte that says what the rest is: the party table, a byte of length before each row; a referral's row and its body,
 * a 16-bit length before the row; or edits to a sealed value and to wrapped keys. Nothing but the store's reads and writes
 * is put in place of the real thing (ld --wrap). */
#include <stdlib.h>
#include <unistd.h>

#include "broker/core/state.h"
#include "proto/valid.h"
#include "tests/fuzz/must.h"

enum {
    PARTIES,
    REFERRAL,
    SEALED,
    MODES,
    SIGNER_DER = 32,
    PARTIES_KNOWN = 2,
    TRAIL_MOST = 15
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
enum liaison_code __wrap_store_get(struct store_batch *tx, int table, struct slice key,
                                   struct slice *value);
void __wrap_store_put(struct store_batch *tx, int table, struct slice key,
                      struct slice value);
enum liaison_code __wrap_store_scan(struct store *s, int table, struct slice from,
                                    struct slice to, size_t limit, store_row *row,
                                    void *arg);

/* What the store holds during one input, and the row that was written last. */
struct store {
    struct slice row, body;
    struct slice parties;
    struct slice written;
    struct arena *arena;
};

/* Set once, before the first input; `disk` is its store. */
static struct store disk;
static struct core core = {.store = &disk};
static struct vault_keys keys;
static uint8_t wrapped[VAULT_WRAPPED_BYTES];
static const struct vault_slot SLOT = {T_REFERRAL, 7}, MONTH = {T_MONTH, 7};

enum liaison_code __wrap_store_get(struct store_batch *tx, int table, struct slice key,
                                   struct slice *value)
{
    (void)tx, (void)key;
    *value = table == T_REFERRAL ? disk.row
             : table == T_BODY   ? disk.body
                                 : slice("a certificate, for fuzzing only.", SIGNER_DER);
    return LIAISON_OK;
}

void __wrap_store_put(struct store_batch *tx, int table, struct slice key,
                      struct slice value)
{
    (void)tx, (void)key;
    if (table == T_REFERRAL)
        disk.written = value;
}

enum liaison_code __wrap_store_scan(struct store *s, int table, struct slice from,
                                    struct slice to, size_t limit, store_row *row,
                                    void *arg)
{
    (void)from, (void)to, (void)limit;
    struct slice rest = s->parties;

    for (uint32_t number = 1; rest.n > 0; number++) {
        size_t n = rest.p[0] < rest.n - 1 ? rest.p[0] : rest.n - 1;
        uint8_t key[4];

        be32_put(key, number);
        if (row(arg, slice(key, sizeof key), slice(rest.p + 1, n)) != 0)
            break;
        rest = slice(rest.p + 1 + n, rest.n - 1 - n);
    }
    must(table == T_PARTY);
    return LIAISON_OK;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char dir[] = "/tmp/liaison-fuzz.XXXXXX", path[64], why[256];
    uint8_t group[VAULT_GROUP_BYTES];

    (void)argc, (void)argv;
    must(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/key", dir);
    core.hash = hash_new();
    must(vault_open(path, true, 0, core.hash, &core.vault, why, sizeof why) ==
         LIAISON_OK);
    unlink(path);
    rmdir(dir);
    vault_make_group(core.vault, MONTH, group);
    vault_make_group(core.vault, SLOT, group);
    vault_make_keys(core.vault, SLOT, &keys, wrapped);
    return 0;
}

/* Every row that was taken is in memory as it stands in the store. */
static void are_as_stored(struct arena *a)
{
    struct slice rest = disk.parties;

    for (size_t i = 0; i < core.n_parties; i++) {
        const struct party *p = party_numbered(&core, (uint32_t)i + 1);
        size_t n = rest.p[0] < rest.n - 1 ? rest.p[0] : rest.n - 1;
        Liaison__Rows__V1__Party row = LIAISON__ROWS__V1__PARTY__INIT;

        row.name = (char *)(uintptr_t)p->name;
        row.counter = p->counter;
        row.mail = p->mail;
        row.taken = p->taken;
        must(slice_equal(arena_pack(a, &row.base), slice(rest.p + 1, n)));
        must(p->name[0] != '\0' && party_find(&core, p->name) == p && p->number == i + 1);
        rest = slice(rest.p + 1 + n, rest.n - 1 - n);
    }
}

static void forget_parties(void)
{
    party_free(&core);
    core.parties = NULL;
    core.party_names = NULL;
    core.n_parties = core.stored_parties = 0;
}

static void parties(struct slice rows, struct arena *a)
{
    disk.parties = rows;
    enum liaison_code code = party_load(&core);

    must(code == LIAISON_OK || code == LIAISON_DAMAGED);
    are_as_stored(a);
    forget_parties();
}

static struct slice sealed_body(struct slice plain, struct arena *a)
{
    uint8_t place[9], *out = arena_alloc(a, plain.n + VAULT_SEAL_BYTES);

    place[0] = T_BODY;
    be64_put(place + 1, SLOT.number);
    vault_seal(core.vault, &keys, slice(place, sizeof place), plain, out);
    return slice(out, plain.n + VAULT_SEAL_BYTES);
}

static void is_whole(const Liaison__Rows__V1__Referral *r)
{
    must(r->from >= 1 && r->from <= PARTIES_KNOWN && r->to >= 1 &&
         r->to <= PARTIES_KNOWN && r->responsible >= 1 &&
         r->responsible <= PARTIES_KNOWN);
    must(r->id.len == ID_BYTES && r->digest.len == HASH_BYTES &&
         r->signer.len == HASH_BYTES &&
         r->wrapped.len == (r->erased_seq == 0 ? VAULT_WRAPPED_BYTES : 0));
    must(r->trail.len % 8 == 0 && r->trail.len <= TRAIL_MOST * 8);
}

static void body(struct batch *b, struct item *i)
{
    i->keys = keys; /* as if the row's own had opened */
    i->keyed = true;
    enum liaison_code code = item_body(b, i);

    must(code == LIAISON_OK
             ? i->referral != NULL && i->envelope != NULL &&
                   i->referral->signature->certificate.len == SIGNER_DER
             : code == LIAISON_DAMAGED && b->failed == code && i->envelope == NULL);
}

/* The row is flushed as it was read, but for the one entry that was added to its trail. */
static void written_back(struct batch *b, struct item *i)
{
    size_t before = i->row.trail.len;
    const void *m;

    item_trail(b, i, 42);
    item_flush(b);
    must(valid_decode(&liaison__rows__v1__referral__descriptor, disk.written, b->arena,
                      &m) == LIAISON_OK);
    const Liaison__Rows__V1__Referral *again = m;

    must(again->trail.len == (before == TRAIL_MOST * 8 ? 0 : before + 8));
    ((Liaison__Rows__V1__Referral *)(uintptr_t)again)->trail.len = before;
    if (again->trail.data == NULL || before == TRAIL_MOST * 8)
        return;
    must(slice_equal(arena_pack(b->arena, &again->base), disk.row));
}

static void referral(struct slice in, struct arena *a)
{
    struct batch b = {.core = &core, .arena = a};
    size_t n = in.n < 2 ? 0 : (size_t)(in.p[0] << 8 | in.p[1]);

    if (in.n < 2)
        return;
    in = slice(in.p + 2, in.n - 2);
    n = n < in.n ? n : in.n;
    b.last = &b.first;
    disk.row = slice(in.p, n);
    disk.body = sealed_body(slice(in.p + n, in.n - n), a);
    must(party_named(&core, "fr/lyon/prison") != NULL &&
         party_named(&core, "fr/lyon/probation") != NULL);
    struct item *i = item_get(&b, SLOT.number);

    if (i == NULL) {
        must(b.failed == LIAISON_DAMAGED);
    } else {
        is_whole(&i->row);
        must(item_get(&b, SLOT.number) == i);
        written_back(&b, i);
        if (!item_erased(i))
            body(&b, i);
    }
    map_free(b.items);
    forget_parties();
}

/* Edits of 4 bytes: value or keys, two bytes of where, what to change there. Nothing that was changed opens. */
static void sealed(struct slice edits, struct arena *a)
{
    static const char VALUE[] = "a value, for fuzzing only";
    struct slice place = slice("\x02place", 6), out;
    uint8_t value[sizeof VALUE + VAULT_SEAL_BYTES], bent[VAULT_WRAPPED_BYTES],
        whole[sizeof value];
    struct vault_keys opened;

    vault_seal(core.vault, &keys, place, slice(VALUE, sizeof VALUE), value);
    memcpy(whole, value, sizeof whole);
    memcpy(bent, wrapped, sizeof bent);
    for (; edits.n >= 4; edits = slice(edits.p + 4, edits.n - 4)) {
        size_t at = (size_t)(edits.p[1] << 8 | edits.p[2]);

        if (edits.p[0] % 2 == 0)
            value[at % sizeof value] ^= edits.p[3];
        else
            bent[at % sizeof bent] ^= edits.p[3];
    }
    size_t n = sizeof value - (edits.n > 0 ? edits.p[0] % (sizeof value + 1) : 0);
    bool same = n == sizeof value && memcmp(value, whole, n) == 0;

    must((vault_unseal(core.vault, &keys, place, slice(value, n), a, &out) ==
          LIAISON_OK) == same);
    must(!same || slice_equal(out, slice(VALUE, sizeof VALUE)));
    same = memcmp(bent, wrapped, sizeof bent) == 0;
    must((vault_unwrap(core.vault, SLOT, slice(bent, sizeof bent), &opened) ==
          LIAISON_OK) == same);
    must(!same || memcmp(&opened, &keys, sizeof keys) == 0);
    must(vault_unwrap(core.vault, MONTH, slice(bent, sizeof bent), &opened) ==
         LIAISON_DAMAGED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();

    if (size > 0) {
        struct slice rest = slice(data + 1, size - 1);

        if (data[0] % MODES == PARTIES)
            parties(rest, a);
        else if (data[0] % MODES == REFERRAL)
            referral(rest, a);
        else
            sealed(rest, a);
    }
    arena_free(a);
    return 0;
}
