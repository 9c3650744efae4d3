/* encrypt: records to a query. */
#include "party.h"

#define INPUT_MAX ((size_t)1 << 32)

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

/* Records that --row and --rows speak of. */
static size_t least_of(const hel_args *args)
{
	uint64_t row = 1, rows = 1;
	const bool ok = hel_arg_number(&row, args, "row", 1, UINT32_MAX, 1) == HEL_OK &&
			hel_arg_number(&rows, args, "rows", 1, 1 << HEL_MAX_LOG_BATCH, 1) == HEL_OK;
	return ok ? row + rows - 1 : 1; /* choose_records says what is wrong */
}

/* To the user alone: the query is written, and should be sent, whatever its records hold. */
static void tell_doubts(const hel_args *args, json_t *out, const hel_client *c,
			const hel_records *records, size_t first, size_t count)
{
	json_t *list = json_array();
	for (size_t row = first; row < first + count; row++) {
		hel_doubts doubts;
		hel_client_compare(&doubts, c, records, row);
		if (!*doubts.text)
			continue;
		hel_say(args, "%s\n", doubts.text);
		json_array_append_new(list, json_string(doubts.text));
	}
	if (json_array_size(list))
		json_object_set(out, "doubts", list);
	json_decref(list);
}

static hel_status run_encrypt(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_records records = {0};
	hel_writer w = {0};
	uint8_t *text = NULL;
	size_t first = 0, count = 0, size = 0;
	const char *input = hel_arg(args, "input");
	const bool own = hel_arg(args, "key");
	if (own == (hel_arg(args, "public-key") != NULL))
		FAIL(HEL_EINVAL, "give either --key (your own secret.key) or --public-key (of the "
				 "one who may read the result)");
	TRY(own ? hel_cli_client(&c, args) : hel_cli_contributor(&c, args));
	TRY(hel_input_read(input, INPUT_MAX, &text, &size));
	TRY(hel_client_records(&records, c, input, (const char *)text, size, least_of(args)));
	TRY(choose_records(&first, &count, args, c, &records));
	TRY(hel_client_encrypt(&w, c, &records, first, count));
	tell_doubts(args, out, c, &records, first, count);
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
	hel_free_secret(text, size);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_encrypt = {
    .name = "encrypt",
    .summary = "Encrypt a record, or a batch of them, into a query",
    .secrets = true,
    .option = {HEL_MANIFEST_OPTION,
	       {"key", "FILE", "your secret.key", false, false},
	       HEL_KEY_PASSPHRASE_OPTION,
	       {"public-key", "FILE", "or the public.key of the one who may read the result", false,
		false},
	       {"input", "FILE", "the records: csv or json; '-' is standard input", true, false},
	       {"out", "FILE", "the query", true, false},
	       {"row", "N", "which record of a file with several, from 1", false, false},
	       {"rows", "N", "how many from there on, for a model compiled with --batch", false,
		false}},
    .run = run_encrypt,
};
