/* keygen, encrypt, decrypt: what the owner of the data runs. */
#include "cli/cli.h"
#include "net/net.h"
#include <string.h>
#include <unistd.h>

static hel_status open_client(hel_client **out, const hel_args *args)
{
	hel_status st = HEL_OK;
	uint8_t *manifest = NULL, *secret = NULL;
	size_t manifest_size, secret_size = 0;
	TRY(hel_arg_file(&manifest, &manifest_size, args, "manifest"));
	if (hel_arg(args, "key"))
		TRY(hel_arg_file(&secret, &secret_size, args, "key"));
	TRY(hel_client_new(out, manifest, manifest_size, secret, secret_size));
done:
	hel_free(manifest);
	hel_free_secret(secret, secret ? secret_size : 0);
	return st;
}

/* The same for one who encrypts under another's public key. */
static hel_status open_contributor(hel_client **out, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *public = NULL;
	size_t size;
	TRY(open_client(&c, args));
	TRY(hel_arg_file(&public, &size, args, "public-key"));
	TRY(hel_client_contribute(c, public, size));
	*out = c;
	c = NULL;
done:
	hel_free(public);
	hel_client_free(c);
	return st;
}

#define MANIFEST_OPTION                                                                            \
	{                                                                                          \
		"manifest", "FILE", "manifest.helm of the model", true, false                      \
	}
#define KEY_OPTION                                                                                 \
	{                                                                                          \
		"key", "FILE", "secret.key", true, false                                           \
	}

static hel_status run_keygen(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_writer secret = {0}, keys = {0}, public = {0};
	char path[4096];
	const char *dir = hel_arg(args, "out");
	snprintf(path, sizeof path, "%s/secret.key", dir);
	if (!hel_arg(args, "force") && access(path, F_OK) == 0)
		FAIL(HEL_EINVAL,
		     "%s exists, and what was encrypted with it can be read with nothing else; "
		     "choose another directory or --force",
		     path);
	TRY(open_client(&c, args));
	TRY(hel_client_generate(c));
	TRY(hel_client_write_keys(&keys, c, args->pool));
	TRY(hel_client_write_public(&public, c));
	TRY(hel_client_write_secret(&secret, c));
	TRY(hel_dir_make(dir));
	snprintf(path, sizeof path, "%s/evaluation.keys", dir);
	TRY(hel_file_write(path, keys.bytes, keys.size, 0644));
	snprintf(path, sizeof path, "%s/public.key", dir);
	TRY(hel_file_write(path, public.bytes, public.size, 0644));
	snprintf(path, sizeof path, "%s/secret.key", dir);
	TRY(hel_file_write(path, secret.bytes, secret.size, 0600));
	hel_say(args,
		"%s/secret.key: keep it, show it to nobody\n%s/evaluation.keys: %.1f MB for the "
		"server\n%s/public.key: %.1f kB, for others who encrypt records for you\n",
		dir, dir, (double)keys.size / 1e6, dir, (double)public.size / 1e3);
	json_object_update_new(out, json_pack("{s:I, s:I}", "evaluation_keys_bytes",
					      (json_int_t)keys.size, "public_key_bytes",
					      (json_int_t) public.size));
done:
	hel_writer_clear(&secret);
	hel_writer_clear(&keys);
	hel_writer_clear(&public);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_keygen = {
    .name = "keygen",
    .summary = "Make a secret key and the evaluation keys a model needs",
    .option = {MANIFEST_OPTION,
	       {"out", "DIR", "where the three files go", true, false},
	       {"force", NULL, "replace a secret key that is already there", false, false}},
    .run = run_keygen,
};

/* Which records of the file: the one of --row, --rows from there on, or all that one query holds.
 */
static hel_status choose_records(size_t *first, size_t *count, const hel_args *args,
				 const hel_client *c, const hel_records *records)
{
	hel_status st = HEL_OK;
	uint64_t row, rows;
	const size_t most = hel_client_batch(c);
	const bool all = !hel_arg(args, "row") && !hel_arg(args, "rows");
	TRY(hel_arg_number(&row, args, "row", 1, records->count, 1));
	const size_t left = records->count - row + 1;
	TRY(hel_arg_number(&rows, args, "rows", 1, HEL_MIN(left, most), all ? left : 1));
	if (rows > most)
		FAIL(HEL_EINVAL,
		     most > 1
			 ? "%s holds %zu records, a query of this model up to %zu; choose with "
			   "--row and --rows"
			 : "%s holds %zu records; choose one with --row",
		     hel_arg(args, "input"), records->count, most);
	*first = row - 1;
	*count = rows;
done:
	return st;
}

static hel_status run_encrypt(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_records records = {0};
	hel_writer w = {0};
	size_t first = 0, count = 0;
	const char *input = hel_arg(args, "input");
	const bool own = hel_arg(args, "key");
	if (own == (hel_arg(args, "public-key") != NULL))
		FAIL(HEL_EINVAL, "give either --key (your own secret.key) or --public-key (of the "
				 "one who may read the result)");
	TRY(own ? open_client(&c, args) : open_contributor(&c, args));
	TRY(hel_records_read(&records, hel_client_dataset(c), &input, 1));
	TRY(choose_records(&first, &count, args, c, &records));
	TRY(hel_client_encrypt(&w, c, &records, first, count, HEL_UNKNOWN_IS_ERROR));
	TRY(hel_file_write(hel_arg(args, "out"), w.bytes, w.size, 0644));
	hel_say(args, "%s: %.1f kB, readable with %s secret key only\n", hel_arg(args, "out"),
		(double)w.size / 1e3, own ? "your" : "the public key owner's");
	if (hel_client_batch(c) > 1)
		hel_say(args,
			"%zu record%s of up to %zu in it: decrypt the result with --rows %zu\n",
			count, count > 1 ? "s" : "", hel_client_batch(c), count);
	json_object_update_new(out, json_pack("{s:I, s:I}", "query_bytes", (json_int_t)w.size,
					      "rows", (json_int_t)count));
done:
	hel_writer_clear(&w);
	hel_records_clear(&records);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_encrypt = {
    .name = "encrypt",
    .summary = "Encrypt a record, or a batch of them, into a query",
    .option = {MANIFEST_OPTION,
	       {"key", "FILE", "your secret.key", false, false},
	       {"public-key", "FILE", "or the public.key of the one who may read the result", false,
		false},
	       {"input", "FILE", "the records: csv or json", true, false},
	       {"out", "FILE", "the query", true, false},
	       {"row", "N", "which record of a file with several, from 1", false, false},
	       {"rows", "N", "how many from there on, for a model compiled with --batch", false,
		false}},
    .run = run_encrypt,
};

/* One score alone stands at the top of the JSON; several in a list. */
static void print_scores(const hel_args *args, json_t *out, const hel_score *score, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		json_t *one = json_pack("{s:f, s:f, s:f}", "logit", score[i].logit, "probability",
					score[i].probability, "bits", score[i].bits);
		if (count > 1)
			hel_say(args, "%zu: ", i + 1);
		hel_say(args, "logit %+.6f, probability %.6f (at least %.1f bits are right)\n",
			score[i].logit, score[i].probability, score[i].bits);
		if (count == 1)
			json_object_update(out, one);
		json_array_append_new(list, one);
	}
	if (count > 1)
		json_object_set(out, "results", list);
	json_decref(list);
}

static hel_status run_decrypt(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *bytes = NULL;
	size_t size;
	uint64_t rows = 0;
	hel_score *score = NULL;
	TRY(open_client(&c, args));
	const size_t most = hel_client_batch(c);
	if (most > 1 && !hel_arg(args, "rows"))
		FAIL(HEL_EINVAL,
		     "a result of this model holds up to %zu scores, and nothing in it says how "
		     "many: give --rows as 'helrm encrypt' told",
		     most);
	TRY(hel_arg_number(&rows, args, "rows", 1, most, 1));
	TRY(hel_arg_file(&bytes, &size, args, "input"));
	TRY_ALLOC(score, hel_alloc(rows, sizeof *score));
	TRY(hel_client_decrypt(score, rows, c, bytes, size));
	print_scores(args, out, score, rows);
done:
	hel_free_secret(score, rows * sizeof *score);
	hel_free(bytes);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_decrypt = {
    .name = "decrypt",
    .summary = "Decrypt a result into a score, or the scores of a batch",
    .option = {MANIFEST_OPTION,
	       KEY_OPTION,
	       {"input", "FILE", "the result", true, false},
	       {"rows", "N", "how many records its query held, for a model compiled with --batch",
		false, false}},
    .run = run_decrypt,
};
