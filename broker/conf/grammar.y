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
%token <text> INCLUDE "include" TEST "test" SETTING "a setting"
%token <text> KIND "kind" AREA "area" REGIME "regime" SUPERVISOR "supervisor" SKILLS "skills" LANGUAGES "languages"
%token <text> CAPACITY "capacity" MERGED "merged" INTO "into" ON "on" OF "of" CERTIFICATE "certificate"
%token <text> FROM "from" TO "to" ANY "any" WITHIN "within" PURPOSE "purpose" BASIS "basis" SECTIONS "sections"
%token <text> REVEAL "reveal" RETURN "return" MAX_SIZE "max-size" ANSWER "answer" ELSE "else" ESCALATE "escalate"
%token <text> APPROVAL "approval" BY "by" RATE "rate" UNTIL "until" WHEN "when"
%token <text> REFERRAL "referral" TRANSFER "transfer" INFORMATION "information" QUERY "query"
%token <text> ACCEPT "accept" DELIVERY "delivery"
%token <text> MINOR "minor" CROSSING "crossing" HANDLING "handling" INFORMED "informed" URGENCY "urgency" SUBJECT "subject"
%token <text> ADULT "adult" UNKNOWN "unknown" SIZE "size" EXPECT "expect"
%token <text> OPEN "'{'" CLOSE "'}'" COMMA "','"
%token END_OF_LINE "end of line"
%token END_OF_FILE 0 "end of file"

%type <text> soft name word reveal category arg
%type <texts> set elements maybe_empty args one verdict
%type <words> words some target
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
  | DENY CERTIFICATE name         { parse_certificate(p, $3); }
  | INCLUDE STRING                { parse_include(p, $2); }
  | test                          { parse_test(p); }
  | SETTING args                  { parse_setting(p, $1, $2); }
  | error                         { parse_lost(p); }
  ;

agency: AGENCY name               { p->agency = (struct tree_agency){.name = $2}; }
  | agency agency_clause
  | agency error                  { p->agency.broken = true; }
  ;

agency_clause:
    KIND one                      { parse_clause(p, CLAUSE_KIND, $1, (struct tree_words){$2, false}); }
  | AREA one                      { parse_clause(p, CLAUSE_AREA, $1, (struct tree_words){$2, false}); }
  | REGIME one                    { parse_clause(p, CLAUSE_REGIME, $1, (struct tree_words){$2, false}); }
  | SUPERVISOR some               { parse_clause(p, CLAUSE_SUPERVISOR, $1, $2); }
  | SKILLS set                    { parse_clause(p, CLAUSE_SKILLS, $1, (struct tree_words){$2, false}); }
  | LANGUAGES set                 { parse_clause(p, CLAUSE_LANGUAGES, $1, (struct tree_words){$2, false}); }
  | CAPACITY one                  { parse_clause(p, CLAUSE_CAPACITY, $1, (struct tree_words){$2, false}); }
  | MERGED INTO one ON name       { parse_add(p, &$3, $5);
                                    parse_clause(p, CLAUSE_MERGED, $1, (struct tree_words){$3, false}); }
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
    WITHIN AREA                   { parse_clause(p, CLAUSE_WITHIN, $1, (struct tree_words){0}); }
  | PURPOSE words                 { parse_clause(p, CLAUSE_PURPOSE, $1, $2); }
  | BASIS words                   { parse_clause(p, CLAUSE_BASIS, $1, $2); }
  | SECTIONS words                { parse_clause(p, CLAUSE_SECTIONS, $1, $2); }
  | REVEAL ON reveal              { struct texts one = {0};
                                    parse_add(p, &one, $3);
                                    parse_clause(p, CLAUSE_REVEAL, $1, (struct tree_words){one, false}); }
  | RETURN set                    { parse_clause(p, CLAUSE_RETURN, $1, (struct tree_words){$2, false}); }
  | MAX_SIZE one                  { parse_clause(p, CLAUSE_MAX_SIZE, $1, (struct tree_words){$2, false}); }
  | KEEP one                      { parse_clause(p, CLAUSE_KEEP, $1, (struct tree_words){$2, false}); }
  | ANSWER WITHIN one ELSE ESCALATE TO target
                                  { parse_clause(p, CLAUSE_ANSWER, $1, (struct tree_words){$3, false});
                                    parse_clause(p, CLAUSE_ESCALATE, $5, $7); }
  | APPROVAL BY some              { parse_clause(p, CLAUSE_APPROVAL, $1, $3); }
  | RATE one                      { parse_clause(p, CLAUSE_RATE, $1, (struct tree_words){$2, false}); }
  | UNTIL one                     { parse_clause(p, CLAUSE_UNTIL, $1, (struct tree_words){$2, false}); }
  | WHEN MINOR                    { parse_clause(p, CLAUSE_MINOR, $2, (struct tree_words){0}); }
  | WHEN REGIME CROSSING          { parse_clause(p, CLAUSE_CROSSING, $2, (struct tree_words){0}); }
  | WHEN HANDLING some            { parse_clause(p, CLAUSE_HANDLING, $2, $3); }
  | WHEN INFORMED some            { parse_clause(p, CLAUSE_INFORMED, $2, $3); }
  | WHEN URGENCY some             { parse_clause(p, CLAUSE_URGENCY, $2, $3); }
  | WHEN SUBJECT some             { parse_clause(p, CLAUSE_SUBJECT, $2, $3); }
  ;

test: TEST STRING type category FROM name TO name
      { p->test = (struct tree_test){.name = $2, .type = $3, .category = $4, .from = $6, .to = $8}; }
  | TEST error                    { p->test = (struct tree_test){.name = $1, .broken = true}; }
  | test test_clause
  | test error                    { p->test.broken = true; }
  ;

test_clause:
    PURPOSE one                   { parse_clause(p, CLAUSE_PURPOSE, $1, (struct tree_words){$2, false}); }
  | BASIS one                     { parse_clause(p, CLAUSE_BASIS, $1, (struct tree_words){$2, false}); }
  | MINOR                         { parse_clause(p, CLAUSE_MINOR, $1, (struct tree_words){0}); }
  | MINOR UNKNOWN                 { struct texts unknown = {0};
                                    parse_add(p, &unknown, $2);
                                    parse_clause(p, CLAUSE_MINOR, $1, (struct tree_words){unknown, false}); }
  | ADULT                         { parse_clause(p, CLAUSE_MINOR, $1, (struct tree_words){0}); }
  | HANDLING one                  { parse_clause(p, CLAUSE_HANDLING, $1, (struct tree_words){$2, false}); }
  | REGIME one                    { parse_clause(p, CLAUSE_REGIME, $1, (struct tree_words){$2, false}); }
  | INFORMED one                  { parse_clause(p, CLAUSE_INFORMED, $1, (struct tree_words){$2, false}); }
  | URGENCY one                   { parse_clause(p, CLAUSE_URGENCY, $1, (struct tree_words){$2, false}); }
  | SUBJECT one                   { parse_clause(p, CLAUSE_SUBJECT, $1, (struct tree_words){$2, false}); }
  | SECTIONS set                  { parse_clause(p, CLAUSE_SECTIONS, $1, (struct tree_words){$2, false}); }
  | SIZE one                      { parse_clause(p, CLAUSE_SIZE, $1, (struct tree_words){$2, false}); }
  | ON one                        { parse_clause(p, CLAUSE_DATE, $1, (struct tree_words){$2, false}); }
  | EXPECT verdict                { parse_clause(p, CLAUSE_EXPECT, $1, (struct tree_words){$2, false}); }
  | EXPECT SECTIONS maybe_empty   { parse_clause(p, CLAUSE_EXPECT, $1, (struct tree_words){$3, true}); }
  ;

verdict: ALLOW                    { $$ = (struct texts){0}; parse_add(p, &$$, $1); }
  | DENY                          { $$ = (struct texts){0}; parse_add(p, &$$, $1); }
  ;

target: SUPERVISOR                { $$ = (struct tree_words){.any = true}; }
  | some
  ;

one: name                         { $$ = (struct texts){0}; parse_add(p, &$$, $1); };

some: one                         { $$ = (struct tree_words){.words = $1}; }
  | set                           { $$ = (struct tree_words){.words = $1}; }
  ;

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

maybe_empty: OPEN elements CLOSE  { $$ = $2; }
  | OPEN CLOSE                    { $$ = (struct texts){0}; }
  ;

args: %empty                      { $$ = (struct texts){0}; }
  | args arg                      { $$ = $1; parse_add(p, &$$, $2); }
  ;

arg: STRING | ANY | word;

/* Words of the language that cannot follow a name, so that they may be one. */
soft: REFERRAL | TRANSFER | INFORMATION | QUERY | ACCEPT | DELIVERY | MINOR | CROSSING | HANDLING | INFORMED | URGENCY
  | SUBJECT | CERTIFICATE | INTO | BY | ESCALATE | ADULT | UNKNOWN | SIZE | EXPECT | ALLOW | DENY
  ;

name: WORD | soft;

/* Inside braces every word but `any` is just a word. */
word: name | KEEP | GROUP | KIND | AREA | OF | FROM | TO | WITHIN | PURPOSE | BASIS | SECTIONS | REVEAL | ON | RETURN | WHEN
  | MAX_SIZE | REGIME | SUPERVISOR | SKILLS | LANGUAGES | CAPACITY | MERGED | ANSWER | ELSE | APPROVAL | RATE | UNTIL
  ;

%%

enum { EXPECTED_MAX = 128 }; /* more than there are tokens */

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
