#include "broker/ops/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *const NAMES[] = {"debug", "info", "warn", "error"};
static _Atomic int lowest = LOG_INFO_;

void log_level(enum log_level level)
{
    atomic_store(&lowest, (int)level);
}

/* Moves `at` behind what snprintf wrote, or to the end of the line if that was cut. */
static size_t behind(size_t at, int wrote)
{
    size_t left = LINE_MAX_BYTES - 1 - at;

    return wrote < 0 ? at : at + ((size_t)wrote > left ? left : (size_t)wrote);
}

static size_t stamp(char *line)
{
    struct timespec now;
    struct tm utc;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    n = strftime(line, LINE_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    return behind(
        n, snprintf(line + n, LINE_MAX_BYTES - n, ".%03ldZ", now.tv_nsec / 1000000));
}

/* The whole line leaves in one write, so that lines of different threads never mix. */
__attribute__((format(printf, 3, 0))) static void
put(enum log_level level, const char *event, const char *fmt, va_list args)
{
    char line[LINE_MAX_BYTES];
    size_t n;

    if ((int)level < atomic_load_explicit(&lowest, memory_order_relaxed))
        return;
    n = stamp(line);
    n = behind(n, snprintf(line + n, sizeof line - n, " %s %s ", NAMES[level], event));
    n = behind(n, vsnprintf(line + n, sizeof line - n, fmt, args));
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        return; /* nobody to tell */
}

#define LOG_FUNCTION(name, level)                                                        \
    void name(const char *event, const char *fmt, ...)                                   \
    {                                                                                    \
        va_list args;                                                                    \
        va_start(args, fmt);                                                             \
        put(level, event, fmt, args);                                                    \
        va_end(args);                                                                    \
    }

LOG_FUNCTION(log_debug, LOG_DEBUG_)
LOG_FUNCTION(log_info, LOG_INFO_)
LOG_FUNCTION(log_warn, LOG_WARN_)
LOG_FUNCTION(log_error, LOG_ERROR_)

const char *log_text(const char *text, char *out, size_t out_len)
{
    static const char HEX[] = "0123456789abcdef";
    size_t at = 0;

    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        bool plain = *c > ' ' && *c < 0x7f && *c != '"' && *c != '\\';
        size_t need = plain ? 1 : 4;
        if (at + need >= out_len)
            break;
        if (plain) {
            out[at] = (char)*c;
        } else {
            out[at] = '\\';
            out[at + 1] = 'x';
            out[at + 2] = HEX[*c >> 4];
            out[at + 3] = HEX[*c & 15];
        }
        at += need;
    }
    if (out_len > 0)
        out[at] = 0;
    return out;
}
