#include "cli.h"
#include "base/temporary.h"
#include "help.h"
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	EXIT_USAGE = 2,
	EXIT_DATA = 3,
	EXIT_FILE = 4,
	EXIT_MISMATCH = 5,
	EXIT_REFUSED = 6,
	EXIT_SYSTEM = 7
};

static int exit_code(hel_status st)
{
	switch (st) {
	case HEL_OK:
		return 0;
	case HEL_EINVAL:
		return EXIT_USAGE;
	case HEL_EDATA:
		return EXIT_DATA;
	case HEL_EFORMAT:
	case HEL_EVERSION:
	case HEL_ETRUNC:
	case HEL_ELIMIT:
	case HEL_EHASH:
		return EXIT_FILE;
	case HEL_EKEY:
	case HEL_EPARAMS:
	case HEL_EMODEL:
	case HEL_ECLIENT:
	case HEL_ELEVEL:
	case HEL_ESCALE:
		return EXIT_MISMATCH;
	case HEL_ESECURITY:
	case HEL_EUNSUPPORTED:
	case HEL_ERANGE:
	case HEL_EDENIED:
		return EXIT_REFUSED;
	case HEL_ENOMEM:
	case HEL_EIO:
	case HEL_EBUSY:
	case HEL_ESPACE:
	case HEL_ECANCEL:
		return EXIT_SYSTEM;
	}
	return 1;
}

static int find_option(const hel_command *c, const char *name)
{
	for (int i = 0; i < HEL_MAX_OPTIONS && c->option[i].name; i++)
		if (strcmp(c->option[i].name, name) == 0)
			return i;
	return -1;
}

const char *const *hel_arg_all(const hel_args *args, const char *name, size_t *count)
{
	int i = find_option(args->command, name);
	*count = i < 0 ? 0 : args->count[i];
	return i < 0 ? NULL : args->value[i];
}

const char *hel_arg(const hel_args *args, const char *name)
{
	size_t count;
	const char *const *values = hel_arg_all(args, name, &count);
	return count ? values[0] : NULL;
}

static hel_status parse_number(uint64_t *out, const char *name, const char *text, uint64_t low,
			       uint64_t high)
{
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || v < low || v > high)
		return hel_fail(HEL_EINVAL,
				"--%s is '%s', expected a whole number from %llu to %llu", name,
				text, (unsigned long long)low, (unsigned long long)high);
	*out = v;
	return HEL_OK;
}

hel_status hel_arg_number(uint64_t *out, const hel_args *args, const char *name, uint64_t low,
			  uint64_t high, uint64_t otherwise)
{
	const char *text = hel_arg(args, name);
	*out = otherwise;
	return text ? parse_number(out, name, text, low, high) : HEL_OK;
}

hel_status hel_arg_file(uint8_t **bytes, size_t *size, const hel_args *args, const char *name)
{
	return hel_input_read(hel_arg(args, name), HEL_FILE_MAX, bytes, size);
}

hel_status hel_path(char out[HEL_PATH_MAX], const char *dir, const char *name)
{
	const int length = snprintf(out, HEL_PATH_MAX, "%s/%s", dir, name);
	return length > 0 && length < HEL_PATH_MAX
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "%.40s.../%s: a path has at most %d bytes", dir, name,
			      HEL_PATH_MAX - 1);
}

void hel_say(const hel_args *args, const char *format, ...)
{
	if (args->json)
		return;
	va_list list;
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
}

/* An option may take several values until the next "--". */
static hel_status parse(hel_args *a, int argc, char **argv)
{
	const hel_command *c = a->command;
	for (int i = 0; i < argc; i++) {
		const char *word = argv[i];
		if (strncmp(word, "--", 2) != 0) {
			if (!c->operand || a->operand)
				return hel_fail(HEL_EINVAL, "unexpected argument '%s'", word);
			a->operand = word;
			continue;
		}
		uint64_t n = 0;
		if (strcmp(word, "--json") == 0) {
			a->json = true;
			continue;
		}
		if (strcmp(word, "--threads") == 0) {
			if (i + 1 == argc)
				return hel_fail(HEL_EINVAL, "--threads needs a number");
			hel_status st = parse_number(&n, "threads", argv[++i], 1, 256);
			if (st != HEL_OK)
				return st;
			a->threads = (unsigned)n;
			continue;
		}
		int k = find_option(c, word + 2);
		if (k < 0)
			return hel_fail(HEL_EINVAL, "unknown option '%s'", word);
		const hel_option *o = &c->option[k];
		if (!o->value) {
			a->value[k][a->count[k]++] = word;
			a->count[k] = 1;
			continue;
		}
		if (a->count[k] && !o->many)
			return hel_fail(HEL_EINVAL, "'%s' is given twice", word);
		size_t before = a->count[k];
		while (i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0 &&
		       (o->many || a->count[k] == before)) {
			if (a->count[k] == HEL_MAX_VALUES)
				return hel_fail(HEL_EINVAL, "'%s' takes at most %d values", word,
						HEL_MAX_VALUES);
			a->value[k][a->count[k]++] = argv[++i];
		}
		if (a->count[k] == before)
			return hel_fail(HEL_EINVAL, "'%s' needs a value (%s)", word, o->value);
	}
	for (int k = 0; k < HEL_MAX_OPTIONS && c->option[k].name; k++)
		if (c->option[k].required && !a->count[k])
			return hel_fail(HEL_EINVAL, "--%s is missing", c->option[k].name);
	if (c->operand && !a->operand)
		return hel_fail(HEL_EINVAL, "%s is missing", c->operand);
	return HEL_OK;
}

/* A file that a command opens must never become its standard output, nor a full quota kill it. */
static void settle_process(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0) /* what is said or read there fails, and is noticed */
			(void)!open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
	signal(SIGXFSZ, SIG_IGN);
	hel_temporary_on_signals();
	hel_progress_show();
	/* vectors and ciphertexts come and go by the thousand: keep their pages */
	mallopt(M_MMAP_THRESHOLD, 4 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

/* Neither a core file nor a debugger of the same user sees its memory. */
static void hide_memory(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
#ifndef __SANITIZE_ADDRESS__ /* which looks for leaks as a debugger does */
	prctl(PR_SET_DUMPABLE, 0);
#endif
}

static int run_command(const char *program, const hel_command *c, int argc, char **argv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	hel_args args = {.command = c, .threads = cores > 0 ? (unsigned)cores : 1};
	json_t *out = json_object();
	hel_status st = hel_random_init();
	if (st == HEL_OK)
		st = parse(&args, argc, argv);
	if (st == HEL_EINVAL) {
		fprintf(stderr, "%s %s: %s; see '%s %s --help'\n", program, c->name,
			hel_error_detail(), program, c->name);
		json_decref(out);
		return EXIT_USAGE;
	}
	if (st == HEL_OK && !(args.pool = hel_pool_new(args.threads)))
		st = hel_fail(HEL_ENOMEM, "cannot start %u threads", args.threads);
	if (c->secrets)
		hide_memory();
	if (st == HEL_OK)
		st = c->run(&args, out);
	hel_progress_hide(); /* also of what failed */
	if (st == HEL_OK && args.json) {
		char *text = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(12));
		if (!text || puts(text) == EOF)
			st = hel_fail(HEL_EIO, "cannot write to stdout");
		free(text);
	}
	if (fflush(stdout) && st == HEL_OK)
		st = hel_fail(HEL_EIO, "cannot write to stdout: %s", strerror(errno));
	if (st != HEL_OK) {
		const char *detail = hel_error_detail();
		fprintf(stderr, "%s %s: %s\n", program, c->name,
			*detail ? detail : hel_status_text(st));
	}
	hel_pool_free(args.pool);
	json_decref(out);
	return exit_code(st);
}

/* How many arguments name the command: one, two ("inspect plan"), or 0 when they name another. */
static int matches(const hel_command *c, int argc, char **argv)
{
	const char *space = strchr(c->name, ' ');
	const size_t first = space ? (size_t)(space - c->name) : strlen(c->name);
	if (strlen(argv[1]) != first || memcmp(argv[1], c->name, first) != 0)
		return 0;
	return !space ? 1 : argc > 2 && strcmp(argv[2], space + 1) == 0 ? 2 : 0;
}

int hel_cli_main(int argc, char **argv, const char *program, const hel_command *const *commands)
{
	if (argc < 2) {
		hel_help_overview(stderr, program, commands);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		hel_help_overview(stdout, program, commands);
		return 0;
	}
	if (strcmp(argv[1], "--help=man") == 0) {
		hel_help_man_overview(program, commands);
		return 0;
	}
	if (strcmp(argv[1], "--completion") == 0) {
		hel_help_completion(program, commands);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts(HELRM_VERSION);
		return 0;
	}
	for (const hel_command *const *c = commands; *c; c++) {
		const int words = matches(*c, argc, argv);
		if (!words)
			continue;
		for (int i = 2; i < argc; i++) {
			if (strcmp(argv[i], "--help") == 0) {
				hel_help_command(program, *c);
				return 0;
			}
			if (strcmp(argv[i], "--help=man") == 0) {
				hel_help_man(program, *c);
				return 0;
			}
		}
		settle_process();
		return run_command(program, *c, argc - 1 - words, argv + 1 + words);
	}
	fprintf(stderr, "%s: unknown command '%s'; see '%s --help'\n", program, argv[1], program);
	return EXIT_USAGE;
}
