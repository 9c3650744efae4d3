/* The secret at rest. */
#include "client_inside.h"
#include <sodium.h>
#include <string.h>

enum { IN_THE_CLEAR = 0, ARGON2ID = 1 };

/* libsodium's "moderate" number of passes, in 64 MB: clients have less memory than servers. */
#define OPS 3
#define MEMORY ((size_t)64 << 20)
/* What a file may make us spend. */
#define OPS_MAX 16
#define MEMORY_MAX ((size_t)1 << 30)

/* A secret, or the secret key file of one model's parameters. */
#define PLAIN_MAX ((size_t)1 << 16)
#define TAG_BYTES crypto_secretstream_xchacha20poly1305_ABYTES
#define HEADER_BYTES crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define KEY_BYTES crypto_secretstream_xchacha20poly1305_KEYBYTES

hel_status hel_secret_new(uint8_t secret[HEL_SECRET_BYTES])
{
	hel_status st = hel_random_init();
	if (st == HEL_OK)
		hel_random_bytes(secret, HEL_SECRET_BYTES);
	return st;
}

static hel_status derive(uint8_t key[KEY_BYTES], const char *passphrase, const uint8_t *salt,
			 uint64_t ops, uint64_t memory)
{
	return crypto_pwhash(key, KEY_BYTES, passphrase, strlen(passphrase), salt, ops,
			     (size_t)memory, crypto_pwhash_ALG_ARGON2ID13)
		   ? hel_fail(HEL_ENOMEM, "no %llu MB of memory for the passphrase",
			      (unsigned long long)(memory >> 20))
		   : HEL_OK;
}

hel_status hel_seal(uint8_t **file, size_t *size, const void *plain, size_t plain_size,
		    const char *passphrase)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	uint8_t key[KEY_BYTES], salt[crypto_pwhash_SALTBYTES], header[HEADER_BYTES], *sealed = NULL;
	crypto_secretstream_xchacha20poly1305_state stream;
	TRY(hel_random_init());
	hel_container_begin(&w, HEL_KIND_SEALED_SECRET);
	hel_write_u8(&w, passphrase ? ARGON2ID : IN_THE_CLEAR);
	if (passphrase) {
		TRY_ALLOC(sealed, hel_alloc(plain_size + TAG_BYTES, 1));
		hel_random_bytes(salt, sizeof salt);
		TRY(derive(key, passphrase, salt, OPS, MEMORY));
		crypto_secretstream_xchacha20poly1305_init_push(&stream, header, key);
		crypto_secretstream_xchacha20poly1305_push(
		    &stream, sealed, NULL, plain, plain_size, NULL, 0,
		    crypto_secretstream_xchacha20poly1305_TAG_FINAL);
		hel_write_u64(&w, OPS);
		hel_write_u64(&w, MEMORY);
		hel_write_bytes(&w, salt, sizeof salt);
		hel_write_bytes(&w, header, sizeof header);
		hel_write_bytes(&w, sealed, plain_size + TAG_BYTES);
	} else {
		hel_write_bytes(&w, plain, plain_size);
	}
	TRY(hel_container_end(&w));
	*file = w.bytes;
	*size = w.size;
	w = (hel_writer){0};
done:
	hel_wipe(key, sizeof key);
	hel_wipe(&stream, sizeof stream);
	hel_free(sealed);
	hel_writer_clear(&w);
	return st;
}

hel_status hel_secret_seal(uint8_t **file, size_t *size, const uint8_t secret[HEL_SECRET_BYTES],
			   const char *passphrase)
{
	return hel_seal(file, size, secret, HEL_SECRET_BYTES, passphrase);
}

bool hel_secret_is_sealed(const void *file, size_t size)
{
	hel_reader r;
	return hel_container_open(&r, HEL_KIND_SEALED_SECRET, file, size) == HEL_OK &&
	       hel_read_u8(&r) == ARGON2ID;
}

static hel_status unseal(uint8_t **plain, size_t *plain_size, hel_reader *r, const char *passphrase)
{
	hel_status st = HEL_OK;
	uint8_t key[KEY_BYTES], *opened = NULL;
	unsigned char tag = 0;
	crypto_secretstream_xchacha20poly1305_state stream;
	const uint64_t ops = hel_read_u64(r), memory = hel_read_u64(r);
	const uint8_t *salt = hel_read_bytes(r, crypto_pwhash_SALTBYTES);
	const uint8_t *header = hel_read_bytes(r, HEADER_BYTES);
	TRY(r->status);
	const size_t size = hel_reader_left(r);
	if (size <= TAG_BYTES || size > PLAIN_MAX + TAG_BYTES)
		FAIL(HEL_EFORMAT, "the sealed secret has %zu bytes, expected %zu to %zu", size,
		     (size_t)TAG_BYTES + 1, PLAIN_MAX + TAG_BYTES);
	const uint8_t *sealed = hel_read_bytes(r, size);
	if (ops < crypto_pwhash_OPSLIMIT_MIN || ops > OPS_MAX ||
	    memory < crypto_pwhash_MEMLIMIT_MIN || memory > MEMORY_MAX)
		FAIL(HEL_EFORMAT, "the sealed secret asks for %llu passes over %llu MB",
		     (unsigned long long)ops, (unsigned long long)(memory >> 20));
	if (!passphrase)
		FAIL(HEL_EDENIED, "this secret is sealed; its passphrase is needed");
	TRY(derive(key, passphrase, salt, ops, memory));
	TRY_ALLOC(opened, hel_alloc(size - TAG_BYTES, 1));
	if (crypto_secretstream_xchacha20poly1305_init_pull(&stream, header, key) ||
	    crypto_secretstream_xchacha20poly1305_pull(&stream, opened, NULL, &tag, sealed, size,
						       NULL, 0) ||
	    tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL)
		FAIL(HEL_EDENIED, "wrong passphrase");
	*plain = opened;
	*plain_size = size - TAG_BYTES;
	opened = NULL;
done:
	hel_free_secret(opened, opened ? size - TAG_BYTES : 0);
	hel_wipe(key, sizeof key);
	hel_wipe(&stream, sizeof stream);
	return st;
}

hel_status hel_unseal(uint8_t **plain, size_t *plain_size, const void *file, size_t size,
		      const char *passphrase)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_random_init());
	TRY(hel_container_open(&r, HEL_KIND_SEALED_SECRET, file, size));
	const uint8_t protection = hel_read_u8(&r);
	TRY(r.status);
	if (protection == ARGON2ID) {
		TRY(unseal(plain, plain_size, &r, passphrase));
	} else if (protection == IN_THE_CLEAR) {
		const size_t left = hel_reader_left(&r);
		uint8_t *copy;
		if (!left || left > PLAIN_MAX)
			FAIL(HEL_EFORMAT, "the secret has %zu bytes, expected 1 to %zu", left,
			     PLAIN_MAX);
		TRY_ALLOC(copy, hel_alloc(left, 1));
		memcpy(copy, hel_read_bytes(&r, left), left);
		*plain = copy;
		*plain_size = left;
	} else {
		FAIL(HEL_EVERSION,
		     "this secret is protected in a way that this helrm does not know");
	}
done:
	return st;
}

hel_status hel_secret_unseal(uint8_t secret[HEL_SECRET_BYTES], const void *file, size_t size,
			     const char *passphrase)
{
	hel_status st = HEL_OK;
	uint8_t *plain = NULL;
	size_t plain_size = 0;
	TRY(hel_unseal(&plain, &plain_size, file, size, passphrase));
	if (plain_size != HEL_SECRET_BYTES)
		FAIL(HEL_EFORMAT, "this file holds the key of one model's parameters (keygen), not "
				  "a client's secret");
	memcpy(secret, plain, HEL_SECRET_BYTES);
done:
	hel_free_secret(plain, plain ? plain_size : 0);
	return st;
}
