/* cli.h -- what the commands of the helrm binary share. */
#ifndef HEL_CLI_H
#define HEL_CLI_H

#include "base/base.h"
#include <jansson.h>

#define HEL_FILE_MAX ((size_t)16 << 30)

/** One option of a command. `value` is its argument's name in --help, NULL for a flag. */
typedef struct hel_option {
	const char *name, *value, *help;
	bool required, many;
} hel_option;

#define HEL_MAX_OPTIONS 48
#define HEL_MAX_VALUES 64

/** The options of one call, parsed. */
typedef struct hel_args {
	const struct hel_command *command;
	const char *value[HEL_MAX_OPTIONS][HEL_MAX_VALUES];
	size_t count[HEL_MAX_OPTIONS];
	const char *operand; /* for commands that take one */
	bool json;
	unsigned threads;
	hel_pool *pool;
} hel_args;

typedef struct hel_command {
	const char *name, *summary, *operand;
	bool secrets; /* holds some: no core dumps, no debuggers */
	hel_option option[HEL_MAX_OPTIONS];
	/* Fills `out`, which is printed with --json; prints for people otherwise. */
	hel_status (*run)(const hel_args *args, json_t *out);
} hel_command;

/** The whole program around a table of commands that ends with a NULL name. */
int hel_cli_main(int argc, char **argv, const char *program, const hel_command *const *commands);

/** The first value of an option, NULL when absent. */
const char *hel_arg(const hel_args *args, const char *name);
/** All values of an option. */
const char *const *hel_arg_all(const hel_args *args, const char *name, size_t *count);
/** A whole number in [low, high], or `otherwise` when absent. */
HEL_CHECKED hel_status hel_arg_number(uint64_t *out, const hel_args *args, const char *name,
				      uint64_t low, uint64_t high, uint64_t otherwise);
/** Reads the file that an option names. */
HEL_CHECKED hel_status hel_arg_file(uint8_t **bytes, size_t *size, const hel_args *args,
				    const char *name);
#define HEL_PATH_MAX 4096

/** dir/name.
 *  @retval HEL_EINVAL it is too long. */
HEL_CHECKED hel_status hel_path(char out[HEL_PATH_MAX], const char *dir, const char *name);
/** A line for people: silent with --json. */
void hel_say(const hel_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));

extern const hel_command hel_command_train, hel_command_eval, hel_command_predict,
    hel_command_compile, hel_command_approximate, hel_command_keygen, hel_command_seal,
    hel_command_encrypt, hel_command_decrypt, hel_command_infer, hel_command_verify,
    hel_command_inspect, hel_command_inspect_plan, hel_command_synth, hel_command_bench,
    hel_command_lookup_bench, hel_command_tune, hel_command_import, hel_command_scan,
    hel_command_serve, hel_command_query, hel_command_catalogue;

#endif
