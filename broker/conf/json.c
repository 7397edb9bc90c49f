#include "broker/conf/json.h"

void json_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if ((unsigned char)*p < ' ' || *p == '\x7f')
            fprintf(out, "\\u%04x", (unsigned)(unsigned char)*p);
        else
            fputc(*p, out);
    fputc('"', out);
}
