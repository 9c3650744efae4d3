/* passphrase.h -- what seals a secret key: from a file, a descriptor or the terminal. Never from
 * the environment, which other programs of this user can read.
 */
#ifndef HEL_CLI_PASSPHRASE_H
#define HEL_CLI_PASSPHRASE_H

#include "cli/cli.h"

#define HEL_PASSPHRASE_MAX 1024
#define HEL_PASSPHRASE_FILE                                                                        \
	"its first line is the passphrase; '-' is standard input, /dev/fd/N an open descriptor "   \
	"(default: the terminal is asked)"

/** The passphrase that the option names, or the terminal's; a new one is asked for twice. Locked in
 *  memory: hel_passphrase_clear.
 *  @retval HEL_EINVAL there is neither, it is empty or too long, or the two differ. */
HEL_CHECKED hel_status hel_passphrase_read(char out[HEL_PASSPHRASE_MAX], const hel_args *args,
					   const char *option, bool new);
void hel_passphrase_clear(char passphrase[HEL_PASSPHRASE_MAX]);

#endif
