#include "tls.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define CHAIN_MAX 16
#define FILE_MAX (1u << 20)

/* One certificate as it was read. Handshakes borrow it, so that none is freed before the end: they
 * are small, and few. */
typedef struct version {
	gnutls_pcert_st chain[CHAIN_MAX];
	unsigned length;
	gnutls_privkey_t key;
	struct version *older;
} version;

struct hel_tls {
	const hel_settings *settings;
	_Atomic(version *) now;
};

/* GnuTLS hands its callback nothing of ours: there is one server in a process. */
static _Atomic(hel_tls *) serving;

static void version_free(version *v)
{
	if (!v)
		return;
	for (unsigned i = 0; i < v->length; i++)
		gnutls_pcert_deinit(&v->chain[i]);
	if (v->key)
		gnutls_privkey_deinit(v->key);
	hel_free(v);
}

static hel_status refusal(const char *path, int code)
{
	return hel_fail(HEL_EINVAL, "%s: %s", path, gnutls_strerror(code));
}

static hel_status read_pem(gnutls_datum_t *out, const char *path)
{
	uint8_t *bytes = NULL;
	size_t size = 0;
	const hel_status st = hel_file_read(path, FILE_MAX, &bytes, &size);
	*out = (gnutls_datum_t){bytes, (unsigned)size};
	return st;
}

/* Whether the key is the certificate's: their public halves are the same. */
static hel_status check_pair(version *v, const hel_settings *s)
{
	hel_status st = HEL_OK;
	uint8_t of[2][64];
	size_t size[2] = {sizeof of[0], sizeof of[1]};
	gnutls_pubkey_t public = NULL;
	gnutls_pubkey_init(&public);
	int code = gnutls_pubkey_import_privkey(public, v->key, 0, 0);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(public, GNUTLS_KEYID_USE_SHA256, of[0], &size[0]);
	if (code >= 0)
		code = gnutls_pubkey_get_key_id(v->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, of[1],
						&size[1]);
	if (code < 0)
		st = refusal(s->tls_key, code);
	else if (size[0] != size[1] || memcmp(of[0], of[1], size[0]) != 0)
		st = hel_fail(HEL_EINVAL, "tls-key %s is not the key of tls-cert %s", s->tls_key,
			      s->tls_cert);
	gnutls_pubkey_deinit(public);
	return st;
}

static hel_status version_read(version **out, const hel_settings *s)
{
	hel_status st = HEL_OK;
	version *v = NULL;
	gnutls_datum_t cert = {0}, key = {0};
	TRY_ALLOC(v, hel_alloc(1, sizeof *v));
	TRY(read_pem(&cert, s->tls_cert));
	TRY(read_pem(&key, s->tls_key));
	unsigned length = CHAIN_MAX;
	int code =
	    gnutls_pcert_list_import_x509_raw(v->chain, &length, &cert, GNUTLS_X509_FMT_PEM, 0);
	if (code < 0 || !length) {
		st = refusal(s->tls_cert, code < 0 ? code : GNUTLS_E_NO_CERTIFICATE_FOUND);
		goto done;
	}
	v->length = length;
	code = gnutls_privkey_init(&v->key);
	if (code >= 0)
		code = gnutls_privkey_import_x509_raw(v->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (code < 0) {
		st = refusal(s->tls_key, code);
		goto done;
	}
	TRY(check_pair(v, s));
	*out = v;
	v = NULL;
done:
	hel_free(cert.data);
	hel_free_secret(key.data, key.size);
	version_free(v);
	return st;
}

hel_status hel_tls_reload(hel_tls *t)
{
	version *v = NULL;
	if (!t)
		return HEL_OK;
	const hel_status st = version_read(&v, t->settings);
	if (st == HEL_OK) {
		v->older = atomic_load(&t->now);
		atomic_store(&t->now, v);
	}
	return st;
}

hel_status hel_tls_open(hel_tls **out, const hel_settings *s)
{
	hel_status st = HEL_OK;
	hel_tls *t = NULL;
	*out = NULL;
	if (!*s->tls_cert)
		return HEL_OK;
	TRY_ALLOC(t, hel_alloc(1, sizeof *t));
	t->settings = s;
	TRY(hel_tls_reload(t));
	atomic_store(&serving, t);
	*out = t;
	t = NULL;
done:
	hel_tls_close(t);
	return st;
}

void hel_tls_close(hel_tls *t)
{
	if (!t)
		return;
	hel_tls *self = t;
	atomic_compare_exchange_strong(&serving, &self, NULL);
	for (version *v = atomic_load(&t->now), *older; v; v = older) {
		older = v->older;
		version_free(v);
	}
	hel_free(t);
}

int hel_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
		     const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		     gnutls_pcert_st **chain, unsigned *length, gnutls_privkey_t *key)
{
	(void)session;
	(void)authorities;
	(void)count;
	(void)algorithms;
	(void)algorithm_count;
	hel_tls *t = atomic_load(&serving);
	version *v = t ? atomic_load(&t->now) : NULL;
	if (!v)
		return -1;
	*chain = v->chain;
	*length = v->length;
	*key = v->key;
	return 0;
}
