/* Linked over a broker. For tests/fault/19-keys: after few entries without a signature nothing is taken any more. For
 * tests/fault/05-another-tree: it does not compare its store with what the notary has signed. */
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

enum liaison_code __real_notary_wait(struct notary *n, int timeout_ms,
                                     struct notary_answer *out);
enum liaison_code __wrap_notary_wait(struct notary *n, int timeout_ms,
                                     struct notary_answer *out);

/* With TRUSTING in the environment what the notary says of its state is not heard. */
enum liaison_code __wrap_notary_wait(struct notary *n, int timeout_ms,
                                     struct notary_answer *out)
{
    enum liaison_code code = __real_notary_wait(n, timeout_ms, out);

    if (code == LIAISON_OK && getenv("TRUSTING") != NULL)
        out->status.has_state = false;
    return code;
}
