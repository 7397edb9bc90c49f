#include <inttypes.h>
#include <stdio.h>

#include "client/audit/bundle.h"

/* N and what follows it. */
static void number_path(const char *before, uint64_t n, unsigned width,
                        char out[BUNDLE_PATH_MAX])
{
    char number[40];
    size_t at = sizeof number - 1;

    number[at] = '\0';
    for (bool last = true; last || n > 0; last = false, n /= 1000) {
        char group[8];
        int len = snprintf(group, sizeof group, "%s%03u%s", last ? "" : "x",
                           (unsigned)(n % 1000), last ? "" : "/");

        at -= (size_t)len;
        memcpy(number + at, group, (size_t)len);
    }
    if (width == SOURCE_WIDTH)
        snprintf(out, BUNDLE_PATH_MAX, "%s%s", before, number + at);
    else
        snprintf(out, BUNDLE_PATH_MAX, "%s%s.p/%u", before, number + at, width);
}

void bundle_tile_path(unsigned level, uint64_t n, unsigned width,
                      char out[BUNDLE_PATH_MAX])
{
    char before[24];

    snprintf(before, sizeof before, "tile/%u/", level);
    number_path(before, n, width, out);
}

void bundle_page_path(uint64_t n, unsigned width, char out[BUNDLE_PATH_MAX])
{
    number_path("tile/entries/", n, width, out);
}
