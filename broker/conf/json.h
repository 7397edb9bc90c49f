#pragma once
/* Private to broker/conf. */
#include <stdio.h>

/* Writes a text as a JSON string. It is UTF-8 without NUL: only quotes, backslashes and control characters need care. */
void json_text(FILE *out, const char *text);
