#pragma once
/* `liaisond diff`: every decision that a change of rules changes. */

/* diff OLD NEW [--on DATE] [--all] [--json]; returns what the process exits with: 0 nothing is widened, 1 something is,
 * else what is wrong (sysexits). */
int diff_command(int argc, char *const *argv);
