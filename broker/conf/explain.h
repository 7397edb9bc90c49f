#pragma once
/* `liaisond explain FILE`: what the rules say about one question or all of a sort, which lines made them say so, and what would
 * have to be otherwise for the contrary. */

/* Answers the question that the words after "explain" ask, on stdout; what is wrong with them is said on stderr.
 *
 * FILE is a settings file or a rules file alone. The answer is that of rules_decide(), so it is the broker's own. A fact that is
 * left out may be anything; where it makes a difference there is an answer for each.
 * Returns the exit status: 0 allowed, 77 refused or not always allowed, 78 the file is wrong, 66 it cannot be read, 64 the
 * question is wrong. */
int explain_command(int argc, char *const *argv);
