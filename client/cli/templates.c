/* Referrals to start from. Everything in them is invented. */
#include <stdio.h>

#include "client/cli/cli.h"
#include "proto/id.h"

#define REPLACE_TO "replace/with-recipient"

static const struct template
{
    const char *category; /* NULL: any other */
    const char *text;     /* %s: the recipient, the category (in the general one) */
}
TEMPLATES[] = {
    {"release-handover",
     "{\n"
     "  \"to\": \"%s\",\n"
     "  \"type\": \"transfer\",\n"
     "  \"category\": \"%s\",\n"
     "  \"purpose\": \"reintegration\",\n"
     "  \"basis\": \"court-order\",\n"
     "  \"subject_category\": \"convicted\",\n"
     "  \"minor\": \"no\",\n"
     "  \"regime\": \"led\",\n"
     "  \"handling\": \"none\",\n"
     "  \"informed\": \"yes\",\n"
     "  \"urgency\": \"days-7\",\n"
     "  \"sections\": {\n"
     "    \"identity\": {\n"
     "      \"name\": \"SYNTHETIC Example Person (replace)\",\n"
     "      \"aliases\": [],\n"
     "      \"date_of_birth\": \"1990-01-01\",\n"
     "      \"nationality\": \"replace\",\n"
     "      \"language\": \"replace\",\n"
     "      \"interpreter\": false\n"
     "    },\n"
     "    \"custody\": {\n"
     "      \"establishment\": \"SYNTHETIC example prison (replace)\",\n"
     "      \"sentence\": \"determinate\",\n"
     "      \"earliest_release\": {\"date\": \"2027-06-30\", \"kind\": \"CRD\"},\n"
     "      \"licence_conditions\": [\"replace: weekly reporting\"]\n"
     "    },\n"
     "    \"concern\": {\n"
     "      \"statements\": [\n"
     "        {\"text\": \"SYNTHETIC: replace with what was seen\", \"kind\": \"fact\", "
     "\"source\": \"B\", \"grade\": 2},\n"
     "        {\"text\": \"SYNTHETIC: replace with what is thought of it\", \"kind\": "
     "\"assessment\", \"source\": \"B\", \"grade\": 3}\n"
     "      ]\n"
     "    },\n"
     "    \"needs\": {\n"
     "      \"complexity\": \"medium\",\n"
     "      \"needs\": [\"replace: housing\", \"replace: work\"],\n"
     "      \"protective_factors\": [\"replace: contact with a sister\"],\n"
     "      \"desired_outcomes\": [\"replace: a place to live on the day of release\"]\n"
     "    },\n"
     "    \"assessment\": {\"tool\": \"VAF\", \"version\": \"replace\", \"date\": "
     "\"2026-11-01\", \"change\": \"none\"}\n"
     "  }\n"
     "}\n"},
    {"mentoring",
     "{\n"
     "  \"to\": \"%s\",\n"
     "  \"type\": \"referral\",\n"
     "  \"category\": \"%s\",\n"
     "  \"purpose\": \"reintegration\",\n"
     "  \"basis\": \"consent\",\n"
     "  \"subject_category\": \"convicted\",\n"
     "  \"minor\": \"no\",\n"
     "  \"regime\": \"gdpr\",\n"
     "  \"handling\": \"none\",\n"
     "  \"informed\": \"yes\",\n"
     "  \"urgency\": \"days-7\",\n"
     "  \"sections\": {\n"
     "    \"identity\": {\n"
     "      \"name\": \"SYNTHETIC Example Person (replace)\",\n"
     "      \"date_of_birth\": \"1990-01-01\",\n"
     "      \"language\": \"replace\",\n"
     "      \"contact\": \"replace\"\n"
     "    },\n"
     "    \"needs\": {\n"
     "      \"complexity\": \"low\",\n"
     "      \"needs\": [\"replace: a mentor who speaks the language\"],\n"
     "      \"desired_outcomes\": [\"replace: a meeting every week for six months\"]\n"
     "    }\n"
     "  }\n"
     "}\n"},
    {"concern",
     "{\n"
     "  \"to\": \"%s\",\n"
     "  \"type\": \"referral\",\n"
     "  \"category\": \"%s\",\n"
     "  \"purpose\": \"safeguarding\",\n"
     "  \"basis\": \"law\",\n"
     "  \"subject_category\": \"at-risk\",\n"
     "  \"minor\": \"yes\",\n"
     "  \"regime\": \"gdpr\",\n"
     "  \"handling\": \"none\",\n"
     "  \"informed\": \"later\",\n"
     "  \"urgency\": \"days-3\",\n"
     "  \"sections\": {\n"
     "    \"identity\": {\n"
     "      \"name\": \"SYNTHETIC Example Pupil (replace)\",\n"
     "      \"date_of_birth\": \"2011-01-01\"\n"
     "    },\n"
     "    \"concern\": {\n"
     "      \"statements\": [\n"
     "        {\"text\": \"SYNTHETIC: replace with what happened and when\", "
     "\"kind\": \"fact\", \"source\": \"A\", \"grade\": 1},\n"
     "        {\"text\": \"SYNTHETIC: replace with why it worries you\", "
     "\"kind\": \"assessment\", \"source\": \"B\", \"grade\": 3}\n"
     "      ],\n"
     "      \"history\": \"replace\",\n"
     "      \"already_involved\": [\"replace: school nurse\"],\n"
     "      \"guardians\": [{\"name\": \"SYNTHETIC Example Parent (replace)\", "
     "\"informed\": false, \"why_not\": \"replace\"}]\n"
     "    }\n"
     "  }\n"
     "}\n"},
    {NULL,
     "{\n"
     "  \"to\": \"%s\",\n"
     "  \"type\": \"referral\",\n"
     "  \"category\": \"%s\",\n"
     "  \"purpose\": \"replace\",\n"
     "  \"basis\": \"replace\",\n"
     "  \"subject_category\": \"contact\",\n"
     "  \"minor\": \"unknown\",\n"
     "  \"regime\": \"gdpr\",\n"
     "  \"handling\": \"none\",\n"
     "  \"informed\": \"later\",\n"
     "  \"urgency\": \"days-7\",\n"
     "  \"sections\": {\n"
     "    \"identity\": {\"name\": \"SYNTHETIC Example Person (replace)\", "
     "\"date_of_birth\": \"1990-01-01\"},\n"
     "    \"needs\": {\"needs\": [\"replace\"], \"desired_outcomes\": [\"replace\"]}\n"
     "  }\n"
     "}\n"},
};

int template_print(const char *category, const char *to, char *out, size_t out_len)
{
    const struct template *t = TEMPLATES;

    while (t->category != NULL && strcmp(t->category, category) != 0)
        t++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored                                                           \
    "-Wformat-nonliteral" /* the formats are the table's above */
    return snprintf(out, out_len, t->text, to != NULL ? to : REPLACE_TO, category);
#pragma GCC diagnostic pop
}

/* A category that has no form of its own may be a slip. */
static void mind_category(const char *category)
{
    enum { N = sizeof TEMPLATES / sizeof *TEMPLATES - 1 };
    const char *names[N];
    char hint[96];

    for (size_t i = 0; i < N; i++) {
        names[i] = TEMPLATES[i].category;
        if (strcmp(names[i], category) == 0)
            return;
    }
    fprintf(stderr, "liaison: there is no form for '%s', this is a general one%s\n",
            category, json_near(category, names, N, hint, sizeof hint));
}

int cmd_new(struct cli *c, int argc, char **argv)
{
    char text[8192];

    (void)argc;
    if (!id_word(argv[0]))
        return cli_fail(LIAISON_USAGE,
                        "a category is one word: lower-case letters, digits and '-'");
    if (c->opt[OPT_TO] != NULL && !id_name(c->opt[OPT_TO]))
        return cli_fail(LIAISON_USAGE,
                        "--to wants an agency's name such as fr/lyon/probation");
    template_print(argv[0], c->opt[OPT_TO], text, sizeof text);
    fputs(text, stdout);
    mind_category(argv[0]);
    return 0;
}
