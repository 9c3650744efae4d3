/* query: private predictions from a server. Nothing that is sent depends on a decrypted score. */
#include "cli/report.h"
#include "net/client/client_inside.h"
#include "net/ranking_file.h"
#include "party.h"
#include "passphrase.h"
#include "query_state.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is to be scored. */
typedef struct question {
	uint8_t *text;
	size_t size;
	hel_records records;
	uint64_t least; /* records that must be there, where they are not counted yet */
	size_t first, count;
} question;

typedef struct query_run {
	const hel_args *args;
	const char *model;
	query_state at;
	hel_remote *remote;
	hel_client *client;
	hel_access *access;
	hel_progress progress;
	question question;
	hel_ranking *ranking; /* of a model that ranks items */
	uint8_t *candidates;  /* which of them, or NULL */
	size_t candidates_size;
} query_run;

/* --- the server -------------------------------------------------------------------------- */

static void show_progress(void *arg, uint64_t done, uint64_t total)
{
	hel_progress_step(arg, (double)done / (double)total);
}

static hel_status connect_server(query_run *q)
{
	hel_status st = HEL_OK;
	uint64_t patience;
	TRY(hel_arg_number(&patience, q->args, "patience", 1, 86400, 60));
	const hel_remote_options options = {.url = hel_arg(q->args, "server"),
					    .api_key = getenv("HELRM_API_KEY"),
					    .authority = hel_arg(q->args, "ca"),
					    .certificate = hel_arg(q->args, "cert"),
					    .private_key = hel_arg(q->args, "cert-key"),
					    .plain_http = hel_arg(q->args, "plain-http") != NULL,
					    .patience = (double)patience,
					    .progress = show_progress,
					    .progress_arg = &q->progress};
	TRY(hel_remote_new(&q->remote, &options));
done:
	return st;
}

static hel_status read_pin(uint8_t pin[HEL_PIN_BYTES], const char *text)
{
	size_t size = 0;
	return strlen(text) == 2 * HEL_PIN_BYTES &&
		       !sodium_hex2bin(pin, HEL_PIN_BYTES, text, 2 * HEL_PIN_BYTES, NULL, &size,
				       NULL) &&
		       size == HEL_PIN_BYTES
		   ? HEL_OK
		   : hel_fail(HEL_EINVAL, "--pin is a manifest's hash, %d hexadecimal digits",
			      2 * HEL_PIN_BYTES);
}

/* The manifest accepted before; the server's on first use or when asked to. */
static hel_status open_manifest(query_run *q)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX], hash[2 * HEL_PIN_BYTES + 1];
	uint8_t *manifest = NULL, pin[HEL_PIN_BYTES];
	size_t size = 0;
	const char *wanted = hel_arg(q->args, "pin");
	snprintf(path, sizeof path, "%s/%s.manifest", q->at.server, q->model);
	const bool fetch = hel_arg(q->args, "accept-manifest") || access(path, F_OK) != 0;
	if (wanted)
		TRY(read_pin(pin, wanted));
	if (fetch)
		TRY(hel_remote_manifest(&manifest, &size, q->remote, q->model));
	else
		TRY(hel_file_read(path, HEL_MANIFEST_MAX, &manifest, &size));
	TRY(hel_client_open(&q->client, manifest, size, wanted ? pin : NULL, q->at.secret));
	if (fetch) {
		hel_client_pin(pin, q->client);
		sodium_bin2hex(hash, sizeof hash, pin, sizeof pin);
		TRY(hel_file_write(path, manifest, size, 0644));
		hel_say(q->args, "model '%s' accepted, manifest %s\n", q->model, hash);
	}
done:
	hel_bytes_free(manifest, size);
	return st;
}

/* A refusal may have a plain reason: the model is not the one that was accepted. */
static hel_status explain_refusal(query_run *q, hel_status refused)
{
	char path[HEL_PATH_MAX], detail[400];
	uint8_t *known = NULL, *now = NULL;
	size_t known_size = 0, now_size = 0;
	if (refused != HEL_EMODEL && refused != HEL_EKEY && refused != HEL_EPARAMS &&
	    refused != HEL_EINVAL)
		return refused;
	snprintf(detail, sizeof detail, "%s", hel_error_detail());
	snprintf(path, sizeof path, "%s/%s.manifest", q->at.server, q->model);
	const bool changed = hel_file_read(path, HEL_MANIFEST_MAX, &known, &known_size) == HEL_OK &&
			     hel_remote_manifest(&now, &now_size, q->remote, q->model) == HEL_OK &&
			     (known_size != now_size || memcmp(known, now, now_size) != 0);
	hel_bytes_free(known, known_size);
	hel_bytes_free(now, now_size);
	return changed ? hel_fail(HEL_EMODEL,
				  "model '%s' changed on the server since it was accepted; take "
				  "the new one with --accept-manifest",
				  q->model)
		       : hel_fail(refused, "%s", detail);
}

static void access_path(char path[HEL_PATH_MAX], const query_run *q)
{
	uint8_t parameters[HEL_PIN_BYTES];
	char name[17];
	hel_client_parameters(parameters, q->client);
	sodium_bin2hex(name, sizeof name, parameters, 8);
	snprintf(path, HEL_PATH_MAX, "%s/%s.access", q->at.server, name);
}

static hel_status load_access(query_run *q, const char *path)
{
	hel_status st = HEL_OK;
	uint8_t *text = NULL;
	size_t size = 0;
	TRY(hel_file_read(path, 1u << 20, &text, &size));
	TRY(hel_access_read(&q->access, text, size));
done:
	hel_bytes_free(text, size);
	return st;
}

/* Opens a session for the keys of this model and of those it had before, and remembers it before a
 * byte is uploaded. */
static hel_status open_session(query_run *q, const char *path)
{
	hel_status st = HEL_OK;
	hel_access *new = NULL;
	uint8_t *text = NULL;
	size_t size = 0;
	TRY(hel_access_new(&new, q->client, q->access));
	st = hel_remote_open(q->remote, new);
	if (st == HEL_EINVAL && q->access) { /* a model it had is not served any more */
		hel_access_free(new);
		new = NULL;
		TRY(hel_access_new(&new, q->client, NULL));
		st = hel_remote_open(q->remote, new);
	}
	TRY(st);
	TRY(hel_access_write(&text, &size, new));
	TRY(hel_file_write(path, text, size, 0600));
	if (q->access)
		(void)!hel_remote_forget(q->remote, q->access);
	hel_access_free(q->access);
	q->access = new;
	new = NULL;
done:
	hel_access_free(new);
	hel_bytes_free(text, size);
	return st;
}

static hel_status ensure_session(query_run *q)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX];
	access_path(path, q);
	if (access(path, F_OK) == 0)
		TRY(load_access(q, path));
	if (!q->access || !hel_access_covers(q->access, q->client) || hel_arg(q->args, "new-keys"))
		TRY(open_session(q, path));
	hel_progress_begin(&q->progress, "uploading keys");
	st = hel_remote_upload(q->remote, q->access, q->client);
	if (st == HEL_EDENIED) { /* forgotten by the server: its time was over */
		hel_access_free(q->access);
		q->access = NULL;
		TRY(open_session(q, path));
		st = hel_remote_upload(q->remote, q->access, q->client);
	}
done:
	hel_progress_end(&q->progress);
	return st;
}

static hel_status forget_session(query_run *q)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX];
	access_path(path, q);
	if (access(path, F_OK) != 0)
		FAIL(HEL_EINVAL, "no session with this server is known");
	TRY(load_access(q, path));
	TRY(hel_remote_forget(q->remote, q->access));
	unlink(path);
	hel_say(q->args, "the server has removed this client's keys\n");
done:
	return st;
}

/* --- records ----------------------------------------------------------------------------- */

#define INPUT_MAX ((size_t)1 << 32)

/* Which records: the one of --row, or all with --batch. */
static hel_status choose_records(question *w, const hel_args *args, size_t records)
{
	hel_status st = HEL_OK;
	uint64_t row;
	const bool all = hel_arg(args, "batch") != NULL;
	TRY(hel_arg_number(&row, args, "row", 1, records, 1));
	if (records > 1 && !all && !hel_arg(args, "row"))
		FAIL(HEL_EINVAL, "%s holds %zu records; choose one with --row, or all with --batch",
		     hel_arg(args, "input"), records);
	w->first = all ? 0 : row - 1;
	w->count = all ? records : 1;
done:
	return st;
}

/* Before a byte is sent: what is malformed must not show as a query that does not come. */
static hel_status read_question(question *w, const hel_args *args)
{
	hel_status st = HEL_OK;
	size_t records;
	bool exact;
	const char *input = hel_arg(args, "input");
	if (!input)
		FAIL(HEL_EINVAL, "--input is missing");
	TRY(hel_input_read(input, INPUT_MAX, &w->text, &w->size));
	TRY(hel_client_check_input(&records, &exact, input, (const char *)w->text, w->size));
	if (exact)
		TRY(choose_records(w, args, records));
	else /* which line is a header, the model's columns say */
		TRY(hel_arg_number(&w->least, args, "row", 1, records, 1));
done:
	return st;
}

/* As the model's data set reads it. A file of another data set ends here, by its form alone. */
static hel_status read_records(query_run *q)
{
	hel_status st = HEL_OK;
	question *w = &q->question;
	TRY(hel_client_records(&w->records, q->client, hel_arg(q->args, "input"),
			       (const char *)w->text, w->size,
			       w->count ? w->first + w->count : w->least));
	TRY(choose_records(w, q->args, w->records.count));
done:
	return st;
}

static void question_clear(question *w)
{
	hel_bytes_free(w->text, w->size);
	hel_records_clear(&w->records);
}

typedef struct answer {
	size_t row;
	hel_status status;
	hel_score score;
	hel_doubts doubts;
	char detail[256];
} answer;

static hel_status encrypt(hel_writer *query, query_run *q, size_t first, size_t count)
{
	hel_status st = HEL_OK;
	hel_writer all = {0};
	if (!q->candidates)
		return hel_client_encrypt(query, q->client, &q->question.records, first, count);
	TRY(hel_client_encrypt(&all, q->client, &q->question.records, first, count));
	TRY(hel_client_candidates(&query->bytes, &query->size, q->client, all.bytes, all.size,
				  (const char *)q->candidates, q->candidates_size));
done:
	hel_writer_clear(&all);
	return st;
}

/* `count` records in one query. */
static hel_status predict(answer *a, query_run *q, size_t first, size_t count)
{
	hel_status st = HEL_OK;
	hel_writer query = {0};
	uint8_t *result = NULL;
	size_t size = 0;
	hel_score *score = NULL;
	TRY_ALLOC(score, hel_alloc(count, sizeof *score));
	TRY(encrypt(&query, q, first, count));
	st = hel_remote_predict(&result, &size, q->remote, q->access, q->model, query.bytes,
				query.size);
	if (st == HEL_EKEY) { /* the server may have lost its keys, whatever the query holds */
		TRY(hel_remote_upload(q->remote, q->access, q->client));
		st = hel_remote_predict(&result, &size, q->remote, q->access, q->model, query.bytes,
					query.size);
	}
	TRY(st);
	/* from here on failures are kept for the end: the server must not notice them */
	const hel_status refused = hel_client_ranks(q->client)
				       ? hel_client_rank(&q->ranking, q->client, result, size)
				       : hel_client_decrypt(score, count, q->client, result, size);
	for (size_t i = 0; i < count; i++) {
		a[i] = (answer){.row = first + i + 1, .status = refused, .score = score[i]};
		hel_client_compare(&a[i].doubts, q->client, &q->question.records, first + i);
		/* precision was measured on records within the ranges */
		if (a[i].doubts.cut || a[i].doubts.unseen)
			a[i].score.bits = 0;
		if (refused != HEL_OK)
			snprintf(a[i].detail, sizeof a->detail, "%s", hel_error_detail());
		else if (a[i].doubts.unknown && !hel_arg(q->args, "accept-unknown")) {
			a[i].status = HEL_EDATA;
			snprintf(a[i].detail, sizeof a->detail, "%.255s", a[i].doubts.text);
		}
	}
done:
	hel_free_secret(score, count * sizeof *score);
	hel_writer_clear(&query);
	hel_bytes_free(result, size);
	return st;
}

static json_t *print_answer(const hel_args *args, const answer *a)
{
	json_t *one = json_pack("{s:I}", "row", (json_int_t)a->row);
	const bool withheld = a->status == HEL_EDATA;
	hel_say(args, "%zu: ", a->row);
	if (a->status == HEL_OK)
		json_object_update_new(one, hel_report_score(args, &a->score));
	else {
		hel_say(args, "%s: %s\n", withheld ? "WITHHELD" : "REFUSED", a->detail);
		json_object_set_new(one, withheld ? "withheld" : "refused", json_string(a->detail));
	}
	if (a->status == HEL_OK && *a->doubts.text) {
		hel_say(args, "   %s\n", a->doubts.text);
		json_object_set_new(one, "doubt", json_string(a->doubts.text));
	}
	return one;
}

static hel_status ask_all(answer *answers, query_run *q)
{
	hel_status st = HEL_OK;
	const question *w = &q->question;
	hel_progress progress;
	hel_progress_begin(&progress, "predicting");
	for (size_t done = 0, n; done < w->count; done += n) {
		n = HEL_MIN(w->count - done, hel_client_batch(q->client));
		TRY(explain_refusal(q, predict(&answers[done], q, w->first + done, n)));
		hel_progress_step(&progress, (double)(done + n) / (double)w->count);
	}
done:
	hel_progress_end(&progress);
	return st;
}

/* The items of a catalogue for one record. */
static hel_status rank_items(query_run *q, json_t *out)
{
	hel_status st = HEL_OK;
	answer a = {0};
	hel_progress progress;
	hel_progress_begin(&progress, "ranking");
	if (q->question.count != 1)
		FAIL(HEL_EINVAL, "'%s' ranks items for one record: choose it with --row",
		     hel_client_model(q->client));
	TRY(explain_refusal(q, predict(&a, q, q->question.first, 1)));
	hel_progress_end(&progress);
	if (a.status != HEL_OK && a.status != HEL_EDATA)
		FAIL(a.status, "%s", a.detail);
	if (a.status == HEL_EDATA)
		FAIL(HEL_EDATA, "%s; its ranking is withheld (--accept-unknown shows it)",
		     a.detail);
	TRY(hel_cli_ranking(q->args, out, q->ranking));
	if (*a.doubts.text) {
		hel_say(q->args, "%s\n", a.doubts.text);
		json_object_set_new(out, "doubt", json_string(a.doubts.text));
	}
done:
	hel_progress_end(&progress);
	return st;
}

static hel_status score_records(query_run *q, json_t *out)
{
	hel_status st = HEL_OK;
	const size_t count = q->question.count;
	answer *answers = NULL;
	json_t *list = json_array();
	TRY_ALLOC(answers, hel_alloc(count, sizeof *answers));
	TRY(ask_all(answers, q));
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, print_answer(q->args, &answers[i]));
	json_object_set(out, "results", list);
	for (size_t i = 0; i < count; i++)
		if (answers[i].status == HEL_EDATA)
			FAIL(HEL_EDATA, "%s; its score is withheld (--accept-unknown shows it)",
			     answers[i].detail);
		else if (answers[i].status != HEL_OK)
			FAIL(answers[i].status, "row %zu: %s", answers[i].row, answers[i].detail);
done:
	json_decref(list);
	hel_free_secret(answers, answers ? count * sizeof *answers : 0);
	return st;
}

static hel_status run_query(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	static const char *const of_rankings[] = {"top", "candidates"};
	query_run q = {.args = args, .model = hel_arg(args, "model"), .at = {.lock = -1}};
	const bool forget = hel_arg(args, "forget") != NULL;
	if (strchr(q.model, '/'))
		FAIL(HEL_EINVAL, "--model %s: a model's name has no '/' in it", q.model);
	if (!forget)
		TRY(read_question(&q.question, args));
	if (hel_arg(args, "candidates"))
		TRY(hel_input_read(hel_arg(args, "candidates"), HEL_CANDIDATES_MAX, &q.candidates,
				   &q.candidates_size));
	TRY(query_state_find(&q.at, args));
	TRY(connect_server(&q));
	TRY(query_state_lock(&q.at));
	TRY(query_state_secret(&q.at, args));
	TRY(open_manifest(&q));
	if (forget) {
		TRY(forget_session(&q));
		goto done;
	}
	TRY(read_records(&q));
	TRY(explain_refusal(&q, ensure_session(&q)));
	query_state_unlock(&q.at);
	const bool ranks = hel_client_ranks(q.client);
	for (size_t i = 0; !ranks && i < HEL_ARRAY_LEN(of_rankings); i++)
		if (hel_arg(args, of_rankings[i]))
			FAIL(HEL_EINVAL, "--%s is for rankings: '%s' scores records one by one",
			     of_rankings[i], q.model);
	TRY((ranks ? rank_items : score_records)(&q, out));
	json_object_set_new(out, "superseded", json_boolean(hel_remote_superseded(q.remote)));
	if (hel_remote_superseded(q.remote))
		hel_say(args,
			"model '%s' has a newer version, and this one will go: take it with "
			"--accept-manifest\n",
			q.model);
	json_object_set_new(out, "peak_rss_bytes", json_integer((json_int_t)hel_peak_rss()));
done:
	hel_ranking_free(q.ranking);
	hel_bytes_free(q.candidates, q.candidates_size);
	question_clear(&q.question);
	hel_access_free(q.access);
	hel_client_free(q.client);
	hel_remote_free(q.remote);
	query_state_close(&q.at);
	return st;
}

const hel_command hel_command_query = {
    .name = "query",
    .summary = "Score records on a server that never sees them",
    .secrets = true,
    .option =
	{
	    {"server", "URL",
	     "https://HOST[:PORT]; http:// for this machine; an API key is read from HELRM_API_KEY",
	     true, false},
	    {"model", "NAME", "which of its models", true, false},
	    {"input", "FILE", "the record: csv or json; '-' is standard input", false, false},
	    {"row", "N", "which record of a file with several, from 1", false, false},
	    {"batch", NULL, "all records of the file, as many at once as the model takes", false,
	     false},
	    HEL_TOP_OPTION,
	    {"candidates", "FILE",
	     "rank these items only, one id or FROM..TO a line: the server sees which", false,
	     false},
	    {"accept-unknown", NULL, "show scores of records with unknown categories, too", false,
	     false},
	    {"state", "DIR",
	     "keys and sessions (default: $XDG_STATE_HOME/helrm, or "
	     "~/.local/state/helrm)",
	     false, false},
	    {"passphrase-file", "FILE", "seals a new secret key, or opens it: " HEL_PASSPHRASE_FILE,
	     false, false},
	    {"no-passphrase", NULL, "keep a new secret key in the clear", false, false},
	    {"pin", "HASH", "accept only the manifest of this hash", false, false},
	    {"accept-manifest", NULL, "accept a model that changed since the last time", false,
	     false},
	    {"new-keys", NULL, "upload new evaluation keys", false, false},
	    {"forget", NULL, "remove this client's keys from the server", false, false},
	    {"patience", "S", "seconds to try again without progress (default 60)", false, false},
	    {"ca", "FILE", "certificates to trust in place of the system's", false, false},
	    {"cert", "FILE", "this client's certificate", false, false},
	    {"cert-key", "FILE", "its private key", false, false},
	    {"plain-http", NULL, "http:// to other machines, too", false, false},
	},
    .run = run_query,
};
