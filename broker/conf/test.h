#pragma once
/* `liaisond test`. */

/* test FILE [--json]; returns what the process exits with. */
int test_command(int argc, char *const *argv);
