/* Linked over a broker for tests/fault/19-keys: after few entries without a signature nothing is taken any more. */
#include <stdlib.h>

#include "broker/core/core.h"

enum liaison_code __real_core_new(const struct core_settings *settings, struct core **out,
                                  char *why, size_t why_len);
enum liaison_code __wrap_core_new(const struct core_settings *settings, struct core **out,
                                  char *why, size_t why_len);

/* UNSIGNED_ENTRIES and UNSIGNED_MS in the environment are the bounds. */
enum liaison_code __wrap_core_new(const struct core_settings *settings, struct core **out,
                                  char *why, size_t why_len)
{
    struct core_settings s = *settings;
    const char *entries = getenv("UNSIGNED_ENTRIES"), *ms = getenv("UNSIGNED_MS");

    if (entries != NULL)
        s.unsigned_entries = strtoull(entries, NULL, 10);
    if (ms != NULL)
        s.unsigned_ms = strtoull(ms, NULL, 10);
    return __real_core_new(&s, out, why, why_len);
}
