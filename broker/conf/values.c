#include "broker/conf/values.h"

#include <stdio.h>
#include <string.h>

#include "proto/liaison.pb-c.h"

const struct value HANDLINGS[] = {
    {"none", LIAISON__V1__HANDLING__HANDLING_NONE},
    {"h0", LIAISON__V1__HANDLING__HANDLING_H0},
    {"h1", LIAISON__V1__HANDLING__HANDLING_H1},
    {"h2", LIAISON__V1__HANDLING__HANDLING_H2},
    {"h3", LIAISON__V1__HANDLING__HANDLING_H3},
    {NULL, 0},
};

const struct value INFORMEDS[] = {
    {"yes", LIAISON__V1__INFORMED__INFORMED_YES},
    {"later", LIAISON__V1__INFORMED__INFORMED_LATER},
    {"not-reached", LIAISON__V1__INFORMED__INFORMED_NOT_REACHED},
    {"would-endanger", LIAISON__V1__INFORMED__INFORMED_WOULD_ENDANGER},
    {"would-prejudice", LIAISON__V1__INFORMED__INFORMED_WOULD_PREJUDICE},
    {NULL, 0},
};

const struct value URGENCIES[] = {
    {"8h", LIAISON__V1__URGENCY__URGENCY_HOURS_8},
    {"3d", LIAISON__V1__URGENCY__URGENCY_DAYS_3},
    {"7d", LIAISON__V1__URGENCY__URGENCY_DAYS_7},
    {"date", LIAISON__V1__URGENCY__URGENCY_DATE},
    {NULL, 0},
};

const struct value SUBJECTS[] = {
    {"suspect", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_SUSPECT},
    {"convicted", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONVICTED},
    {"victim", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_VICTIM},
    {"witness", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_WITNESS},
    {"contact", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_CONTACT},
    {"relative", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_RELATIVE},
    {"at-risk", LIAISON__V1__SUBJECT_CATEGORY__SUBJECT_CATEGORY_AT_RISK},
    {NULL, 0},
};

const struct value REGIMES[] = {
    {"led", LIAISON__V1__REGIME__REGIME_LED},
    {"gdpr", LIAISON__V1__REGIME__REGIME_GDPR},
    {NULL, 0},
};

unsigned values_number(const struct value *list, const char *word)
{
    for (; list->word != NULL; list++)
        if (strcmp(list->word, word) == 0)
            return list->number;
    return 0;
}

const char *values_word(const struct value *list, unsigned number)
{
    while (list->word != NULL && list->number != number)
        list++;
    return list->word;
}

const char *values_list(const struct value *list, char *out, size_t out_len)
{
    const char *between = "";
    size_t used = 0;

    *out = '\0';
    for (; list->word != NULL && used < out_len; list++) {
        used += (size_t)snprintf(out + used, out_len - used, "%s%s", between, list->word);
        between = list[1].word != NULL && list[2].word == NULL ? " or " : ", ";
    }
    return out;
}
