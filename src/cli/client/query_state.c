#include "query_state.h"
#include "cli/client/party.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

hel_status query_state_find(query_state *q, const hel_args *args)
{
	const char *given = hel_arg(args, "state"), *xdg = getenv("XDG_STATE_HOME"),
		   *home = getenv("HOME");
	uint8_t hash[HEL_HASH_BYTES];
	char name[17];
	if (!given && !(xdg && *xdg == '/') && !(home && *home == '/'))
		return hel_fail(HEL_EINVAL, "no place for keys: neither XDG_STATE_HOME nor HOME "
					    "is an absolute path; name one with --state DIR");
	const int n = given ? snprintf(q->state, sizeof q->state, "%s", given)
		      : xdg && *xdg == '/'
			  ? snprintf(q->state, sizeof q->state, "%s/helrm", xdg)
			  : snprintf(q->state, sizeof q->state, "%s/.local/state/helrm", home);
	if (n < 0 || (size_t)n >= sizeof q->state)
		return hel_fail(HEL_EINVAL, "the state directory's name is too long");
	const char *url = hel_arg(args, "server");
	size_t length = strlen(url);
	while (length && url[length - 1] == '/')
		length--;
	hel_hash(hash, url, length);
	sodium_bin2hex(name, sizeof name, hash, 8);
	snprintf(q->server, sizeof q->server, "%s/servers/%s", q->state, name);
	return HEL_OK;
}

hel_status query_state_lock(query_state *q)
{
	char path[HEL_PATH_MAX];
	hel_status st = hel_dir_make_private(q->server);
	if (st != HEL_OK)
		return st;
	snprintf(path, sizeof path, "%s/lock", q->state);
	q->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (q->lock < 0 || flock(q->lock, LOCK_EX))
		return hel_fail(HEL_EIO, "cannot lock %s: %s", path, strerror(errno));
	return HEL_OK;
}

void query_state_unlock(query_state *q)
{
	if (q->lock >= 0)
		close(q->lock);
	q->lock = -1;
}

hel_status query_state_secret(query_state *q, const hel_args *args)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX], passphrase[HEL_PASSPHRASE_MAX] = "";
	uint8_t *file = NULL;
	size_t size = 0;
	const bool clear = hel_arg(args, "no-passphrase") != NULL;
	sodium_mlock(q->secret, sizeof q->secret); /* where the limit allows it */
	snprintf(path, sizeof path, "%s/secret.key", q->state);
	if (access(path, F_OK) == 0) {
		TRY(hel_file_read(path, 1u << 20, &file, &size));
		if (hel_secret_is_sealed(file, size))
			TRY(hel_passphrase_read(passphrase, args, "passphrase-file", false));
		TRY(hel_secret_unseal(q->secret, file, size, *passphrase ? passphrase : NULL));
		hel_cli_warn_of_readers(path);
		goto done;
	}
	if (!clear)
		TRY(hel_passphrase_read(passphrase, args, "passphrase-file", true));
	TRY(hel_secret_new(q->secret));
	TRY(hel_secret_seal(&file, &size, q->secret, clear ? NULL : passphrase));
	TRY(hel_file_write(path, file, size, 0600));
	hel_say(args, "new secret key: %s (%s)\n", path,
		clear ? "NOT encrypted, as asked" : "encrypted under your passphrase");
done:
	hel_passphrase_clear(passphrase);
	hel_bytes_free(file, size);
	return st;
}

void query_state_close(query_state *q)
{
	query_state_unlock(q);
	sodium_munlock(q->secret, sizeof q->secret); /* wipes */
}
