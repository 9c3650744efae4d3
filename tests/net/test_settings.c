/* Settings: defaults, a file, the environment; each error names its place. */
#include "../testing.h"
#include "net/server/settings.h"

static void test_sources(void **state)
{
	(void)state;
	static hel_settings s;
	hel_settings_default(&s);
	assert_string_equal(s.listen, "127.0.0.1:8443");
	assert_int_equal(s.queue, 256);
	assert_ok(hel_settings_parse(
	    &s, "# a comment\n\n queue = 7 \nplain-http=yes\nlisten = [::1]:0", "f"));
	assert_int_equal(s.queue, 7);
	assert_int_equal(s.plain_http, 1);
	assert_string_equal(s.listen, "[::1]:0");
	setenv("HELRM_SERVE_QUEUE", "8", 1);
	setenv("HELRM_SERVE_SESSION_TTL", "60", 1);
	assert_ok(hel_settings_environment(&s));
	assert_int_equal(s.queue, 8);
	assert_int_equal(s.session_ttl, 60);
	setenv("HELRM_SERVE_QUEUE", "many", 1);
	assert_status(HEL_EINVAL, hel_settings_environment(&s));
	assert_non_null(strstr(hel_error_detail(), "HELRM_SERVE_QUEUE"));
	unsetenv("HELRM_SERVE_QUEUE");
	unsetenv("HELRM_SERVE_SESSION_TTL");
	assert_ok(hel_settings_set(&s, "queue", "9", "--queue"));
	assert_int_equal(s.queue, 9);
}

static void test_errors(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} table[] = {{"queue = 0", "f, line 1"},
		     {"\n\nqueue = 1x", "f, line 3"},
		     {"queue", "name = value"},
		     {"nothing = 1", "unknown setting"},
		     {"plain-http = 1", "yes or no"},
		     {"workers = -1", "whole number"},
		     {"queue = 99999999999999999999", "whole number"}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(table); i++) {
		static hel_settings s, before;
		hel_settings_default(&s);
		before = s;
		assert_status(HEL_EINVAL, hel_settings_parse(&s, table[i].text, "f"));
		if (!strstr(hel_error_detail(), table[i].says))
			fail_msg("'%s' says '%s'", table[i].text, hel_error_detail());
		assert_memory_equal(&s, &before, sizeof s);
	}
}

/* HTTPS or loopback; nothing half. */
static void test_check(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		hel_status status;
	} table[] = {{"", HEL_OK},
		     {"listen = 0.0.0.0:80", HEL_EINVAL},
		     {"listen = [::]:80", HEL_EINVAL},
		     {"listen = 0.0.0.0:80\nplain-http = yes", HEL_OK},
		     {"listen = localhost:80", HEL_EINVAL},
		     {"listen = 127.0.0.1", HEL_EINVAL},
		     {"listen = 127.0.0.1:99999", HEL_EINVAL},
		     {"tls-cert = a", HEL_EINVAL},
		     {"tls-cert = /nowhere\ntls-key = /nowhere", HEL_EIO},
		     {"client-ca = a", HEL_EINVAL},
		     {"api-keys = /nowhere", HEL_EIO},
		     {"models = /nowhere", HEL_EIO}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(table); i++) {
		static hel_settings s;
		hel_settings_default(&s);
		assert_ok(hel_settings_set(&s, "models", "/tmp", "test"));
		assert_ok(hel_settings_parse(&s, table[i].text, "f"));
		assert_int_equal(hel_settings_check(&s), table[i].status);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_sources),
					   cmocka_unit_test(test_errors),
					   cmocka_unit_test(test_check)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
