#include "client/audit/take.h"

bool take_text(struct slice *rest, const char *text)
{
    size_t n = strlen(text);

    if (rest->n < n || memcmp(rest->p, text, n) != 0)
        return false;
    *rest = slice(rest->p + n, rest->n - n);
    return true;
}

bool take_number(struct slice *rest, uint64_t *out)
{
    uint64_t v = 0;
    size_t n = 0;

    for (; n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9'; n++) {
        unsigned digit = rest->p[n] - '0';

        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = 10 * v + digit;
    }
    if (n == 0 || (n > 1 && rest->p[0] == '0'))
        return false;
    *rest = slice(rest->p + n, rest->n - n);
    *out = v;
    return true;
}
