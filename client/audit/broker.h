#pragma once
/* A broker, as auditors ask it. */
#include "client/audit/audit.h"
#include "proto/note.h"

/* Who judges the broker's checkpoints: the library, by --policy or the profile's policy, and against the last one that it has
 * seen; or whoever asks, who then gets them as they come. */
enum broker_judge { BROKER_JUDGED, BROKER_AS_IT_COMES };

/* Makes a->lib ready, with --policy and --rotations before the profile's. On false it was said and *status is the exit status. */
MUST_CHECK
bool broker_open(struct audit *a, enum broker_judge judge, int *status);

/* The note of an answer to Prove. Borrows: as long as the answer. */
struct slice broker_note(const struct liaison_answer *proof);

/* A checkpoint of at least `size` entries (0: any): the newest if it has the quorum that the policy wants, else the newest that
 * the broker's witnesses have cosigned if that has it, else the newest.
 * Gives: *out. Errors: liaison_prove()'s, with its sentence. */
MUST_CHECK
enum liaison_code broker_checkpoint(struct audit *a, struct note_policy *policy, uint64_t size, struct liaison_answer **out);

/* What a note says, unjudged. */
MUST_CHECK
bool broker_read_note(struct slice note, struct checkpoint *out);
