#include "proto/err.h"

#include <stddef.h>
#include <sysexits.h>

static const struct line {
    const char *name;
    const char *text;
    enum err_retry retry;
    int exit;
} LINES[] = {
#define LINE(code, text, retry, exit) [LIAISON_##code] = {#code, text, retry, exit}
    LINE(OK, "done", RETRY_NEVER, EX_OK),

    LINE(HELLO_REQUIRED, "say Hello first, then send the call again", RETRY_SAME,
         EX_PROTOCOL),
    LINE(VERSION, "no protocol version in common", RETRY_NEVER, EX_PROTOCOL),
    LINE(MALFORMED, "the message is not strict protobuf", RETRY_NEVER, EX_DATAERR),
    LINE(LIMIT, "a limit of the broker was passed", RETRY_NEVER, EX_DATAERR),
    LINE(PROTOCOL, "the conversation broke the protocol", RETRY_NEVER, EX_PROTOCOL),
    LINE(TIMEOUT, "no answer in time", RETRY_LATER, EX_TEMPFAIL),
    LINE(CLOSED, "the connection was closed", RETRY_LATER, EX_TEMPFAIL),
    LINE(UNSUPPORTED, "not supported by this version", RETRY_NEVER, EX_UNAVAILABLE),
    LINE(BUSY, "too busy to take this now", RETRY_LATER, EX_TEMPFAIL),
    LINE(UNREACHABLE, "the broker cannot be reached", RETRY_LATER, EX_UNAVAILABLE),

    LINE(TLS, "the TLS handshake failed", RETRY_LATER, EX_PROTOCOL),
    LINE(CERTIFICATE, "the certificate does not chain to this network's root",
         RETRY_NEVER, EX_NOPERM),
    LINE(EXPIRED, "the certificate is not valid at this time", RETRY_NEVER, EX_NOPERM),
    LINE(REVOKED, "the certificate is revoked", RETRY_NEVER, EX_NOPERM),
    LINE(PROFILE, "the certificate was not issued for this use", RETRY_NEVER, EX_NOPERM),
    LINE(IDENTITY, "the certificate does not name exactly one member of this network",
         RETRY_NEVER, EX_NOPERM),
    LINE(UNKNOWN_AGENCY, "the rules declare no such agency", RETRY_NEVER, EX_NOPERM),
    LINE(CRL, "a revocation list is missing, expired or not valid", RETRY_LATER,
         EX_TEMPFAIL),
    LINE(ROLE, "this call is not for the caller's role", RETRY_NEVER, EX_NOPERM),

    LINE(SIGNATURE, "the signature does not verify", RETRY_NEVER, EX_DATAERR),
    LINE(SIGNER, "the signer is not the agency that the signed bytes name", RETRY_NEVER,
         EX_NOPERM),
    LINE(DIGEST, "a section does not match its signed digest", RETRY_NEVER, EX_DATAERR),
    LINE(NETWORK, "signed for another network", RETRY_NEVER, EX_DATAERR),
    LINE(ID, "the id is not a UUIDv7 of the last 30 days", RETRY_NEVER, EX_DATAERR),
    LINE(FROM, "the sender named is not the caller", RETRY_NEVER, EX_NOPERM),
    LINE(SEAL, "the section cannot be opened, or belongs to something else", RETRY_NEVER,
         EX_DATAERR),
    LINE(FIELD, "a required field is missing or has a value that is not allowed",
         RETRY_NEVER, EX_DATAERR),
    LINE(PROOF, "the proof does not lead to the checkpoint", RETRY_NEVER, EX_DATAERR),
    LINE(FORK, "the checkpoint does not extend the last one seen", RETRY_NEVER,
         EX_PROTOCOL),

    LINE(DENIED, "a rule denies this", RETRY_NEVER, EX_NOPERM),
    LINE(NOT_ALLOWED, "no rule allows this", RETRY_NEVER, EX_NOPERM),
    LINE(SECTIONS, "no rule grants one of the sections", RETRY_NEVER, EX_NOPERM),
    LINE(RECIPIENT, "the rules declare no such recipient", RETRY_NEVER, EX_NOUSER),
    LINE(TOO_LARGE, "larger than the rules allow", RETRY_NEVER, EX_DATAERR),
    LINE(RATE, "more in an hour than the rules allow", RETRY_LATER, EX_TEMPFAIL),

    LINE(NOT_FOUND, "there is no such referral for this agency", RETRY_NEVER, EX_NOINPUT),
    LINE(STATE, "this move is not possible in the referral's state", RETRY_NEVER,
         EX_DATAERR),
    LINE(PARTY, "this move belongs to the other party", RETRY_NEVER, EX_NOPERM),
    LINE(STALE, "the referral has moved since; look at it again", RETRY_NEVER,
         EX_DATAERR),
    LINE(CONFLICT, "the same id was used before for other bytes", RETRY_NEVER,
         EX_DATAERR),
    LINE(ERASED, "erased", RETRY_NEVER, EX_NOINPUT),

    LINE(FULL, "storage full", RETRY_LATER, EX_TEMPFAIL),
    LINE(IO, "the store failed", RETRY_LATER, EX_IOERR),
    LINE(UNKNOWN, "it is not known whether this was stored; send the same bytes again",
         RETRY_SAME, EX_TEMPFAIL),
    LINE(FENCED, "another process leads this store", RETRY_LATER, EX_TEMPFAIL),
    LINE(DAMAGED, "stored data is damaged", RETRY_NEVER, EX_IOERR),
    LINE(EVIDENCE, "the log is kept as evidence: only auditors are served", RETRY_LATER,
         EX_TEMPFAIL),
    LINE(UNSIGNED, "no checkpoint has been signed for too long; nothing new is taken",
         RETRY_LATER, EX_TEMPFAIL),

    LINE(CONFIG, "the settings or rules are not valid", RETRY_NEVER, EX_CONFIG),
    LINE(USAGE, "wrong usage", RETRY_NEVER, EX_USAGE),
    LINE(FILE, "a file cannot be read or written", RETRY_NEVER, EX_NOINPUT),
    LINE(PERMISSION, "a key file may be read by others", RETRY_NEVER, EX_NOPERM),
    LINE(MEMORY, "out of memory", RETRY_LATER, EX_OSERR),
    LINE(JSON, "the JSON is not valid", RETRY_NEVER, EX_DATAERR),
    LINE(INTERNAL, "an internal error", RETRY_NEVER, EX_SOFTWARE),
#undef LINE
};

static const struct line *line(enum liaison_code code)
{
    static const struct line NONE = {"?", "an unknown code", RETRY_NEVER, EX_SOFTWARE};
    size_t i = (size_t)code;

    return i < sizeof LINES / sizeof *LINES && LINES[i].text != NULL ? &LINES[i] : &NONE;
}

const char *err_text(enum liaison_code code)
{
    return line(code)->text;
}

const char *err_name(enum liaison_code code)
{
    return line(code)->name;
}

enum err_retry err_retry(enum liaison_code code)
{
    return line(code)->retry;
}

int err_exit(enum liaison_code code)
{
    return line(code)->exit;
}
