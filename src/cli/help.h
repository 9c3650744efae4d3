/* help.h -- what a program says of its commands, from their own tables: on a terminal, as manual
 * pages, for a shell.
 */
#ifndef HEL_CLI_HELP_H
#define HEL_CLI_HELP_H

#include "cli.h"
#include <stdio.h>

void hel_help_overview(FILE *out, const char *program, const hel_command *const *commands);
void hel_help_command(const char *program, const hel_command *c);
/** Manual pages in man(7)'s macros: PROGRAM(1), and PROGRAM-COMMAND(1). */
void hel_help_man_overview(const char *program, const hel_command *const *commands);
void hel_help_man(const char *program, const hel_command *c);
/** A script for bash: commands, their options, and files for the rest. */
void hel_help_completion(const char *program, const hel_command *const *commands);

#endif
