/* Submits one referral. Run it inside a profile's directory, as `liaison enrol` makes it:
 *     cc -o example example.c $(pkg-config --cflags --libs liaison)
 *     ./example broker.example:7443 practicies.example fr/lyon/prison fr/lyon/probation */
#include <liaison.h>
#include <stdio.h>

#define OK(call) code = code == LIAISON_OK ? (call) : code

int main(int argc, char *argv[])
{
    static const char PERSON[] = "{\"name\": \"SYNTHETIC PERSON\"}";
    struct liaison *l = NULL;
    struct liaison_referral *r = NULL;
    struct liaison_answer *a = NULL;
    enum liaison_code code = LIAISON_OK;

    if (argc != 5)
        return LIAISON_USAGE;
    OK(liaison_new(&l));
    const char *const settings[] = {
        "broker",   argv[1],    "network", argv[2],   "agency",           argv[3],
        "ca",       "ca.crt",   "crl",     "crl.pem", "sign_certificate", "sign.crt",
        "sign_key", "sign.key", NULL};
    for (size_t i = 0; code == LIAISON_OK && settings[i] != NULL; i += 2)
        OK(liaison_set(l, settings[i], settings[i + 1]));
    OK(liaison_referral_new(l, &r));
    /* clang-format off */
    const char *const fields[] = {
        "to", argv[4], "type", "transfer", "category", "release-handover", "urgency", "days-7",
        "purpose", "reintegration", "basis", "law", "officer", "4711", "regime", "led",
        "subject_category", "convicted", "minor", "no", "informed", "yes", NULL};
    /* clang-format on */
    for (size_t i = 0; code == LIAISON_OK && fields[i] != NULL; i += 2)
        OK(liaison_referral_set(r, fields[i], fields[i + 1]));
    OK(liaison_referral_section(r, "identity", "application/json", PERSON,
                                sizeof PERSON - 1));
    OK(liaison_seal(l, &r, 1));
    OK(liaison_submit(l, r, 0, &a));
    if (code == LIAISON_OK)
        printf("%s %s %llu\n", liaison_answer_kind(a), liaison_referral_id(r),
               (unsigned long long)liaison_answer_seq(a));
    else
        fprintf(stderr, "%s\n", l != NULL ? liaison_errmsg(l) : liaison_code_text(code));
    liaison_answer_free(a);
    liaison_referral_free(r);
    liaison_free(l);
    return (int)code;
}
