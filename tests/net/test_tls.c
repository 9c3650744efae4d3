/* HTTPS with certificates made here: right and wrong authorities, client certificates, API keys. */
#include "fixture.h"
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

typedef struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;
} identity;

static void save_pem(const char *name, const gnutls_datum_t *pem)
{
	write_file(name, pem->data, pem->size);
	gnutls_free(pem->data);
}

/* A key and a certificate of it, signed by `issuer` (itself: an authority), saved as NAME.pem,
 * NAME.key. */
static identity make_identity(const char *name, const identity *issuer)
{
	identity id;
	gnutls_datum_t pem;
	char file[64];
	static unsigned char serial = 1;
	const unsigned char loopback[4] = {127, 0, 0, 1};
	assert_int_equal(gnutls_x509_privkey_init(&id.key), 0);
	assert_int_equal(
	    gnutls_x509_privkey_generate(id.key, GNUTLS_PK_ECDSA,
					 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
	    0);
	assert_int_equal(gnutls_x509_crt_init(&id.cert), 0);
	gnutls_x509_crt_set_version(id.cert, 3);
	gnutls_x509_crt_set_serial(id.cert, &serial, 1);
	serial++;
	gnutls_x509_crt_set_activation_time(id.cert, time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(id.cert, time(NULL) + 3600);
	gnutls_x509_crt_set_dn_by_oid(id.cert, GNUTLS_OID_X520_COMMON_NAME, 0, name,
				      (unsigned)strlen(name));
	gnutls_x509_crt_set_key(id.cert, id.key);
	gnutls_x509_crt_set_basic_constraints(id.cert, issuer == NULL, -1);
	if (issuer)
		gnutls_x509_crt_set_subject_alt_name(id.cert, GNUTLS_SAN_IPADDRESS, loopback, 4, 0);
	assert_int_equal(gnutls_x509_crt_sign2(id.cert, issuer ? issuer->cert : id.cert,
					       issuer ? issuer->key : id.key, GNUTLS_DIG_SHA256, 0),
			 0);
	assert_int_equal(gnutls_x509_crt_export2(id.cert, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(file, sizeof file, "%s.pem", name);
	save_pem(file, &pem);
	assert_int_equal(gnutls_x509_privkey_export2(id.key, GNUTLS_X509_FMT_PEM, &pem), 0);
	snprintf(file, sizeof file, "%s.key", name);
	save_pem(file, &pem);
	return id;
}

static void forget_identity(identity *id)
{
	gnutls_x509_crt_deinit(id->cert);
	gnutls_x509_privkey_deinit(id->key);
}

/* The manifest is what anyone may fetch who may talk to the server at all. */
static hel_status fetch(const char *url, const hel_remote_options *like)
{
	hel_remote *r = NULL;
	uint8_t *manifest = NULL;
	size_t size = 0;
	hel_remote_options o = *like;
	o.url = url;
	o.patience = 1;
	hel_status st = hel_remote_new(&r, &o);
	if (st == HEL_OK)
		st = hel_remote_manifest(&manifest, &size, r, "heart");
	hel_bytes_free(manifest, size);
	hel_remote_free(r);
	return st;
}

static void test_tls(void **state)
{
	(void)state;
	server s;
	char url[64], ca[PATH_SIZE], stranger[PATH_SIZE], cert[PATH_SIZE], key[PATH_SIZE],
	    other_cert[PATH_SIZE], other_key[PATH_SIZE];
	identity a = make_identity("ca", NULL), b = make_identity("stranger", NULL);
	identity server_id = make_identity("server", &a), client_id = make_identity("client", &a);
	identity false_id = make_identity("false", &b);
	snprintf(ca, sizeof ca, "%s", path("ca.pem"));
	snprintf(stranger, sizeof stranger, "%s", path("stranger.pem"));
	snprintf(cert, sizeof cert, "%s", path("client.pem"));
	snprintf(key, sizeof key, "%s", path("client.key"));
	snprintf(other_cert, sizeof other_cert, "%s", path("false.pem"));
	snprintf(other_key, sizeof other_key, "%s", path("false.key"));
	write_file("api.keys",
		   "# operators' keys\nsixteen-characters-or-more\nanother-key-of-some-length\n",
		   72);
	const char *const options[] = {
	    "--tls-cert", path("server.pem"), "--tls-key", path("server.key"), "--client-ca", ca,
	    NULL};
	server_start(&s, options);
	snprintf(url, sizeof url, "https://127.0.0.1:%u", s.port);
	assert_ok(fetch(
	    url, &(hel_remote_options){.authority = ca, .certificate = cert, .private_key = key}));
	/* no certificate, one of another authority, a server of another authority, no TLS at all */
	assert_status(HEL_EDENIED, fetch(url, &(hel_remote_options){.authority = ca}));
	assert_unequal(fetch(url, &(hel_remote_options){.authority = ca,
							.certificate = other_cert,
							.private_key = other_key}),
		       HEL_OK);
	assert_status(HEL_EDENIED, fetch(url, &(hel_remote_options){.authority = stranger,
								    .certificate = cert,
								    .private_key = key}));
	assert_unequal(fetch(s.url, &(hel_remote_options){.authority = ca}), HEL_OK);
	/* a whole prediction */
	user u = {0};
	uint8_t *manifest;
	size_t size;
	assert_ok(hel_secret_new(u.secret));
	assert_ok(hel_remote_new(
	    &u.remote, &(hel_remote_options){
			   .url = url, .authority = ca, .certificate = cert, .private_key = key}));
	assert_ok(hel_remote_manifest(&manifest, &size, u.remote, "heart"));
	assert_ok(hel_client_open(&u.client, manifest, size, NULL, u.secret));
	assert_ok(hel_access_new(&u.access, u.client, NULL));
	assert_ok(hel_remote_open(u.remote, u.access));
	assert_ok(hel_remote_upload(u.remote, u.access, u.client));
	assert_ok(user_predict(&u, "heart", 0, want));
	hel_bytes_free(manifest, size);
	user_clear(&u);
	server_stop(&s);
	/* a key that does not fit its certificate: no server */
	const char *const wrong[] = {"--tls-cert", path("server.pem"), "--tls-key",
				     path("client.key"), NULL};
	assert_false(server_try(&s, wrong));
	forget_identity(&a);
	forget_identity(&b);
	forget_identity(&server_id);
	forget_identity(&client_id);
	forget_identity(&false_id);
}

/* Until the server's log says so. */
static void await_log(const char *text)
{
	static char log[1 << 17];
	for (bool found = false; !found; usleep(10000)) {
		int fd = open(path("log"), O_RDONLY | O_CLOEXEC);
		const ssize_t n = pread(fd, log, sizeof log - 1, 0);
		close(fd);
		log[n > 0 ? n : 0] = 0;
		found = strstr(log, text) != NULL;
	}
}

static int check_config(const char *cert, const char *key)
{
	char line[2048];
	snprintf(line, sizeof line,
		 "%s serve --check-config --models %s --data %s --tls-cert %s --tls-key %s "
		 ">/dev/null 2>&1",
		 server_binary, path("models"), path("data"), path(cert), path(key));
	return system(line);
}

/* A certificate is renewed without a restart; a bad one changes nothing. */
static void test_renewal(void **state)
{
	(void)state;
	server s;
	char url[64], first[PATH_SIZE], second[PATH_SIZE];
	identity a = make_identity("ca1", NULL), b = make_identity("ca2", NULL);
	identity old = make_identity("server1", &a), new = make_identity("server2", &b);
	snprintf(first, sizeof first, "%s", path("ca1.pem"));
	snprintf(second, sizeof second, "%s", path("ca2.pem"));
	assert_int_equal(0, check_config("server1.pem", "server1.key"));
	assert_int_not_equal(0, check_config("server1.pem", "server2.key"));
	assert_int_not_equal(0, check_config("server1.key", "server1.pem"));
	assert_int_equal(0, rename(path("server1.pem"), path("now.pem")));
	assert_int_equal(0, rename(path("server1.key"), path("now.key")));
	const char *const options[] = {"--tls-cert", path("now.pem"), "--tls-key", path("now.key"),
				       NULL};
	server_start(&s, options);
	snprintf(url, sizeof url, "https://127.0.0.1:%u", s.port);
	assert_ok(fetch(url, &(hel_remote_options){.authority = first}));
	assert_int_equal(0, rename(path("server2.pem"), path("now.pem")));
	kill(s.pid, SIGHUP); /* its key is still the old one: refused */
	await_log("\"event\":\"certificate_refused\"");
	assert_ok(fetch(url, &(hel_remote_options){.authority = first}));
	assert_int_equal(0, rename(path("server2.key"), path("now.key")));
	kill(s.pid, SIGHUP);
	while (fetch(url, &(hel_remote_options){.authority = second}) != HEL_OK)
		usleep(10000);
	assert_status(HEL_EDENIED, fetch(url, &(hel_remote_options){.authority = first}));
	server_stop(&s);
	forget_identity(&a);
	forget_identity(&b);
	forget_identity(&old);
	forget_identity(&new);
}

static void test_api_keys(void **state)
{
	(void)state;
	server s;
	write_file("api.keys", "# operators' keys\nsixteen-characters-or-more\n", 45);
	char file[PATH_SIZE];
	snprintf(file, sizeof file, "%s", path("api.keys"));
	const char *const options[] = {"--api-keys", file, NULL};
	server_start(&s, options);
	assert_ok(fetch(s.url, &(hel_remote_options){.api_key = "sixteen-characters-or-more"}));
	assert_status(HEL_EINVAL,
		      fetch(s.url, &(hel_remote_options){.api_key = "sixteen-characters-or-mora"}));
	assert_status(HEL_EINVAL, fetch(s.url, &(hel_remote_options){.api_key = NULL}));
	static reply r;
	assert_int_equal(request(&r, s.port, "GET", "/healthz", "", NULL, 0), 200);
	/* rotation without a restart; a bad file changes nothing */
	write_file("api.keys", "a-new-key-of-some-length\n", 25);
	kill(s.pid, SIGHUP);
	while (fetch(s.url, &(hel_remote_options){.api_key = "a-new-key-of-some-length"}) != HEL_OK)
		usleep(10000);
	assert_status(HEL_EINVAL,
		      fetch(s.url, &(hel_remote_options){.api_key = "sixteen-characters-or-more"}));
	write_file("api.keys", "short\n", 6);
	kill(s.pid, SIGHUP);
	await_log("\"event\":\"api_keys_refused\"");
	assert_ok(fetch(s.url, &(hel_remote_options){.api_key = "a-new-key-of-some-length"}));
	server_stop(&s);
	assert_false(server_try(&s, options));
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	server_binary = argv[1];
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup(test_tls, fresh_data),
					   cmocka_unit_test_setup(test_renewal, fresh_data),
					   cmocka_unit_test_setup(test_api_keys, fresh_data)};
	return cmocka_run_group_tests(tests, world_make, world_remove);
}
