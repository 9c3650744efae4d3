/* Versions of a model side by side: who is told of which, whose queries go where, and a rollout
 * under clients that ask all the time. */
#include "fixture.h"

static double want_second[ROWS];
static reply r;

static void put_version(const char *staged, const char *name)
{
	char from[PATH_SIZE], to[PATH_SIZE], part[PATH_SIZE];
	uint8_t *bytes;
	size_t size;
	snprintf(from, sizeof from, "%s/%s", world_dir, staged);
	snprintf(to, sizeof to, "%s/models/%s", world_dir, name);
	snprintf(part, sizeof part, "%s/part", world_dir);
	assert_ok(hel_file_read(from, 1 << 28, &bytes, &size));
	assert_ok(hel_file_write(part, bytes, size, 0600));
	assert_int_equal(0, rename(part, to));
	hel_free(bytes);
}

static int make_versions(void **state)
{
	if (world_make(state))
		return -1;
	assert_int_equal(0, rename(path("models/heart.helm"), path("first")));
	make_model(path("second"), "heart", 2, 3, want_second);
	return 0;
}

static int fresh(void **state)
{
	char command[PATH_SIZE + 16];
	snprintf(command, sizeof command, "rm -rf %s/models/*", world_dir);
	return system(command) || fresh_data(state);
}

static void write_shares(const char *text)
{
	char part[PATH_SIZE];
	snprintf(part, sizeof part, "%s/part", world_dir);
	assert_ok(hel_file_write(part, text, strlen(text), 0600));
	assert_int_equal(0, rename(part, path("models/heart.shares")));
}

static bool has_link(void)
{
	return strstr(r.text, "</v1/models/heart/manifest>; rel=\"successor-version\"") != NULL;
}

/* The server looks, and /v1/models or /readyz says so. */
static void look_until(const server *s, const char *where, const char *said)
{
	kill(s->pid, SIGHUP);
	do {
		usleep(10000);
		request(&r, s->port, "GET", where, "", NULL, 0);
	} while (!strstr(r.body, said));
}

static int ask_raw(const server *s, const user *u, const char *model)
{
	hel_writer query = {0};
	char url[128], headers[512];
	assert_ok(user_encrypt(&query, u, 0));
	snprintf(url, sizeof url, "/v1/models/%s/queries", model);
	snprintf(headers, sizeof headers, "%sPrefer: wait=20\r\n", bearer(u));
	const int status = request(&r, s->port, "POST", url, headers, query.bytes, query.size);
	hel_writer_clear(&query);
	return status;
}

static void test_side_by_side(void **state)
{
	(void)state;
	server s;
	user old = {0}, new = {0};
	char first[128], second[128], name[80];
	put_version("first", "heart@9.helm");
	put_version("second", "heart@10.helm");
	server_start(&s, NULL);
	snprintf(first, sizeof first, "%s", manifest_of(s.port, "heart@9"));
	snprintf(second, sizeof second, "%s", manifest_of(s.port, "heart@10"));
	assert_string_not_equal(first, second);
	assert_string_equal(second, manifest_of(s.port, "heart")); /* the last one */
	/* by a hash's first digits */
	snprintf(name, sizeof name, "heart@%.8s", first + 1);
	assert_string_equal(first, manifest_of(s.port, name));
	snprintf(name, sizeof name, "heart@%.40s", second + 1);
	assert_string_equal(second, manifest_of(s.port, name));
	snprintf(name, sizeof name, "heart@%.7s", second + 1);
	assert_string_equal("", manifest_of(s.port, name));
	assert_string_equal("", manifest_of(s.port, "heart@11"));
	assert_string_equal("", manifest_of(s.port, "hear"));
	assert_string_equal("", manifest_of(s.port, "heart@"));
	/* queries go to the version they are for, whatever new clients get */
	assert_ok(user_make(&old, s.url, "heart@9"));
	assert_ok(user_make(&new, s.url, "heart"));
	assert_ok(user_predict(&old, "heart", 1, want));
	assert_true(hel_remote_superseded(old.remote));
	assert_ok(user_predict(&new, "heart", 1, want_second));
	assert_false(hel_remote_superseded(new.remote));
	assert_ok(user_predict(&old, "heart@9", 2, want));
	assert_status(HEL_EMODEL, user_predict(&new, "heart@9", 2, want_second));
	assert_int_equal(200, ask_raw(&s, &old, "heart"));
	assert_true(has_link()); /* it retires */
	assert_int_equal(200, ask_raw(&s, &new, "heart"));
	assert_false(has_link());
	assert_equal(1, metric(s.port, "helrm_requests_total{route=\"/v1/models/{name}/queries\","
				       "method=\"POST\",status=\"409\",model=\"heart@9\",api_key="
				       "\"\"}"));
	/* one without a label comes before any label */
	put_version("first", "heart.helm");
	look_until(&s, "/v1/models", "\"heart\"");
	assert_string_equal(first, manifest_of(s.port, "heart"));
	assert_int_equal(200, ask_raw(&s, &new, "heart"));
	assert_true(has_link());
	/* what is taken out is out, and the others stay */
	unlink(path("models/heart.helm"));
	unlink(path("models/heart@9.helm"));
	kill(s.pid, SIGHUP);
	while (*manifest_of(s.port, "heart@9"))
		usleep(10000);
	assert_status(HEL_EMODEL, user_predict(&old, "heart", 3, want));
	assert_ok(user_predict(&new, "heart", 3, want_second));
	server_stop(&s);
	user_clear(&old);
	user_clear(&new);
}

#define CUSTOMERS 400

/* Which customers are told of the second version. */
static size_t told_of_second(bool out[CUSTOMERS], const server *s, const char *second)
{
	size_t n = 0;
	for (unsigned i = 0; i < CUSTOMERS; i++) {
		char header[64];
		snprintf(header, sizeof header, "X-Forwarded-For: 10.7.%u.%u\r\n", i / 100,
			 i % 100 + 1);
		assert_int_equal(
		    200, request(&r, s->port, "GET", "/v1/models/heart/manifest", header, NULL, 0));
		out[i] = strstr(r.text, second) != NULL;
		n += out[i];
	}
	return n;
}

static void test_shares(void **state)
{
	(void)state;
	server s;
	static bool before[CUSTOMERS], after[CUSTOMERS];
	char second[128];
	static const char *const proxied[] = {"--behind-proxy", NULL};
	put_version("first", "heart@1.helm");
	put_version("second", "heart@2.helm");
	write_shares("# a canary\nheart@1 70\n\n  heart@2\t30 # percent\r\n");
	server_start(&s, proxied);
	snprintf(second, sizeof second, "%s", manifest_of(s.port, "heart@2"));
	/* 30 % of 400: five standard deviations are 46 */
	const size_t few = told_of_second(before, &s, second);
	assert_in_range(few, 120 - 46, 120 + 46);
	assert_int_equal(few, told_of_second(after, &s, second));
	assert_memory_equal(before, after, sizeof before); /* the same ones */
	look_until(&s, "/v1/models", "\"percent\":30");
	/* whoever had it keeps it as its share grows */
	write_shares("heart@1 40\nheart@2 60\n");
	look_until(&s, "/v1/models", "\"percent\":60");
	assert_in_range(told_of_second(after, &s, second), 240 - 49, 240 + 49);
	for (size_t i = 0; i < CUSTOMERS; i++)
		assert_true(after[i] >= before[i]);
	/* a bad file changes nothing, and says why */
	static const char *const bad[][2] = {
	    {"heart@1 40\nheart@2 61", "101 percent together"},
	    {"heart@1 100\nheart@1 0", "line 2: 'heart@1' is there twice"},
	    {"heart@1 100\nheartless 0", "line 2: 'heartless' is no version of 'heart'"},
	    {"heart@1 1000", "line 1: a version and its share"},
	    {"heart@1 -1", "line 1: a version and its share"},
	    {"heart@1 50 50", "line 1: a version and its share"},
	    {"heart@1", "line 1: a version and its share"},
	    {"", "0 percent together"}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		write_shares(bad[i][0]);
		look_until(&s, "/readyz", bad[i][1]);
		look_until(&s, "/v1/models", "\"percent\":60");
	}
	/* shares of what is not in service go to the others */
	write_shares("heart@1 50\nheart@3 50\n");
	look_until(&s, "/v1/models", "\"percent\":100");
	assert_int_equal(0, told_of_second(after, &s, second));
	unlink(path("models/heart.shares"));
	look_until(&s, "/readyz", "\"refused\":\"\"");
	do
		kill(s.pid, SIGHUP);
	while (told_of_second(after, &s, second) != CUSTOMERS);
	server_stop(&s);
}

/* --- a rollout ---------------------------------------------------------------------------- */

#define CLIENTS 4

typedef struct asker {
	pthread_t thread;
	const server *s;
	user u;
	unsigned number;
	hel_status status;
	atomic_uint first, second; /* answers of each version */
	char why[256];
} asker;

static atomic_bool over;

/* Fetches the manifest again, and goes on with the keys it has. */
static hel_status follow(asker *a)
{
	hel_status st = HEL_OK;
	uint8_t *manifest = NULL;
	size_t size;
	hel_client *now = NULL;
	TRY(hel_remote_manifest(&manifest, &size, a->u.remote, "heart"));
	TRY(hel_client_open(&now, manifest, size, NULL, a->u.secret));
	TRY(hel_client_use(now, a->u.access));
	hel_client *before = a->u.client;
	a->u.client = now;
	now = before;
done:
	hel_client_free(now);
	hel_bytes_free(manifest, size);
	return st;
}

static hel_status ask(asker *a, unsigned i, const uint8_t second[HEL_PIN_BYTES])
{
	uint8_t pin[HEL_PIN_BYTES];
	hel_client_pin(pin, a->u.client);
	const bool is_second = memcmp(pin, second, sizeof pin) == 0;
	atomic_fetch_add(is_second ? &a->second : &a->first, 1);
	return user_predict(&a->u, "heart", (i + a->number) % ROWS, is_second ? want_second : want);
}

static uint8_t second_pin[HEL_PIN_BYTES];

static void *keep_asking(void *arg)
{
	asker *a = arg;
	for (unsigned i = 0; a->status == HEL_OK && !atomic_load(&over); i++) {
		if (i % 8 == 7)
			a->status = follow(a);
		if (a->status == HEL_OK)
			a->status = ask(a, i, second_pin);
	}
	snprintf(a->why, sizeof a->why, "%s", hel_error_detail());
	return NULL;
}

static unsigned answers(asker a[CLIENTS], bool second, bool least)
{
	unsigned n = least ? ~0u : 0;
	for (int i = 0; i < CLIENTS; i++) {
		const unsigned own = atomic_load(second ? &a[i].second : &a[i].first);
		n = least ? HEL_MIN(n, own) : n + own;
	}
	return n;
}

/* So many more answers of a version, or the test hangs: meson ends it. */
static void wait_for(asker a[CLIENTS], bool second, bool each, unsigned more)
{
	const unsigned until = answers(a, second, each) + more;
	while (answers(a, second, each) < until) {
		for (int i = 0; i < CLIENTS; i++)
			if (a[i].status != HEL_OK)
				fail_msg("client %d: %s", i, hel_error_detail());
		usleep(5000);
	}
}

static void make_asker(asker *a, const server *s, unsigned number)
{
	char key[32];
	uint8_t *manifest;
	size_t size;
	snprintf(key, sizeof key, "the-key-of-number-%u", number);
	*a = (asker){.s = s, .number = number};
	assert_ok(hel_secret_new(a->u.secret));
	assert_ok(hel_remote_new(
	    &a->u.remote, &(hel_remote_options){.url = s->url, .patience = 20, .api_key = key}));
	assert_ok(hel_remote_manifest(&manifest, &size, a->u.remote, "heart"));
	assert_ok(hel_client_open(&a->u.client, manifest, size, NULL, a->u.secret));
	hel_bytes_free(manifest, size);
	assert_ok(hel_access_new(&a->u.access, a->u.client, NULL));
	assert_ok(hel_remote_open(a->u.remote, a->u.access));
	assert_ok(hel_remote_upload(a->u.remote, a->u.access, a->u.client));
}

static void read_second_pin(void)
{
	server s;
	user u = {0};
	put_version("second", "heart.helm");
	server_start(&s, NULL);
	assert_ok(user_open(&u, s.url, "heart"));
	hel_client_pin(second_pin, u.client);
	user_clear(&u);
	server_stop(&s);
	unlink(path("models/heart.helm"));
}

static void test_rollout(void **state)
{
	(void)state;
	server s;
	static asker a[CLIENTS];
	char keys[CLIENTS * 40] = "", shared[PATH_SIZE];
	read_second_pin();
	assert_int_equal(0, fresh_data(NULL));
	for (unsigned i = 0; i < CLIENTS; i++)
		snprintf(keys + strlen(keys), 40, "n%u the-key-of-number-%u\n", i, i);
	write_file("api.keys", keys, strlen(keys));
	snprintf(shared, sizeof shared, "%s", path("api.keys"));
	const char *const options[] = {"--api-keys", shared, "--queries-per-minute", "1000000",
				       NULL};
	put_version("first", "heart@1.helm");
	write_shares("heart@1 100\n");
	server_start(&s, options);
	atomic_store(&over, false);
	for (unsigned i = 0; i < CLIENTS; i++)
		make_asker(&a[i], &s, i);
	for (int i = 0; i < CLIENTS; i++)
		assert_int_equal(0, pthread_create(&a[i].thread, NULL, keep_asking, &a[i]));
	wait_for(a, false, true, 4);
	/* beside the first one, for nobody yet */
	put_version("second", "heart@2.helm");
	kill(s.pid, SIGHUP);
	wait_for(a, false, true, 10);
	assert_int_equal(0, answers(a, true, false));
	/* for some, then for all, who come as they ask for the manifest */
	write_shares("heart@1 50\nheart@2 50\n");
	kill(s.pid, SIGHUP);
	wait_for(a, true, false, 10);
	wait_for(a, false, false, 10);
	write_shares("heart@1 0\nheart@2 100\n");
	kill(s.pid, SIGHUP);
	wait_for(a, true, true, 10);
	/* nobody asks the first one any more: it goes */
	const unsigned last = answers(a, false, false);
	unlink(path("models/heart@1.helm"));
	kill(s.pid, SIGHUP);
	wait_for(a, true, true, 10);
	assert_int_equal(last, answers(a, false, false));
	atomic_store(&over, true);
	for (int i = 0; i < CLIENTS; i++) {
		pthread_join(a[i].thread, NULL);
		if (a[i].status != HEL_OK)
			fail_msg("client %d: %s", i, a[i].why);
		user_clear(&a[i].u);
	}
	/* by the sessions they began with */
	assert_equal(CLIENTS, metric(s.port, "helrm_sessions_opened_total"));
	assert_equal(CLIENTS, metric(s.port, "helrm_sessions"));
	assert_equal(0, metric(s.port, "helrm_queries_failed_total"));
	server_stop(&s);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_side_by_side, fresh),
	    cmocka_unit_test_setup(test_shares, fresh),
	    cmocka_unit_test_setup(test_rollout, fresh),
	};
	return cmocka_run_group_tests(tests, make_versions, world_remove);
}
