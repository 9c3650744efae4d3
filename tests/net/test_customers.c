/* Customers beside each other: API keys with names and quotas, and who gets the workers. */
#include "fixture.h"

static reply r;

static void write_keys(const char *text)
{
	write_file("api.keys", text, strlen(text));
}

#define GREEDY_KEY "the-key-of-the-greedy"
#define MODEST_KEY "the-key-of-the-modest"

static const char *greedy_bearer(const user *u)
{
	static char line[512];
	snprintf(line, sizeof line, "%sX-API-Key: " GREEDY_KEY "\r\n", bearer(u));
	return line;
}

static hel_status connect_with(user *u, const server *s, const char *key)
{
	hel_remote_free(u->remote);
	u->remote = NULL;
	return hel_remote_new(&u->remote,
			      &(hel_remote_options){.url = s->url, .patience = 20, .api_key = key});
}

static void make_user(user *u, const server *s, const char *key)
{
	uint8_t *manifest;
	size_t size;
	assert_ok(hel_secret_new(u->secret));
	assert_ok(connect_with(u, s, key));
	assert_ok(hel_remote_manifest(&manifest, &size, u->remote, "heart"));
	assert_ok(hel_client_open(&u->client, manifest, size, NULL, u->secret));
	hel_bytes_free(manifest, size);
	assert_ok(hel_access_new(&u->access, u->client, NULL));
	assert_ok(hel_remote_open(u->remote, u->access));
	assert_ok(hel_remote_upload(u->remote, u->access, u->client));
}

typedef struct attack {
	uint16_t port;
	const user *users;
	size_t count;
	hel_writer query;
	atomic_bool stop;
	atomic_uint taken;
} attack;

/* One query after another, none waited for, over all sessions of the greedy customer. */
static void *be_greedy(void *arg)
{
	attack *a = arg;
	static __thread reply answer;
	for (size_t i = 0; !atomic_load(&a->stop); i++)
		atomic_fetch_add(&a->taken,
				 request(&answer, a->port, "POST", "/v1/models/heart/queries",
					 greedy_bearer(&a->users[i % a->count]), a->query.bytes,
					 a->query.size) == 202);
	return NULL;
}

/* However many sessions one customer has, another is served as if there were two of them. */
static void test_fair_share(void **state)
{
	(void)state;
	enum { SESSIONS = 12 };
	server s;
	user modest = {0}, greedy[SESSIONS] = {{{0}, NULL, NULL, NULL}};
	pthread_t thread;
	char file[PATH_SIZE];
	snprintf(file, sizeof file, "%s", path("api.keys"));
	const char *const options[] = {"--api-keys",
				       file,
				       "--workers",
				       "1",
				       "--queue",
				       "40",
				       "--opens-per-minute",
				       "1000",
				       "--queries-per-minute",
				       "1000000",
				       NULL};
	write_keys("greedy " GREEDY_KEY "\nmodest " MODEST_KEY "\n");
	server_start(&s, options);
	make_user(&modest, &s, MODEST_KEY);
	for (size_t i = 0; i < SESSIONS; i++)
		make_user(&greedy[i], &s, GREEDY_KEY);
	/* one client's query under all sessions: most are refused when they run, and take a place
	 */
	attack a = {.port = s.port, .users = greedy, .count = SESSIONS};
	assert_ok(user_encrypt(&a.query, &greedy[0], 0));
	pthread_create(&thread, NULL, be_greedy, &a);
	while (metric(s.port, "helrm_queue_length") < 15 && atomic_load(&a.taken) < 2000)
		;
	for (size_t row = 0; row < 10; row++)
		assert_ok(
		    user_predict(&modest, "heart", row, want)); /* never "the queue is full" */
	atomic_store(&a.stop, true);
	pthread_join(thread, NULL);
	/* and never more than half of the queue was the greedy one's */
	assert_at_most(metric(s.port, "helrm_queue_length"), 20);
	assert_at_least(atomic_load(&a.taken), 15);
	assert_int_equal(200, request(&r, s.port, "GET", "/metrics", "", NULL, 0));
	assert_non_null(strstr(r.body, "status=\"202\",model=\"heart\",api_key=\"greedy\""));
	assert_non_null(strstr(r.body, "status=\"200\",model=\"heart\",api_key=\"modest\""));
	hel_writer_clear(&a.query);
	server_end(&s, SIGKILL);
	user_clear(&modest);
	for (size_t i = 0; i < SESSIONS; i++)
		user_clear(&greedy[i]);
}

static void test_quotas(void **state)
{
	(void)state;
	server s;
	user u = {0}, v = {0};
	hel_writer query = {0};
	uint8_t *json;
	size_t size;
	char file[PATH_SIZE];
	snprintf(file, sizeof file, "%s", path("api.keys"));
	const char *const options[] = {"--api-keys", file, "--opens-per-minute", "1000", NULL};
	write_keys("greedy " GREEDY_KEY " queries-per-minute=6 sessions=1\nmodest " MODEST_KEY
		   "\n");
	server_start(&s, options);
	make_user(&u, &s, GREEDY_KEY);
	make_user(&v, &s, MODEST_KEY);
	assert_ok(hel_access_request(&json, &size, u.access));
	assert_int_equal(507, request(&r, s.port, "POST", "/v1/sessions",
				      "X-API-Key: " GREEDY_KEY "\r\n", json, size));
	assert_int_equal(201, request(&r, s.port, "POST", "/v1/sessions",
				      "X-API-Key: " MODEST_KEY "\r\n", json, size));
	hel_bytes_free(json, size);
	assert_ok(user_encrypt(&query, &u, 0));
	int asked = 0, status;
	do
		status = request(&r, s.port, "POST", "/v1/models/heart/queries", greedy_bearer(&u),
				 query.bytes, query.size);
	while (++asked < 20 && (status == 202 || status == 200)); /* 200: done already */
	assert_int_equal(429, status);
	assert_int_equal(7, asked);
	/* a reload refills nothing, and quotas change with the file */
	write_keys("greedy " GREEDY_KEY " queries-per-minute=600\nmodest " MODEST_KEY "\n");
	kill(s.pid, SIGHUP);
	const double until = hel_clock() + 10;
	while ((status = request(&r, s.port, "POST", "/v1/models/heart/queries", greedy_bearer(&u),
				 query.bytes, query.size)) == 429 &&
	       hel_clock() < until)
		;
	assert_true(status == 202 || status == 200);
	assert_ok(user_predict(&v, "heart", 1, want));
	hel_writer_clear(&query);
	server_stop(&s);
	user_clear(&u);
	user_clear(&v);
}

/* Guesses at API keys are counted like guesses at tokens; who knows his key is not concerned. */
static void test_guesses(void **state)
{
	(void)state;
	server s;
	char file[PATH_SIZE], line[64];
	snprintf(file, sizeof file, "%s", path("api.keys"));
	const char *const options[] = {"--api-keys", file, "--opens-per-minute", "5", NULL};
	write_keys("modest " MODEST_KEY "\n");
	server_start(&s, options);
	for (int i = 0; i < 12; i++) {
		snprintf(line, sizeof line, "X-API-Key: a-guess-of-%d-characters\r\n", i);
		assert_int_equal(i < 5 ? 401 : 429,
				 request(&r, s.port, "GET", "/v1/models", line, NULL, 0));
	}
	assert_int_equal(200, request(&r, s.port, "GET", "/v1/models",
				      "X-API-Key: " MODEST_KEY "\r\n", NULL, 0));
	server_stop(&s);
}

int main(int argc, char **argv)
{
	if (!world_arguments(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_fair_share, fresh_data),
	    cmocka_unit_test_setup(test_quotas, fresh_data),
	    cmocka_unit_test_setup(test_guesses, fresh_data),
	};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
