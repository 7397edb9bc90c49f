#pragma once
/* One line per event on stderr: time, level, a stable dotted name, then key=value. Peer text is escaped by the caller with
 * log_text(); payloads, keys and personal data never appear. Any thread. */
#include <stddef.h>

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARN_, LOG_ERROR_ };

/* Lines below `level` are not written. Call before threads start. */
void log_level(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_info(const char *event, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void log_warn(const char *event, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void log_error(const char *event, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void log_debug(const char *event, const char *fmt, ...);

/* `text` with every byte outside printable ASCII, and quote, backslash and space, as \xNN; cut to fit. Returns out. */
const char *log_text(const char *text, char *out, size_t out_len);
