#pragma once
/* Commands of liaisond that are programs of their own beside a broker that runs. Each takes the words behind its name
 * and returns what the process exits with. */

#define DEFAULT_SETTINGS "/etc/liaison/liaisond.conf"

/* erase [-c FILE] --basis WORD --officer NUMBER [--json] --referral FROM/ID ... */
int erase_command(int argc, char *const *argv);

/* clock confirm [-c FILE] */
int clock_command(int argc, char *const *argv);

/* reload [--wait] [--json] [-c FILE | --control SOCKET] */
int reload_command(int argc, char *const *argv);

/* backup [-c FILE] [--json] DIR */
int backup_command(int argc, char *const *argv);
