#pragma once
/* `liaisond explain FILE`: what the rules say about one question, and which lines made them say so. */

/* Answers the question that the words after "explain" ask, on stdout; what is wrong with them is said on stderr.
 *
 * FILE is a settings file or a rules file alone. The answer is that of rules_decide(), so it is the broker's own.
 * Returns the exit status: 0 allowed, 77 refused, 78 the file is wrong, 66 it cannot be read, 64 the question is wrong. */
int explain_command(int argc, char *const *argv);
