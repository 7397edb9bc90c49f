/* The language of settings and rules. Every action is one call, so that C stands in C files. */
%require "3.8"
%define api.prefix {conf_}
%define api.pure full
%define api.location.type {struct place}
%define parse.error custom
%define parse.lac full
%locations
%param {struct parse *p} {void *scanner}

%code requires {
#include "broker/conf/parse.h"
}

%union {
    struct text text;
    struct texts texts;
    struct tree_words words;
    struct tree_parties parties;
    struct tree_party party;
    Liaison__V1__Type type;
    bool deny;
}

%code {
/* A whole lies where its first part begins; nothing at all lies where the token before it ended. */
#define YYLLOC_DEFAULT(all, parts, n) ((all) = (n) > 0 ? YYRHSLOC(parts, 1) : (p)->end)
#define YYMAXDEPTH 1000 /* the deepest nesting is a set in a clause; lists are left-recursive */

static int conf_lex(CONF_STYPE *value, struct place *at, struct parse *p, void *scanner);
static void conf_error(struct place *at, struct parse *p, void *scanner, const char *text);
}

%token <text> WORD "a word" STRING "a quoted string"
%token <text> NETWORK "network" KEEP "keep" AGENCY "agency" GROUP "group" AUDITOR "auditor" ALLOW "allow" DENY "deny"
%token <text> SETTING "a setting"
%token <text> KIND "kind" AREA "area" OF "of" FROM "from" TO "to" ANY "any" WITHIN "within" PURPOSE "purpose"
%token <text> BASIS "basis" SECTIONS "sections" REVEAL "reveal" ON "on" RETURN "return" WHEN "when" MAX_SIZE "max-size"
%token <text> REFERRAL "referral" TRANSFER "transfer" INFORMATION "information" QUERY "query"
%token <text> ACCEPT "accept" DELIVERY "delivery" MINOR "minor"
%token <text> LATER "a later word" LATER_STATEMENT "a later statement" ANSWER "answer" ELSE "else"
%token <text> OPEN "'{'" CLOSE "'}'" COMMA "','"
%token END_OF_LINE "end of line"
%token END_OF_FILE 0 "end of file"

%type <text> soft name word reveal category arg
%type <texts> set elements args
%type <words> words
%type <parties> parties party_list
%type <party> party member
%type <type> type
%type <deny> action

%%

file: %empty | file statement END_OF_LINE { yyerrok; /* the next statement starts afresh */ };

statement:
    NETWORK STRING                { parse_once(p, &p->tree->network, $1, $2); }
  | KEEP name                     { parse_once(p, &p->tree->keep, $1, $2); }
  | agency                        { parse_agency(p); }
  | GROUP name set                { parse_group(p, $2, $3, false); }
  | GROUP name error              { parse_group(p, $2, (struct texts){0}, true); }
  | AUDITOR name OF AREA name     { parse_auditor(p, $2, $5); }
  | AUDITOR name OF ANY           { parse_auditor(p, $2, $4); }
  | rule                          { parse_rule(p); }
  | SETTING args                  { parse_setting(p, $1, $2); }
  | LATER_STATEMENT anything      { parse_later(p, $1); }
  | error                         { parse_lost(p); }
  ;

agency: AGENCY name               { p->agency = (struct tree_agency){.name = $2}; }
  | agency agency_clause
  | agency error                  { p->agency.broken = true; }
  ;

agency_clause:
    KIND name                     { parse_once(p, &p->agency.kind, $1, $2); }
  | AREA name                     { parse_once(p, &p->agency.area, $1, $2); }
  | LATER later_args              { parse_later(p, $1); }
  ;

rule: action type category FROM parties TO parties
      { p->rule = (struct tree_rule){.at = @1, .deny = $1, .type = $2, .category = $3, .from = $5, .to = $7,
                                     .broken = $5.n == 0 || $7.n == 0}; }
  | action error                  { p->rule = (struct tree_rule){.at = @1, .deny = $1, .broken = true}; }
  | rule clause
  | rule error                    { p->rule.broken = true; }
  ;

action: ALLOW { $$ = false; } | DENY { $$ = true; };

type: ANY      { $$ = LIAISON__V1__TYPE__TYPE_UNSPECIFIED; }
  | REFERRAL    { $$ = LIAISON__V1__TYPE__TYPE_REFERRAL; }
  | TRANSFER    { $$ = LIAISON__V1__TYPE__TYPE_TRANSFER; }
  | INFORMATION { $$ = LIAISON__V1__TYPE__TYPE_INFORMATION; }
  | QUERY       { $$ = LIAISON__V1__TYPE__TYPE_QUERY; }
  ;

category: ANY  { $$ = (struct text){0}; }
  | STRING
  ;

parties: party                    { $$ = (struct tree_parties){0}; parse_add_party(p, &$$, $1.kind, $1.name); }
  | OPEN party_list CLOSE         { $$ = $2; }
  | OPEN CLOSE                    { $$ = (struct tree_parties){0}; parse_empty(p, @1); }
  ;

party: ANY                        { $$ = (struct tree_party){RULES_ANY, {0}}; }
  | member
  ;

member: KIND name           { $$ = (struct tree_party){RULES_KIND, $2}; }
  | GROUP name              { $$ = (struct tree_party){RULES_GROUP, $2}; }
  | name                          { $$ = (struct tree_party){RULES_AGENCY, $1}; }
  ;

party_list: member                { $$ = (struct tree_parties){0}; parse_add_party(p, &$$, $1.kind, $1.name); }
  | party_list COMMA member       { $$ = $1; parse_add_party(p, &$$, $3.kind, $3.name); }
  ;

clause:
    WITHIN AREA                   { parse_flag(p, &p->rule.within, $1); }
  | PURPOSE words                 { parse_words(p, &p->rule.purposes, $1, $2); }
  | BASIS words                   { parse_words(p, &p->rule.bases, $1, $2); }
  | SECTIONS words                { parse_words(p, &p->rule.sections, $1, $2); }
  | REVEAL ON reveal              { parse_once(p, &p->rule.reveal, $1, $3); }
  | RETURN set                    { parse_words(p, &p->rule.returns, $1, (struct tree_words){.words = $2}); }
  | WHEN MINOR                    { parse_flag(p, &p->rule.minor, $1); }
  | WHEN WORD later_args          { parse_condition(p, $2); }
  | MAX_SIZE name                 { parse_once(p, &p->rule.max_size, $1, $2); }
  | KEEP name                     { parse_later(p, $1); }
  | LATER later_args              { parse_later(p, $1); }
  | ANSWER WITHIN later_args      { parse_later(p, $1); }
  | ELSE later_args TO target     { parse_later(p, $1); }
  ;

target: name | LATER;

reveal: ACCEPT | DELIVERY;

words: ANY                        { $$ = (struct tree_words){.any = true}; }
  | set                           { $$ = (struct tree_words){.words = $1}; }
  ;

set: OPEN elements CLOSE          { $$ = $2; }
  | OPEN CLOSE                    { $$ = (struct texts){0}; parse_empty(p, @1); }
  ;

elements: word                    { $$ = (struct texts){0}; parse_add(p, &$$, $1); }
  | elements COMMA word           { $$ = $1; parse_add(p, &$$, $3); }
  ;

later_args: %empty | later_args name | later_args STRING | later_args ON | later_args set;

args: %empty                      { $$ = (struct texts){0}; }
  | args arg                      { $$ = $1; parse_add(p, &$$, $2); }
  ;

arg: STRING | ANY | word;

anything: %empty | anything arg | anything OPEN | anything CLOSE | anything COMMA;

/* Words of the language that cannot follow a name, so that they may be one. */
soft: REFERRAL | TRANSFER | INFORMATION | QUERY | ACCEPT | DELIVERY | MINOR;

name: WORD | soft;

/* Inside braces every word but `any` is just a word. */
word: name | KEEP | GROUP | KIND | AREA | OF | FROM | TO | WITHIN | PURPOSE | BASIS | SECTIONS | REVEAL | ON | RETURN | WHEN
  | MAX_SIZE | LATER | ANSWER | ELSE
  ;

%%

enum { EXPECTED_MAX = 64 }; /* more than there are tokens */

static int yyreport_syntax_error(const yypcontext_t *context, struct parse *p, void *scanner)
{
    yysymbol_kind_t kinds[EXPECTED_MAX];
    const char *names[EXPECTED_MAX];
    int n = yypcontext_expected_tokens(context, kinds, EXPECTED_MAX);

    (void)scanner;
    if (n < 0)
        return n;
    for (int i = 0; i < n; i++)
        names[i] = yysymbol_name(kinds[i]);
    parse_unexpected(p, *yypcontext_location(context), yysymbol_name(yypcontext_token(context)), names, (size_t)n);
    return 0;
}

static int conf_lex(CONF_STYPE *value, struct place *at, struct parse *p, void *scanner)
{
    (void)p;
    return conf_scan(&value->text, at, scanner);
}

static void conf_error(struct place *at, struct parse *p, void *scanner, const char *text)
{
    (void)scanner;
    report_error(p->tree->report, *at, "%s", text); /* "memory exhausted" */
}
