#pragma once
/* The one writer: takes what the gates bring, judges it again, moves referrals, logs, commits, and only then answers.
 *
 * One thread runs core_run(). A batch is whatever came while the last one was being committed; there is no timer and no cap
 * but memory. Source: PROTOCOL.md, "Acknowledgement". */
#include "broker/core/directory.h"
#include "broker/notary/notary.h"
#include "broker/ops/metrics.h"
#include "broker/rules/rules.h"
#include "broker/store/store.h"
#include "liaison-codes.h"
#include "proto/tls.h"

struct call_time;
struct core;

enum { CORE_UNSIGNED_MS = 600000, CORE_UNSIGNED_ENTRIES = 100000 };

struct core_settings {
    void *
        zmq; /* context; call_address(0..gates-1) are bound for the gates, call_address(gates) for main */
    unsigned gates; /* how many */
    const char *store_url;
    struct store_settings store;
    const char *
        key_file; /* the key-encryption key, 0600, outside the store; made with a fresh store */
    struct rules *rules;
    struct tls_trust *trust;
    struct directory *directory;
    uint8_t settings[32]; /* SHA-256 of the settings file */
    const char *broker; /* this broker's name; copied */
    uint64_t lease_ms;
    uint32_t window;       /* the most a session may be granted, messages */
    uint64_t window_bytes; /* and bytes */
    uint32_t page;         /* rows of one page */
    uint32_t page_bytes;   /* a page ends before it would pass this */
    struct metrics *metrics; /* shared; NULL: nothing is counted */
    struct call_time *time;  /* shared with the gates, who read it; NULL: nobody does */
    struct notary *notary;   /* taken; NULL: nothing is signed, as in tests */
    struct note_policy *witnesses; /* taken; whose cosignatures are kept; NULL: nobody's */
    uint64_t unsigned_ms, unsigned_entries; /* that may stand without a signature; 0: CORE_UNSIGNED_... */
    struct slice last_note; /* the last checkpoint of the log that a new one follows; lives as long as the core */
};

/* Opens the store, checks what it holds, becomes its writer, and binds the pairs. Shares rules and trust; takes
 * directory, notary and witnesses, whatever the outcome.
 *
 * A log that is not what was committed or signed opens all the same, as evidence: auditors are served, nothing is written.
 *
 * On error `why` is a sentence. Errors: those of store_open and store_lead; LIAISON_FILE, LIAISON_PERMISSION,
 * LIAISON_CONFIG (the key file); LIAISON_DAMAGED (the last entries do not fit the head). */
MUST_CHECK
enum liaison_code core_new(const struct core_settings *settings, struct core **out,
                           char *why, size_t why_len);

/* Runs until CALL_STOP has come from main and all before it is committed (LIAISON_OK), or until the store fails
 * (LIAISON_IO, LIAISON_DAMAGED: nothing of that batch was answered; end the process). Sends CALL_ENDED to all. */
enum liaison_code core_run(struct core *c);

void core_free(struct core *c);
