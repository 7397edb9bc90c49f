#pragma once
/* Tables of the store; numbers in keys are big-endian, so their order is arrival order. */
enum table {
    T_ENTRY,    /* number u64, rising through all logs of this store -> LedgerEntry; a log */
    T_REFERRAL, /* number u64 -> Referral row */
    T_BODY, /* number u64 -> SignedReferral without certificate, sealed under the referral's keys */
    T_ACTION, /* number u64, version u32 -> SignedAction, sealed likewise */
    T_KNOWN,  /* agency u32, 'R' or 'A', id 16 -> 'R': number u64; 'A': Done row */
    T_INBOX,  /* recipient u32, number u64 -> nothing */
    T_MAIL,   /* recipient u32, class u8, item u64 -> Mail row */
    T_TRAIL, /* number u64, first entry u64 -> entries' numbers u64 each, in their order */
    T_PARTY, /* party u32 -> Party row */
    T_MONTH, /* party u32, year * 12 + month u32 -> wrapped keys for what belongs to no referral */
    T_OPENING, /* entry u64 -> officer's number, sealed under the keys of the entry's opening */
    T_SIGNER, /* SHA-256 -> certificate, DER */
    T_LOG,    /* log u32 -> Log row */
    T_HASH,   /* log u32, index u64 -> stored hashes from that index on, 32 bytes each; a log */
    T_NOTE,   /* log u32, size u64 -> signed checkpoint with cosignatures */
    T_RULES,  /* SHA-256, part u32 -> exact text of a rule set, 256 KiB a part; and (0) -> InForce row: reload.c */
    T_RULE,   /* SHA-256 of a rule set, id of a line in it -> Rule; those that entries cite */
    T_GROUP,  /* table u8, number >> 8 u64 -> a wrapped key of 256 others' keys; and the key file's epoch: groups.c */
    T_DEADLINE, /* kind u8, time u64, number u64 -> nothing; and (0) -> Pause row: deadline.c */
    T_BARRED, /* number u64 -> nothing: referrals that the rules in force do not allow any more */
    T_KEY,    /* party u32, use u8, SHA-256 of a certificate -> numbers u64 of the KEY entries that name it, rising */
    T__COUNT
};
