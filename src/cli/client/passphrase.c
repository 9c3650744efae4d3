#include "passphrase.h"
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* --- a terminal that does not show what is typed, whatever ends the process ------------------- */

static struct {
	int fd;
	struct termios before;
	struct sigaction action[3];
} silent;

static const int ending[] = {SIGINT, SIGTERM, SIGHUP};

static void speak(void)
{
	tcsetattr(silent.fd, TCSAFLUSH, &silent.before);
	for (size_t i = 0; i < HEL_ARRAY_LEN(ending); i++)
		sigaction(ending[i], &silent.action[i], NULL);
}

static void on_ending(int number)
{
	speak();
	raise(number); /* to whom it may concern */
}

static bool silence(int fd)
{
	struct termios now;
	const struct sigaction action = {.sa_handler = on_ending};
	silent.fd = fd;
	if (tcgetattr(fd, &silent.before))
		return false;
	now = silent.before;
	now.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < HEL_ARRAY_LEN(ending); i++)
		sigaction(ending[i], &action, &silent.action[i]);
	return !tcsetattr(fd, TCSAFLUSH, &now);
}

/* Unbuffered: a stream's buffer would keep a copy. */
static bool read_line(int fd, char out[HEL_PASSPHRASE_MAX])
{
	size_t size = 0;
	for (ssize_t n; (n = read(fd, out + size, 1)) == 1 && out[size] != '\n';)
		if (++size == HEL_PASSPHRASE_MAX)
			return false;
	out[size] = 0;
	out[strcspn(out, "\r")] = 0;
	return true;
}

static hel_status ask(char out[HEL_PASSPHRASE_MAX], const char *prompt, const char *option)
{
	FILE *tty = fopen("/dev/tty", "r+");
	if (!tty || !silence(fileno(tty))) {
		if (tty)
			fclose(tty);
		return hel_fail(HEL_EINVAL,
				"the secret key needs a passphrase: give --%s FILE, or run this on "
				"a terminal",
				option);
	}
	fprintf(tty, "%s: ", prompt);
	fflush(tty);
	const bool got = read_line(fileno(tty), out);
	speak();
	fprintf(tty, "\n");
	fclose(tty);
	if (!got)
		return hel_fail(HEL_EINVAL, "a passphrase has at most %d bytes",
				HEL_PASSPHRASE_MAX - 1);
	return *out ? HEL_OK : hel_fail(HEL_EINVAL, "an empty passphrase");
}

/* --- a passphrase -------------------------------------------------------------------------------
 */

static hel_status read_file(char out[HEL_PASSPHRASE_MAX], const hel_args *args, const char *option)
{
	hel_status st = HEL_OK;
	uint8_t *file = NULL;
	size_t size = 0;
	TRY(hel_input_read(hel_arg(args, option), 1u << 16, &file, &size));
	const size_t n = strcspn((char *)file, "\r\n");
	if (!n || n >= HEL_PASSPHRASE_MAX)
		FAIL(HEL_EINVAL, "--%s: the first line must have 1 to %d bytes, found %zu", option,
		     HEL_PASSPHRASE_MAX - 1, n);
	memcpy(out, file, n);
	out[n] = 0;
done:
	hel_free_secret(file, file ? size : 0);
	return st;
}

hel_status hel_passphrase_read(char out[HEL_PASSPHRASE_MAX], const hel_args *args,
			       const char *option, bool new)
{
	hel_status st = HEL_OK;
	char again[HEL_PASSPHRASE_MAX] = "";
	sodium_mlock(out, HEL_PASSPHRASE_MAX); /* where the limit allows it */
	sodium_mlock(again, sizeof again);
	if (hel_arg(args, option)) {
		st = read_file(out, args, option);
		goto done;
	}
	if (getenv("HELRM_PASSPHRASE"))
		FAIL(HEL_EINVAL,
		     "HELRM_PASSPHRASE is not read any more: others can see an environment; give "
		     "--%s FILE ('-' or /dev/fd/N for a descriptor)",
		     option);
	TRY(ask(out, new ? "new passphrase for the secret key" : "passphrase of the secret key",
		option));
	if (new)
		TRY(ask(again, "once more", option));
	if (new &&strcmp(out, again) != 0)
		FAIL(HEL_EINVAL, "the two passphrases differ");
done:
	sodium_munlock(again, sizeof again); /* wipes */
	return st;
}

void hel_passphrase_clear(char passphrase[HEL_PASSPHRASE_MAX])
{
	sodium_munlock(passphrase, HEL_PASSPHRASE_MAX);
}
