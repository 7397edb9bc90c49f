#pragma once
/* Ed25519 over raw keys. Source: RFC 8032, 5.1; EVP_SIGNATURE-ED25519(7). */
#include "liaison-codes.h"
#include "proto/slice.h"

enum { ED25519_KEY = 32, ED25519_SIGNATURE = 64 };

/* True for a public key that is no good whoever holds it: one of the eight points of small order, under which one signature
 * holds for many messages, or a y that is not below 2^255 - 19, a second way to write some key. */
bool ed25519_weak(const uint8_t public[ED25519_KEY]);

/* The public key of a private one. Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code ed25519_public(const uint8_t seed[ED25519_KEY], uint8_t public[ED25519_KEY]);

/* Errors: LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code ed25519_sign(const uint8_t seed[ED25519_KEY], struct slice message, uint8_t signature[ED25519_SIGNATURE]);

/* Without the cofactor, and S must be below the group's order: each message has one signature by a key.
 * Errors: LIAISON_SIGNATURE, LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code ed25519_verify(const uint8_t public[ED25519_KEY], struct slice message, struct slice signature);
