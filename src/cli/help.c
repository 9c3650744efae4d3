#include "help.h"
#include "base/base.h"
#include <string.h>

/* Those that every command has. */
static const hel_option common[] = {
    {"json", NULL, "print one JSON object on stdout", false, false},
    {"threads", "N", "threads to use (default: all cores)", false, false},
    {"help", NULL, "this text", false, false},
};

static const char exit_status[] = "0 done, 2 usage, 3 bad record, 4 bad file, 5 files that do not "
				  "belong together, 6 refused, 7 system";

/* --- for terminals ------------------------------------------------------------------------- */

void hel_help_overview(FILE *out, const char *program, const hel_command *const *commands)
{
	fprintf(out,
		"usage: %s COMMAND [OPTION ...]\n\nScores private records with a recommendation "
		"model that never sees them.\n\n",
		program);
	for (; *commands; commands++)
		fprintf(out, "  %-12s %s\n", (*commands)->name, (*commands)->summary);
	fprintf(
	    out,
	    "\n'%s COMMAND --help' shows a command's options. Exit status: 0 done, 2 usage, 3 bad "
	    "record,\n4 bad file, 5 files that do not belong together, 6 refused, 7 system.\n",
	    program);
}

#define HELP_INDENT 23
#define HELP_WIDTH 80

/* Words from `column` on, in lines that begin at `indent`; the column after the last. */
static int print_words(const char *text, int column, int indent)
{
	for (int n; *text; text += n + (text[n] == ' ')) {
		n = (int)strcspn(text, " ");
		if (column + 1 + n > HELP_WIDTH && column > indent)
			column = printf("\n%*s", indent, "") - 1;
		column += printf("%s%.*s", column > indent ? " " : "", n, text);
	}
	return column;
}

static void print_usage(const char *program, const hel_command *c)
{
	char word[100];
	int column = printf("usage: %s %s", program, c->name);
	const int indent = (int)strlen("usage: ");
	if (c->operand)
		column = print_words(c->operand, column, indent);
	for (const hel_option *o = c->option; o < c->option + HEL_MAX_OPTIONS && o->name; o++) {
		/* an option and its value stay on one line */
		const int n = snprintf(
		    word, sizeof word, o->required ? "--%s%s%s%s" : "[--%s%s%s%s]", o->name,
		    o->value ? " " : "", o->value ? o->value : "", o->many ? " ..." : "");
		if (column + 1 + n > HELP_WIDTH)
			column = printf("\n%*s%s", indent, "", word) - 1;
		else
			column += printf(" %s", word);
	}
	printf("\n");
}

static void print_option(const char *name, const char *value, const char *help)
{
	int column = printf("  --%s%s%s", name, value ? " " : "", value ? value : "");
	if (column >= HELP_INDENT)
		column = printf("\n") - 1;
	printf("%*s", HELP_INDENT - column, "");
	print_words(help, HELP_INDENT, HELP_INDENT);
	printf("\n");
}

void hel_help_command(const char *program, const hel_command *c)
{
	print_usage(program, c);
	printf("\n%s.\n\n", c->summary);
	for (const hel_option *o = c->option; o < c->option + HEL_MAX_OPTIONS && o->name; o++)
		print_option(o->name, o->value, o->help);
	for (const hel_option *o = common; o < common + HEL_ARRAY_LEN(common); o++)
		print_option(o->name, o->value, o->help);
}

/* --- manual pages --------------------------------------------------------------------------- */

/* Text as it stands: a hyphen is no dash, a line's first dot no macro. */
static void put_roff(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			putchar('\\');
		putchar(*text == '\\' ? 'e' : *text);
	}
}

/* PROGRAM-COMMAND, as the page is called: "inspect plan" is one command. */
static void put_page_name(const char *program, const hel_command *c)
{
	printf("%s\\-", program);
	for (const char *p = c->name; *p; p++)
		printf("%s", *p == ' ' || *p == '-' ? "\\-" : (char[]){*p, 0});
}

static void put_head(const char *program, const hel_command *c, const char *summary)
{
	printf(".TH \"");
	if (c)
		put_page_name(program, c);
	else
		put_roff(program);
	printf("\" 1 \"\" \"helrm %s\" \"helrm\"\n.SH NAME\n", HELRM_VERSION);
	if (c)
		put_page_name(program, c);
	else
		put_roff(program);
	printf(" \\- ");
	put_roff(summary);
	printf("\n.SH SYNOPSIS\n.B %s\n", program);
}

static void put_option(const hel_option *o)
{
	printf(".TP\n\\fB\\-\\-");
	put_roff(o->name);
	printf("\\fR");
	if (o->value) {
		printf(" \\fI");
		put_roff(o->value);
		printf("\\fR%s", o->many ? " ..." : "");
	}
	putchar('\n');
	put_roff(o->help);
	printf("%s\n", o->required ? " (required)" : "");
}

static void put_exit_status(void)
{
	printf(".SH EXIT STATUS\n");
	put_roff(exit_status);
	printf(".\n");
}

void hel_help_man_overview(const char *program, const hel_command *const *commands)
{
	put_head(program, NULL,
		 "scores private records with a recommendation model that never sees them");
	printf("\\fICOMMAND\\fR [\\fIOPTION\\fR ...]\n.SH COMMANDS\n");
	for (const hel_command *const *c = commands; *c; c++) {
		printf(".TP\n\\fB");
		put_roff((*c)->name);
		printf("\\fR\n");
		put_roff((*c)->summary);
		printf(": see ");
		put_page_name(program, *c);
		printf("(1).\n");
	}
	put_exit_status();
}

void hel_help_man(const char *program, const hel_command *c)
{
	put_head(program, c, c->summary);
	put_roff(c->name);
	if (c->operand) {
		printf(" \\fI");
		put_roff(c->operand);
		printf("\\fR");
	}
	printf(" [\\fIOPTION\\fR ...]\n.SH OPTIONS\n");
	for (const hel_option *o = c->option; o < c->option + HEL_MAX_OPTIONS && o->name; o++)
		put_option(o);
	for (const hel_option *o = common; o < common + HEL_ARRAY_LEN(common); o++)
		put_option(o);
	put_exit_status();
	printf(".SH SEE ALSO\n.BR %s (1)\n", program);
}

/* --- for shells ----------------------------------------------------------------------------- */

static void put_options(const hel_command *c)
{
	for (const hel_option *o = c->option; o < c->option + HEL_MAX_OPTIONS && o->name; o++)
		printf(" --%s", o->name);
	for (const hel_option *o = common; o < common + HEL_ARRAY_LEN(common); o++)
		printf(" --%s", o->name);
}

void hel_help_completion(const char *program, const hel_command *const *commands)
{
	char function[64]; /* the program's name as a shell function's */
	snprintf(function, sizeof function, "%s", program);
	for (char *p = function; *p; p++)
		*p = *p == '-' ? '_' : *p;
	printf("# bash completion for %s; made by '%s --completion'\n_%s()\n{\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} options=\n",
	       program, program, function);
	printf("\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (const hel_command *const *c = commands; *c; c++)
		if (!strchr((*c)->name, ' '))
			printf("%s ", (*c)->name);
	printf("--help --version\" -- \"$word\"))\n\t\treturn\n\tfi\n"
	       "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
	for (const hel_command *const *c = commands; *c; c++) {
		printf("\t'%s'%s) options=\"", (*c)->name, strchr((*c)->name, ' ') ? "*" : "\\ *");
		put_options(*c);
		printf("\" ;;\n");
	}
	printf("\tesac\n\t[[ $word == -* ]] && COMPREPLY=($(compgen -W \"$options\" -- "
	       "\"$word\"))\n}\ncomplete -o default -F _%s %s\n",
	       function, program);
}
