/* What an entry costs the one writer: made, hashed twice, stored with its hashes, a commit for every batch. For tests/bench/run.
 *
 *     append FOLDER ENTRIES BATCH
 *
 * Makes a store in FOLDER as a broker would have left it, with ENTRIES entries of its own in its first log, and prints one line of
 * JSON: entries a second, the commits' flushes included. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/core/state.h"
#include "tests/lib/member.h"

static const char ORIGIN[] = "practicies.example/eu/main/1", SELF[] = "broker:eu/main",
                  OTHER[] = "fr/load/sink-01";

struct appending {
    struct store *store;
    struct store_head head;
    struct hash *h;
    struct log *log;
    struct arena *a;
    uint64_t time_ns;
};

static void must(enum liaison_code code, const char *what)
{
    if (code != LIAISON_OK)
        member_die("%s: code %d", what, (int)code);
}

static void open_store(struct appending *x, const char *folder)
{
    const struct store_settings settings = {.map_bytes = 16ULL << 30,
                                            .reserve_bytes = 64 << 20};
    char url[1024], why[512];
    uint64_t epoch;
    bool fresh, sound;

    snprintf(url, sizeof url, "lmdb:%s", folder);
    if (store_open(url, TABLES, T__COUNT, &settings, &x->store, &fresh, why,
                   sizeof why) != LIAISON_OK ||
        !fresh)
        member_die("%s: a fresh folder is wanted", folder);
    must(store_lead(x->store, &epoch), "lead");
    must(store_head(x->store, &x->head), "head");
    must(log_open(x->store, x->h, &x->head, &x->log, &sound, why, sizeof why), "log");
}

/* An entry of some 300 bytes with four commitments, as a submit's. */
static struct slice entry(struct appending *x, uint64_t seq)
{
    static const uint8_t ID[16] = {1}, DIGEST[32] = {2}, OPENING[32] = {3};
    const struct ledger_fact f = {
        .event = LIAISON__V1__EVENT__EVENT_SUBMIT,
        .operation = LIAISON__V1__OPERATION__OPERATION_COLLECTION,
        .agency = SELF,
        .counterpart = OTHER,
        .officer = "4711",
        .referral_id = slice(ID, sizeof ID),
        .case_id = slice(ID, sizeof ID),
        .purpose = "reintegration",
        .basis = "consent",
        .rule_set = DIGEST,
        .certificate = DIGEST,
        .content = slice(DIGEST, sizeof DIGEST),
    };
    const struct ledger_place p = {.log = 1,
                                   .seq = seq,
                                   .time_ns = x->time_ns,
                                   .clock = LIAISON__V1__CLOCK__CLOCK_SYNCED,
                                   .agency_counter = seq + 1,
                                   .counterpart_counter = seq + 1,
                                   .opening = OPENING,
                                   .counter_opening = OPENING};
    struct slice out;

    must(ledger_entry(x->h, x->a, &f, &p, &out), "entry");
    return out;
}

/* The store knows whom its entries count. */
static void put_parties(struct store_batch *tx, uint64_t counter)
{
    const char *const names[] = {SELF, OTHER};

    for (uint32_t i = 0; i < 2; i++) {
        Liaison__Rows__V1__Party row = LIAISON__ROWS__V1__PARTY__INIT;
        uint8_t key[4], bytes[128];

        be32_put(key, i + 1);
        row.name = (char *)(uintptr_t)names[i];
        row.counter = counter;
        store_put(tx, T_PARTY, slice(key, sizeof key),
                  slice(bytes, liaison__rows__v1__party__pack(&row, bytes)));
    }
}

static void batch(struct appending *x, uint64_t n)
{
    static const uint8_t ID[16];
    struct store_batch *tx;
    struct log_batch tree;
    struct store_head next = x->head;

    arena_reset(x->a);
    must(store_begin(x->store, &x->head, STORE_ORDINARY, &tx), "begin");
    log_batch_begin(x->log, &tree);
    if (x->head.size == 0)
        log_begin(x->log, tx, &tree, 0, ORIGIN);
    x->time_ns += 1000;
    for (; next.size < x->head.size + n; next.size++) {
        struct slice e = entry(x, next.size);
        uint8_t key[8];

        must(log_add(x->log, &tree, e), "add");
        be64_put(key, next.size);
        store_append(tx, T_ENTRY, slice(key, sizeof key), e);
    }
    put_parties(tx, next.size);
    must(log_flush(x->log, &tree, tx, x->head.size, next.root), "flush");
    must(store_commit(tx, &next, ID), "commit");
    log_committed(x->log, &tree);
    x->head = next;
}

int main(int argc, char *argv[])
{
    struct appending x = {.h = hash_new(), .a = arena_new()};
    uint64_t entries = argc == 4 ? strtoull(argv[2], NULL, 10) : 0,
             each = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;

    if (entries == 0 || each == 0 || x.h == NULL || x.a == NULL)
        member_die("usage: append FOLDER ENTRIES BATCH, both above 0");
    open_store(&x, argv[1]);
    x.time_ns = (uint64_t)time(NULL) * 1000000000 - entries * 1000;
    uint64_t begin = member_now_ns();

    for (uint64_t left = entries; left > 0; left -= left < each ? left : each)
        batch(&x, left < each ? left : each);
    printf("{\"ledger_append_b64_per_s\":%.0f}\n",
           (double)entries * 1e9 / (double)(member_now_ns() - begin));
    log_free(x.log);
    store_close(x.store);
    arena_free(x.a);
    hash_free(x.h);
    return 0;
}
