#include "proto/base64.h"

#include <openssl/evp.h>

enum { PIECE_CHARS = 64, PIECE_BYTES = 48 };

size_t base64_encode(struct slice bytes, char *out)
{
    out[0] = '\0';
    return (size_t)EVP_EncodeBlock((unsigned char *)out, bytes.p, (int)bytes.n);
}

/* How many of its last two characters are padding. */
static size_t padding(struct slice text)
{
    if (text.n < 2 || text.p[text.n - 1] != '=')
        return 0;
    return text.p[text.n - 2] == '=' ? 2 : 1;
}

/* EVP_DecodeBlock(3) passes over spaces and loose bits, and counts padding as bytes: hence the way back. */
static bool decode_piece(struct slice text, uint8_t out[PIECE_BYTES], size_t *len)
{
    char again[PIECE_CHARS + 1];

    if (text.n % 4 != 0 ||
        EVP_DecodeBlock(out, text.p, (int)text.n) != (int)(text.n / 4 * 3))
        return false;
    *len = text.n / 4 * 3 - padding(text);
    return slice_equal(slice(again, base64_encode(slice(out, *len), again)), text);
}

bool base64_decode(struct slice text, uint8_t *out, size_t room, size_t *len)
{
    size_t total = 0;

    while (text.n > 0) {
        size_t chars = text.n < PIECE_CHARS ? text.n : PIECE_CHARS, n, fits;
        uint8_t piece[PIECE_BYTES];

        if (!decode_piece(slice(text.p, chars), piece, &n))
            return false;
        text = slice(text.p + chars, text.n - chars);
        if (text.n > 0 && n != PIECE_BYTES) /* padding is at the end */
            return false;
        fits = total >= room ? 0 : room - total < n ? room - total : n;
        if (fits > 0)
            memcpy(out + total, piece, fits);
        total += n;
    }
    *len = total;
    return true;
}
