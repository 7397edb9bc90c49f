#pragma once
/* Looks through a whole store that nobody is writing to: what a backup is worth is known before it is needed. */
#include "broker/store/store.h"
#include "proto/note.h"

struct verify_found {
    uint64_t entries;   /* of all logs */
    uint32_t log;       /* the newest one's number */
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;      /* its entries */
    uint8_t root[32];   /* over them, hashed from their bytes */
    uint64_t time_ns;   /* of the last */
    uint64_t referrals; /* erased ones too */
    uint64_t key_epoch; /* of the key file that opens it */
};

/* After LIAISON_OK every entry was read and decoded, numbers run without a gap, times do not fall, and the tree over the newest
 * log's entries has the head's size and root, as the hashes stored beside them have. No key is needed.
 *
 * On error `why` is a sentence. Errors: LIAISON_DAMAGED, those of store_open and store_scan. */
MUST_CHECK
enum liaison_code verify_store(const char *url, const struct store_settings *settings, struct verify_found *out,
                               char *why, size_t why_len);

/* What the newest log of a store is, held against what others know of it. Plain bytes, so that one process can tell another. */
struct verify_log {
    uint32_t number; /* 0: there is no log */
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    bool sound; /* every entry and hash is as it was committed, and each checkpoint given is of this log */
    char why[256];
};

/* Hashes all of the newest log again and compares it with n checkpoints of it. LIAISON_OK whatever it finds.
 * On error `why` is a sentence. Errors: those of store_open, log_open and store_scan. */
MUST_CHECK
enum liaison_code verify_log(const char *url, const struct store_settings *settings, const struct checkpoint *known, size_t n,
                             struct verify_log *out, char *why, size_t why_len);
