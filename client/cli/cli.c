#include "client/cli/cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/id.h"
#include "proto/valid.h"

int cli_fail(enum liaison_code code, const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fputs("liaison: ", stderr);
    for (const char *p = text; *p != '\0'; p++) /* names in it may come from a peer */
        fputc((unsigned char)*p < ' ' && *p != '\n' ? '?' : *p, stderr);
    fputc('\n', stderr);
    return err_exit(code);
}

int cli_lib_fail(struct cli *c, enum liaison_code code)
{
    const char *sentence = liaison_errmsg(c->lib);

    return cli_fail(code, "%s", sentence[0] != '\0' ? sentence : err_text(code));
}

int cli_no_memory(void)
{
    return cli_fail(LIAISON_MEMORY, "%s", err_text(LIAISON_MEMORY));
}

bool cli_profile(struct cli *c, int *status)
{
    char why[1024] = "";
    const char *dir = profile_dir(c->opt[OPT_PROFILE], c->arena);

    if (dir == NULL) {
        *status =
            cli_fail(LIAISON_CONFIG,
                     "there is no home directory; name a profile with --profile DIR");
        return false;
    }
    enum liaison_code code = profile_read(dir, c->arena, &c->profile, why, sizeof why);

    if (code == LIAISON_OK)
        code = profile_settle(&c->profile, why, sizeof why);
    if (code == LIAISON_OK)
        code = profile_files(&c->profile, why, sizeof why);
    if (code != LIAISON_OK)
        *status = cli_fail(code, "%s", why);
    return code == LIAISON_OK;
}

/* Is this profile one that may hand over and take referrals? */
static bool for_agencies(struct cli *c, int *status)
{
    if (c->profile.agency != NULL)
        return true;
    *status = cli_fail(LIAISON_ROLE,
                       "%s is the profile of an auditor; auditors read the ledger with "
                       "liaison-audit",
                       c->profile.dir);
    return false;
}

static enum liaison_code set_profile(struct cli *c)
{
    enum liaison_code code = LIAISON_OK;
    const char *key, *value;

    for (size_t i = 0;
         code == LIAISON_OK && profile_setting(&c->profile, &i, c->arena, &key, &value);)
        code = liaison_set(c->lib, key, value);
    return code;
}

/* Options that are settings of the library, and those that come after the profile's. */
static enum liaison_code set_options(struct cli *c)
{
    static const struct {
        enum option option;
        const char *key;
    } ROWS[] = {{OPT_BROKER, "broker"},
                {OPT_OFFICER, "officer"},
                {OPT_PURPOSE, "purpose"},
                {OPT_BASIS, "basis"}};
    enum liaison_code code =
        liaison_set(c->lib, "software", "liaison " LIAISON_VERSION_TEXT);

    for (size_t i = 0; code == LIAISON_OK && i < sizeof ROWS / sizeof *ROWS; i++)
        if (c->opt[ROWS[i].option] != NULL)
            code = liaison_set(c->lib, ROWS[i].key, c->opt[ROWS[i].option]);
    return code;
}

static bool open_as(struct cli *c, bool agencies_only, int *status)
{
    uint32_t seconds = 30;

    if (c->opt[OPT_TIMEOUT] != NULL &&
        !options_number(c->opt[OPT_TIMEOUT], 1, 86400, &seconds)) {
        *status = cli_fail(LIAISON_USAGE, "--timeout wants seconds from 1 to 86400");
        return false;
    }
    if (!cli_profile(c, status) || (agencies_only && !for_agencies(c, status)))
        return false;
    enum liaison_code code = liaison_new(&c->lib);

    if (code != LIAISON_OK) {
        *status = cli_no_memory();
        return false;
    }
    code = set_profile(c);
    if (code == LIAISON_OK && (code = set_options(c)) == LIAISON_FIELD) {
        *status = cli_fail(LIAISON_USAGE, "%s", liaison_errmsg(c->lib));
        return false;
    }
    if (code == LIAISON_OK && c->profile.agency != NULL)
        code = liaison_set(c->lib, "recipients",
                           profile_path(&c->profile, "recipients", c->arena));
    if (code == LIAISON_OK)
        code = liaison_set(c->lib, "timeout_ms", cli_text(c, "%u", seconds * 1000));
    if (code != LIAISON_OK)
        *status = cli_lib_fail(c, code);
    if (code == LIAISON_OK && c->opt[OPT_RECEIPT] != NULL && !liaison_log_on(c->lib)) {
        code = LIAISON_CONFIG;
        *status = cli_fail(code, "no receipt can come: this profile does not say whose "
                                 "checkpoints of the log it believes\n"
                                 "put that in with: liaison enrol --policy FILE");
    }
    return code == LIAISON_OK;
}

bool cli_open(struct cli *c, int *status)
{
    return open_as(c, true, status);
}

bool cli_open_any(struct cli *c, int *status)
{
    return open_as(c, false, status);
}

bool cli_reads(const struct cli *c, int *status)
{
    if ((c->opt[OPT_PURPOSE] != NULL || c->profile.purpose != NULL) &&
        (c->opt[OPT_BASIS] != NULL || c->profile.basis != NULL))
        return true;
    *status = cli_fail(
        LIAISON_USAGE,
        "for which purpose, and on which legal basis? it is written into the ledger\n"
        "give --purpose WORD --basis WORD, or put both into %s/profile.json",
        c->profile.dir);
    return false;
}

bool cli_moves(const struct cli *c, int *status)
{
    if (c->opt[OPT_OFFICER] == NULL && c->profile.officer == NULL) {
        *status =
            cli_fail(LIAISON_USAGE,
                     "on behalf of which officer? it is a number, never a name\n"
                     "give --officer NUMBER, or put \"officer\" into %s/profile.json",
                     c->profile.dir);
        return false;
    }
    return cli_reads(c, status);
}

const void *cli_decode(struct cli *c, const ProtobufCMessageDescriptor *type,
                       struct slice bytes)
{
    const void *m = NULL;

    return valid_decode(type, bytes, c->arena, &m) == LIAISON_OK ? m : NULL;
}

const Liaison__V1__Frame *cli_frame(struct cli *c, const struct liaison_answer *a)
{
    size_t len;
    const uint8_t *bytes = liaison_answer_frame(a, &len);
    const Liaison__V1__Frame *f =
        len > 0 ? cli_decode(c, &liaison__v1__frame__descriptor, slice(bytes, len))
                : NULL;

    if (f == NULL)
        cli_fail(LIAISON_MALFORMED, "the broker's answer cannot be read");
    return f;
}

const char *cli_text(struct cli *c, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *copy = (const char *)arena_copy(c->arena, slice_text(text));

    return copy != NULL ? copy : "";
}

const char *cli_hex(struct cli *c, ProtobufCBinaryData bytes)
{
    const char *text = "";

    for (size_t i = 0; i < bytes.len; i++)
        text = cli_text(c, "%s%02x", text, bytes.data[i]);
    return text;
}

const char *cli_id(struct cli *c, ProtobufCBinaryData id)
{
    char text[ID_TEXT] = "-";

    if (id.len == ID_BYTES)
        id_text(id.data, text);
    return cli_text(c, "%s", text);
}

const char *cli_time(struct cli *c, uint64_t unix_ms)
{
    char text[40];

    if (unix_ms == 0)
        return "";
    json_time_text(unix_ms / 1000, 0, 0, text, sizeof text);
    if (strlen(text) < 17)
        return "";
    text[10] = ' ';
    text[16] = '\0';
    return cli_text(c, "%s", text);
}

const char *cli_word(struct cli *c, const ProtobufCEnumDescriptor *type, int number)
{
    char word[64];

    return json_word(type, number, word, sizeof word) != NULL ? cli_text(c, "%s", word)
                                                              : "?";
}

const char *cli_state(struct cli *c, Liaison__V1__State s)
{
    return cli_word(c, &liaison__v1__state__descriptor, (int)s);
}
