/* Whatever a manifest says, a server cannot tell from what a client does what its record holds: the
 * manifest is refused before any record is read, or 1,000 records of every kind give the same
 * requests, byte for byte as long, in the same order. The commands, too. */
#include "draft.h"
#include "recorder.h"
#include <signal.h>
#include <sys/wait.h>

#define RECORDS 1000

static const char *helrm_binary;
static recorder server;

/* --- manifests ---------------------------------------------------------------------------- */

static void one_known_value(draft *d)
{
	for (size_t t = 0; t < d->s->table_count; t++) {
		const char *const values[] = {"1", "zz1", "zz2", "zz3"};
		assert_ok(hel_table_list(&d->s->table[t], values, 4));
	}
}

static void nothing_known(draft *d)
{
	for (size_t t = 0; t < d->s->table_count; t++)
		d->s->table[t].values = 0;
	d->input[0].layout.width = 13;
}

static void many_values(draft *d)
{
	list_values(&d->s->table[3], 1000, "%015u");
	d->input[0].layout = (hel_layout){11, 11, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, 1041};
}

/* Level 0 of one prime of 29 bits at scale 2^28 holds numbers below 2. */
static void small_level(draft *d)
{
	d->m.params.base = 1;
	d->m.params.scale_bits = 28;
}

static void threshold(draft *d)
{
	small_level(d);
	d->s->clip = 1000;
	d->s->dense[2].mean = -1000;
	d->s->dense[2].deviation = 600;
	d->input[0] = (hel_input){.first = 2, .layout = {11, 0, {0}, 1}};
}

static void small_and_fits(draft *d)
{
	small_level(d);
	d->s->clip = 1.9;
}

static void small_and_complex(draft *d)
{
	small_and_fits(d);
	d->input[0].layout.position[5] = 11;
}

static void small_and_squared(draft *d)
{
	small_level(d);
	d->s->clip = 1.6;
	d->m.degree = 2;
}

static void large_and_squared(draft *d)
{
	d->s->clip = 1000;
	d->m.degree = 2;
}

static void tiny_clip(draft *d)
{
	d->s->clip = 1e-300;
}

static void sharp_threshold(draft *d)
{
	for (size_t i = 0; i < d->s->dense_count; i++)
		d->s->dense[i].deviation = 1e-9;
}

static void no_deviation(draft *d)
{
	d->s->dense[0].deviation = 1e-300;
}

static void endless_deviation(draft *d)
{
	d->s->dense[0].deviation = 1e300;
}

static void endless_mean(draft *d)
{
	d->s->dense[1].mean = -1e300;
}

static void columns_exchanged(draft *d)
{
	char name[HEL_NAME_MAX];
	memcpy(name, d->s->dense[0].name, sizeof name);
	memcpy(d->s->dense[0].name, d->s->dense[1].name, sizeof name);
	memcpy(d->s->dense[1].name, name, sizeof name);
}

static void a_column_less(draft *d)
{
	d->s->dense_count--;
	d->input[0].layout.width = 44;
}

static void a_table_less(draft *d)
{
	hel_free(d->s->table[7].value);
	hel_free(d->s->table[7].text);
	d->s->table_count--;
	d->input[0].layout.width = 40;
}

static void other_data_set(draft *d)
{
	strcpy(d->s->dataset, "criteo");
}

static void sent_often(draft *d)
{
	d->m.inputs = 80;
	for (size_t i = 1; i < 80; i++)
		d->input[i] = d->input[0];
}

static void sent_twice(draft *d)
{
	d->m.inputs = 2;
	d->input[1] = d->input[0];
}

static void in_pieces(draft *d)
{
	small_and_fits(d);
	d->input[0].pieces = 8;
	d->input[0].log_piece = 3;
	d->input[0].layout.width = 64;
	d->input[0].piece = d->piece;
	for (uint32_t i = 0; i < 8; i++)
		d->piece[i] = (hel_piece){5 * i, i % 2 ? 8 : 0};
}

static void coded(draft *d, hel_coding coding, uint32_t size)
{
	for (size_t t = 0; t < d->s->table_count; t++) {
		d->s->table[t].coding = coding;
		d->s->table[t].coding_size = size;
	}
	d->input[0].layout.width = 20;
}

static void by_grid(draft *d)
{
	coded(d, HEL_CODING_GRID, 2);
}

static void by_roots(draft *d)
{
	coded(d, HEL_CODING_ROOTS, 8);
}

static void by_powers(draft *d)
{
	coded(d, HEL_CODING_POWERS, 64);
}

static void by_differences(draft *d)
{
	coded(d, HEL_CODING_CODED, 5);
}

static void in_digits(draft *d)
{
	for (size_t t = 0; t < d->s->table_count; t++) {
		d->s->table[t].base = 2;
		d->s->table[t].digits = hel_digits_for(5, 2);
	}
	d->input[0].layout.width = 40;
}

static void in_batches(draft *d)
{
	d->m.log_batch = 2;
	d->input[0].layout.log_slots = 9;
}

static void no_keys(draft *d)
{
	d->m.keys = 0;
}

static void honest(draft *d)
{
	(void)d;
}

static const struct {
	const char *name;
	void (*write)(draft *d);
	bool accepted;
} kinds[] = {
    {"honest", honest, true},
    {"knows one value of each column", one_known_value, true},
    {"knows no value", nothing_known, true},
    {"knows a thousand values", many_values, true},
    {"overflows above a threshold", threshold, false},
    {"numbers just fit a small level", small_and_fits, true},
    {"two just-fitting numbers in one slot", small_and_complex, false},
    {"squares overflow a small level", small_and_squared, false},
    {"squares of a thousand in a large level", large_and_squared, true},
    {"a clip of almost nothing", tiny_clip, true},
    {"a step at the mean", sharp_threshold, true},
    {"a deviation of almost nothing", no_deviation, false},
    {"an endless deviation", endless_deviation, false},
    {"an endless mean", endless_mean, false},
    {"columns exchanged", columns_exchanged, false},
    {"a column less", a_column_less, false},
    {"a table less", a_table_less, false},
    {"another data set's name", other_data_set, false},
    {"a column sent 80 times", sent_often, false},
    {"a column sent twice", sent_twice, true},
    {"pieces that overlap, some empty", in_pieces, true},
    {"codings: grid", by_grid, true},
    {"codings: roots", by_roots, true},
    {"codings: powers", by_powers, true},
    {"codings: differences", by_differences, true},
    {"digits", in_digits, true},
    {"batches of four", in_batches, true},
    {"no evaluation keys", no_keys, true},
};

/* --- records ------------------------------------------------------------------------------ */

static const char *pick(hel_prng *g, const char *const *from, size_t count)
{
	return from[hel_prng_u64(g) % count];
}

/* A row that can be read, and may hold anything. */
static void random_record(char *out, size_t size, hel_prng *g)
{
	static const char *const category[] = {
	    "0",    "1",   "2",	   "3",	       "4",   "?",    "",   "7.0",	     "1e30",
	    "-0.0", "zz1", "word", "\xc3\xa9", "a b", "0001", "-9", "fourteen chars"};
	static const char *const number[] = {"?",	  "",	    "0",    "-0",   "1e308",
					     "-1e308",	  "1e-320", "100",  "-9",   "600",
					     "599.99999", "160",    "1e15", "99.5", "40.001"};
	size_t n = 0;
	for (size_t i = 0; i < hel_dataset_by_name("heart")->columns; i++) {
		const hel_column_kind kind = hel_dataset_by_name("heart")->column[i].kind;
		if (kind == HEL_LABEL)
			continue;
		const char *cell = kind == HEL_DENSE ? pick(g, number, HEL_ARRAY_LEN(number))
						     : pick(g, category, HEL_ARRAY_LEN(category));
		char drawn[32];
		if (kind == HEL_DENSE && hel_prng_u64(g) % 2) {
			snprintf(drawn, sizeof drawn, "%.3f", 300 * hel_prng_unit(g));
			cell = drawn;
		}
		n += (size_t)snprintf(out + n, size - n, "%s%s", n ? "," : "", cell);
		if (!n)
			n += (size_t)snprintf(out + n, size - n, " ");
	}
	snprintf(out + n, size - n, "\n");
}

/* --- the library -------------------------------------------------------------------------- */

static void send_record(const hel_client *c, hel_remote *r, const hel_access *a, const char *text)
{
	uint8_t *query, *result;
	size_t query_size, size;
	hel_doubts doubts;
	hel_score score;
	assert_ok(hel_client_query(&query, &query_size, c, text, strlen(text), 0));
	assert_ok(hel_client_doubts(&doubts, c, text, strlen(text), 0));
	assert_true(!*doubts.text == !(doubts.unknown + doubts.cut));
	assert_ok(hel_remote_predict(&result, &size, r, a, "m", query, query_size));
	assert_unequal(hel_client_score(&score, c, result, size), HEL_OK); /* told to nobody */
	hel_bytes_free(query, query_size);
	hel_bytes_free(result, size);
}

static void same_for_all(const char *name, const hel_client *c, hel_prng *g)
{
	char first[1024], log[1024], text[1024];
	hel_remote *remote;
	hel_access *access;
	assert_ok(hel_remote_new(&remote, &(hel_remote_options){.url = server.url}));
	assert_ok(hel_access_new(&access, c, NULL));
	assert_ok(hel_access_set_token(access, "t"));
	recorder_take(&server, log, sizeof log);
	for (size_t i = 0; i < RECORDS; i++) {
		random_record(text, sizeof text, g);
		send_record(c, remote, access, text);
		recorder_take(&server, i ? log : first, sizeof log);
		if (i && strcmp(first, log) != 0)
			fail_msg("%s: record %zu, %s sends\n%sinstead of\n%s", name, i, text, log,
				 first);
	}
	assert_non_null(strstr(first, "/queries"));
	hel_access_free(access);
	hel_remote_free(remote);
}

static void test_library(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES];
	hel_prng g;
	test_prng(&g, 1);
	assert_ok(hel_secret_new(secret));
	for (size_t i = 0; i < HEL_ARRAY_LEN(kinds); i++) {
		hel_client *c =
		    draft_open(kinds[i].name, kinds[i].write, kinds[i].accepted, secret);
		if (c)
			same_for_all(kinds[i].name, c, &g);
		hel_client_free(c);
	}
}

/* A server that always says "not yet" is asked ever less often, and not for ever. */
static void test_pending(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES], *result;
	size_t size, requests = 0;
	char log[4096];
	draft d;
	hel_writer w = {0};
	hel_client *c;
	hel_access *a;
	hel_remote *r;
	draft_begin(&d);
	draft_end(&w, &d);
	assert_ok(hel_secret_new(secret));
	assert_ok(hel_client_open(&c, w.bytes, w.size, NULL, secret));
	assert_ok(hel_access_new(&a, c, NULL));
	assert_ok(hel_access_set_token(a, "t"));
	assert_ok(hel_remote_new(&r, &(hel_remote_options){.url = server.url, .limit = 2}));
	recorder_take(&server, log, sizeof log);
	server.pending = true;
	const double before = hel_clock();
	assert_status(HEL_EBUSY, hel_remote_predict(&result, &size, r, a, "m", "query", 5));
	assert_more(hel_clock() - before, 1.9);
	server.pending = false;
	recorder_take(&server, log, sizeof log);
	for (const char *p = log; *p; p++)
		requests += *p == '\n';
	assert_at_most(requests, 8); /* 0.1 s, 0.2 s, ... */
	hel_remote_free(r);
	hel_access_free(a);
	hel_client_free(c);
	hel_writer_clear(&w);
}

/* --- helrm query -------------------------------------------------------------------------- */

/* Its exit status; a new state directory for each. */
static int run_query(const char *record, const char *state)
{
	char command[256];
	int status;
	assert_ok(hel_file_write("test_hostile.csv", record, strlen(record), 0600));
	snprintf(command, sizeof command, "rm -rf %s", state);
	assert_int_equal(system(command), 0);
	const pid_t pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(126);
		execl(helrm_binary, "helrm", "query", "--server", server.url, "--model", "m",
		      "--input", "test_hostile.csv", "--state", state, "--no-passphrase",
		      "--patience", "5", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(system(command), 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void serve(void (*write)(draft *d))
{
	draft d;
	uint8_t secret[HEL_SECRET_BYTES] = {0};
	hel_client *c = NULL;
	hel_access *a = NULL;
	draft_begin(&d);
	write(&d);
	pthread_mutex_lock(&server.lock);
	draft_end(&server.manifest, &d);
	if (hel_client_open(&c, server.manifest.bytes, server.manifest.size, NULL, secret) ==
	    HEL_OK) {
		assert_ok(hel_access_new(&a, c, NULL));
		server.total = hel_access_keys_size(a, c);
	}
	pthread_mutex_unlock(&server.lock);
	hel_access_free(a);
	hel_client_free(c);
}

/* From the first request to the last. */
static void test_command(void **state)
{
	(void)state;
	static const char *const record[] = {
	    "63,1,1,145,233,1,2,150,0,2.3,3,0,3\n", "63,2,word,145,233,1,2,150,0,2.3,3,0,3\n",
	    "?,?,?,?,?,?,?,?,?,?,?,?,?\n", "1e300,word,1,-1e300,9999,x,y,150,a,1e-9,z,0,7\n"};
	static void (*const manifest[])(draft * d) = {honest, one_known_value, threshold};
	char first[4096] = "", log[4096];
	for (size_t k = 0; k < HEL_ARRAY_LEN(manifest); k++) {
		serve(manifest[k]);
		for (size_t i = 0; i < HEL_ARRAY_LEN(record); i++) {
			recorder_take(&server, log, sizeof log);
			assert_unequal(run_query(record[i], "test_hostile_state"), 0);
			recorder_take(&server, i ? log : first, sizeof log);
			if (i && strcmp(first, log) != 0)
				fail_msg("manifest %zu, %ssends\n%sinstead of\n%s", k, record[i],
					 log, first);
		}
		assert_true(!strstr(first, "/queries") == (manifest[k] == threshold));
	}
	/* what cannot be read is not even asked about */
	recorder_take(&server, log, sizeof log);
	assert_int_equal(run_query("63,1,1,high,233,1,2,150,0,2.3,3,0,3\n", "test_hostile_state"),
			 3);
	recorder_take(&server, log, sizeof log);
	assert_string_equal(log, "");
}

static int start(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	setenv("http_proxy", "http://127.0.0.1:1", 1); /* not for this machine */
	recorder_start(&server);
	return hel_random_init() == HEL_OK ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	recorder_stop(&server);
	return unlink("test_hostile.csv");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_library),
					   cmocka_unit_test(test_pending),
					   cmocka_unit_test(test_command)};
	if (argc < 2)
		return 2;
	helrm_binary = argv[1];
	return cmocka_run_group_tests(tests, start, stop);
}
