/* keygen: a secret key, and the keys others need. */
#include "base/temporary.h"
#include "party.h"
#include <unistd.h>

/* Only what an explicit wish replaces: the old key may be all that reads old results. */
static hel_status check_place(char path[HEL_PATH_MAX], const hel_args *args)
{
	hel_status st = HEL_OK;
	TRY(hel_path(path, hel_arg(args, "out"), "secret.key"));
	if (!hel_arg(args, "force") && access(path, F_OK) == 0)
		FAIL(HEL_EINVAL,
		     "%s exists, and what was encrypted with it can be read with nothing else; "
		     "choose another directory or --force",
		     path);
done:
	return st;
}

/* The three files. All are written before the first one takes its place: a full disk changes
 * nothing; and the secret takes its place first: no interruption leaves keys that nothing can
 * decrypt for. */
enum { SECRET, PUBLIC, EVALUATION, FILES };

static const struct {
	const char *name;
	unsigned mode;
} file[FILES] = {{"secret.key", 0600}, {"public.key", 0644}, {"evaluation.keys", 0644}};

static hel_status write_files(const char *dir, const hel_writer w[FILES])
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX];
	hel_partial p[FILES] = {{.fd = -1}, {.fd = -1}, {.fd = -1}};
	TRY(hel_dir_make(dir));
	for (int i = 0; i < FILES; i++) {
		TRY(hel_path(path, dir, file[i].name));
		TRY(hel_partial_open(&p[i], path, file[i].mode));
		TRY(hel_write_all(p[i].fd, path, w[i].bytes, w[i].size));
		TRY(hel_partial_sync(&p[i]));
	}
	for (int i = 0; i < FILES; i++)
		TRY(hel_partial_finish(&p[i]));
done:
	for (int i = 0; i < FILES; i++)
		hel_partial_close(&p[i]);
	return st;
}

/* A secret key file in the place of another, under a passphrase. */
static hel_status seal_in_place(hel_writer *w, const char *passphrase)
{
	uint8_t *sealed;
	size_t size;
	const hel_status st = hel_seal(&sealed, &size, w->bytes, w->size, passphrase);
	if (st == HEL_OK) {
		hel_writer_clear(w);
		*w = (hel_writer){.bytes = sealed, .size = size, .capacity = size};
	}
	return st;
}

static hel_status run_keygen(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_writer w[FILES] = {0};
	char path[HEL_PATH_MAX], passphrase[HEL_PASSPHRASE_MAX] = "";
	hel_progress progress;
	const char *dir = hel_arg(args, "out");
	const bool seal = hel_arg(args, "seal") || hel_arg(args, "passphrase-file");
	hel_memory_for_one_run();
	TRY(check_place(path, args));
	TRY(hel_cli_client(&c, args));
	if (seal)
		TRY(hel_passphrase_read(passphrase, args, "passphrase-file", true));
	hel_progress_begin(&progress, "making keys");
	TRY(hel_client_generate(c));
	TRY(hel_client_write_secret(&w[SECRET], c));
	TRY(hel_client_write_public(&w[PUBLIC], c));
	TRY(hel_client_write_keys(&w[EVALUATION], c, args->pool));
	if (seal)
		TRY(seal_in_place(&w[SECRET], passphrase));
	TRY(write_files(dir, w));
	hel_cli_warn_of_readers(path); /* some file systems know no modes */
	hel_progress_end(&progress);
	hel_say(args,
		"%s/secret.key: keep it, show it to nobody (%s)\n%s/evaluation.keys: %.1f MB for "
		"the server\n%s/public.key: %.1f kB, for others who encrypt records for you\n",
		dir, seal ? "sealed by your passphrase" : "NOT sealed; see 'helrm seal'", dir,
		(double)w[EVALUATION].size / 1e6, dir, (double)w[PUBLIC].size / 1e3);
	json_object_update_new(out, json_pack("{s:I, s:I, s:b}", "evaluation_keys_bytes",
					      (json_int_t)w[EVALUATION].size, "public_key_bytes",
					      (json_int_t)w[PUBLIC].size, "sealed", seal));
done:
	hel_progress_end(&progress);
	hel_passphrase_clear(passphrase);
	for (int i = 0; i < FILES; i++)
		hel_writer_clear(&w[i]);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_keygen = {
    .name = "keygen",
    .summary = "Make a secret key and the evaluation keys a model needs",
    .secrets = true,
    .option = {HEL_MANIFEST_OPTION,
	       {"out", "DIR", "where the three files go", true, false},
	       {"seal", NULL, "encrypt secret.key under a passphrase (Argon2id)", false, false},
	       {"passphrase-file", "FILE", "the same; " HEL_PASSPHRASE_FILE, false, false},
	       {"force", NULL, "replace a secret key that is already there", false, false}},
    .run = run_keygen,
};
