#pragma once
/* Commands of liaisond that are programs of their own beside a broker that runs. Each takes the words behind its name and
 * returns what the process exits with. */

#define DEFAULT_SETTINGS "/etc/liaison/liaisond.conf"

/* backup [-c FILE] [--json] DIR */
int backup_command(int argc, char *const *argv);
