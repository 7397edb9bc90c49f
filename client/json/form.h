#pragma once
/* How bytes look as text; inside this room only. */
#include "client/json/json.h"

enum form { FORM_BASE64, FORM_HEX, FORM_ID };

/* The form that the bytes of this field of this message take. */
enum form form_of(const ProtobufCMessageDescriptor *type, const char *field);

/* `bytes` as text in `a`. NULL when memory is out. */
char *form_print(enum form form, struct slice bytes, struct arena *a);

/* Reads text of a form. Errors: LIAISON_JSON (another form), LIAISON_MEMORY. */
MUST_CHECK
enum liaison_code form_read(enum form form, const char *text, struct arena *a,
                            struct slice *out);

/* What is expected, for errors: "an id (UUID)". */
const char *form_name(enum form form);
