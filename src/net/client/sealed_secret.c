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

#define SEALED_BYTES (HEL_SECRET_BYTES + crypto_secretstream_xchacha20poly1305_ABYTES)
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

hel_status hel_secret_seal(uint8_t **file, size_t *size, const uint8_t secret[HEL_SECRET_BYTES],
			   const char *passphrase)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	uint8_t key[KEY_BYTES], salt[crypto_pwhash_SALTBYTES], header[HEADER_BYTES],
	    sealed[SEALED_BYTES];
	crypto_secretstream_xchacha20poly1305_state stream;
	TRY(hel_random_init());
	hel_container_begin(&w, HEL_KIND_SEALED_SECRET);
	hel_write_u8(&w, passphrase ? ARGON2ID : IN_THE_CLEAR);
	if (passphrase) {
		hel_random_bytes(salt, sizeof salt);
		TRY(derive(key, passphrase, salt, OPS, MEMORY));
		crypto_secretstream_xchacha20poly1305_init_push(&stream, header, key);
		crypto_secretstream_xchacha20poly1305_push(
		    &stream, sealed, NULL, secret, HEL_SECRET_BYTES, NULL, 0,
		    crypto_secretstream_xchacha20poly1305_TAG_FINAL);
		hel_write_u64(&w, OPS);
		hel_write_u64(&w, MEMORY);
		hel_write_bytes(&w, salt, sizeof salt);
		hel_write_bytes(&w, header, sizeof header);
		hel_write_bytes(&w, sealed, sizeof sealed);
	} else {
		hel_write_bytes(&w, secret, HEL_SECRET_BYTES);
	}
	TRY(hel_container_end(&w));
	*file = w.bytes;
	*size = w.size;
	w = (hel_writer){0};
done:
	hel_wipe(key, sizeof key);
	hel_wipe(&stream, sizeof stream);
	hel_writer_clear(&w);
	return st;
}

bool hel_secret_is_sealed(const void *file, size_t size)
{
	hel_reader r;
	return hel_container_open(&r, HEL_KIND_SEALED_SECRET, file, size) == HEL_OK &&
	       hel_read_u8(&r) == ARGON2ID;
}

static hel_status unseal(uint8_t secret[HEL_SECRET_BYTES], hel_reader *r, const char *passphrase)
{
	hel_status st = HEL_OK;
	uint8_t key[KEY_BYTES], plain[HEL_SECRET_BYTES];
	unsigned char tag = 0;
	crypto_secretstream_xchacha20poly1305_state stream;
	const uint64_t ops = hel_read_u64(r), memory = hel_read_u64(r);
	const uint8_t *salt = hel_read_bytes(r, crypto_pwhash_SALTBYTES);
	const uint8_t *header = hel_read_bytes(r, HEADER_BYTES);
	const uint8_t *sealed = hel_read_bytes(r, SEALED_BYTES);
	TRY(hel_reader_finish(r));
	if (ops < crypto_pwhash_OPSLIMIT_MIN || ops > OPS_MAX ||
	    memory < crypto_pwhash_MEMLIMIT_MIN || memory > MEMORY_MAX)
		FAIL(HEL_EFORMAT, "the sealed secret asks for %llu passes over %llu MB",
		     (unsigned long long)ops, (unsigned long long)(memory >> 20));
	if (!passphrase)
		FAIL(HEL_EDENIED, "this secret is sealed; its passphrase is needed");
	TRY(derive(key, passphrase, salt, ops, memory));
	if (crypto_secretstream_xchacha20poly1305_init_pull(&stream, header, key) ||
	    crypto_secretstream_xchacha20poly1305_pull(&stream, plain, NULL, &tag, sealed,
						       SEALED_BYTES, NULL, 0) ||
	    tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL)
		FAIL(HEL_EDENIED, "wrong passphrase");
	memcpy(secret, plain, HEL_SECRET_BYTES);
done:
	hel_wipe(plain, sizeof plain);
	hel_wipe(key, sizeof key);
	hel_wipe(&stream, sizeof stream);
	return st;
}

hel_status hel_secret_unseal(uint8_t secret[HEL_SECRET_BYTES], const void *file, size_t size,
			     const char *passphrase)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_random_init());
	TRY(hel_container_open(&r, HEL_KIND_SEALED_SECRET, file, size));
	const uint8_t protection = hel_read_u8(&r);
	if (protection == ARGON2ID) {
		TRY(unseal(secret, &r, passphrase));
	} else if (protection == IN_THE_CLEAR) {
		const uint8_t *plain = hel_read_bytes(&r, HEL_SECRET_BYTES);
		TRY(hel_reader_finish(&r));
		memcpy(secret, plain, HEL_SECRET_BYTES);
	} else {
		FAIL(HEL_EVERSION,
		     "this secret is protected in a way that this helrm does not know");
	}
done:
	return st;
}
