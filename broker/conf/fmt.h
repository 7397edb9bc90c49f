#pragma once
/* `liaisond fmt`. */

/* fmt FILE [--write | --check]; returns what the process exits with. */
int fmt_command(int argc, char *const *argv);
