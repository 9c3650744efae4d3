/* decrypt: a result to scores. */
#include "cli/report.h"
#include "party.h"

/* One score alone stands at the top of the JSON; several in a list. */
static void print_scores(const hel_args *args, json_t *out, const hel_score *score, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (count > 1)
			hel_say(args, "%zu: ", i + 1);
		json_t *one = hel_report_score(args, &score[i]);
		if (count == 1)
			json_object_update(out, one);
		json_array_append_new(list, one);
	}
	if (count > 1)
		json_object_set(out, "results", list);
	json_decref(list);
}

/* The record is not here: what 'encrypt' said of it holds. */
static void tell_limits(const hel_args *args, json_t *out)
{
	static const char text[] = "a record that 'helrm encrypt' had no doubts about";
	hel_say(args, "bits are those of %s; the record itself is not seen here\n", text);
	json_object_set_new(out, "bits_are_of", json_string(text));
}

/* The items with the highest scores. */
static hel_status decrypt_ranking(const hel_args *args, json_t *out, const hel_client *c,
				  const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_ranking *r = NULL;
	TRY(hel_client_rank(&r, c, bytes, size));
	TRY(hel_cli_ranking(args, out, r));
done:
	hel_ranking_free(r);
	return st;
}

static hel_status run_decrypt(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *bytes = NULL;
	size_t size;
	uint64_t rows = 0;
	hel_score *score = NULL;
	TRY(hel_cli_client(&c, args));
	if (hel_client_ranks(c)) {
		TRY(hel_arg_file(&bytes, &size, args, "input"));
		TRY(decrypt_ranking(args, out, c, bytes, size));
		goto done;
	}
	if (hel_arg(args, "top"))
		FAIL(HEL_EINVAL, "--top is for rankings: '%s' scores records one by one",
		     hel_client_model(c));
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
	tell_limits(args, out);
done:
	hel_free_secret(score, rows * sizeof *score);
	hel_free(bytes);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_decrypt = {
    .name = "decrypt",
    .summary = "Decrypt a result into a score, or the scores of a batch",
    .secrets = true,
    .option = {HEL_MANIFEST_OPTION,
	       {"key", "FILE", "your secret.key", true, false},
	       HEL_KEY_PASSPHRASE_OPTION,
	       {"input", "FILE", "the result", true, false},
	       HEL_TOP_OPTION,
	       {"rows", "N", "how many records its query held, for a model compiled with --batch",
		false, false}},
    .run = run_decrypt,
};
