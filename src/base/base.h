/* base.h -- what every module stands on: status, memory, bytes, files,
 * randomness, threads, progress. Depends on nothing of ours.
 */
#ifndef HEL_BASE_H
#define HEL_BASE_H

#include <helrm/pool.h>
#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "seeds expand to integers in the byte order of the machine: little-endian only");

#define HEL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HEL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HEL_MAX(a, b) ((a) > (b) ? (a) : (b))

/** How many bits number `count` things. */
static inline unsigned hel_log2_ceil(size_t count)
{
	unsigned bits = 0;
	while ((size_t)1 << bits < count)
		bits++;
	return bits;
}

__extension__ typedef unsigned __int128 u128;

/* --- failing (status.c) ------------------------------------------------ */

/** Records one line of detail for hel_error_detail() and returns `status`. */
HEL_API hel_status hel_fail(hel_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* In a function with `hel_status st = HEL_OK;` and one `done:` label. */
#define TRY(call)                                                                                  \
	do {                                                                                       \
		st = (call);                                                                       \
		if (st != HEL_OK)                                                                  \
			goto done;                                                                 \
	} while (0)
#define TRY_ALLOC(ptr, call)                                                                       \
	do {                                                                                       \
		(ptr) = (call);                                                                    \
		if (!(ptr)) {                                                                      \
			st = hel_fail(HEL_ENOMEM, "out of memory in %s", __func__);                \
			goto done;                                                                 \
		}                                                                                  \
	} while (0)
#define FAIL(...)                                                                                  \
	do {                                                                                       \
		st = hel_fail(__VA_ARGS__);                                                        \
		goto done;                                                                         \
	} while (0)

/* --- memory (memory.c) ------------------------------------------------- */

#define HEL_ALIGN 64 /* one cache line, one AVX-512 register */

/** `count * size` zeroed bytes aligned to HEL_ALIGN; NULL when too large or out of memory. */
void *hel_alloc(size_t count, size_t size) __attribute__((malloc));
/** The same, contents undefined: for large buffers that are filled at once. */
void *hel_alloc_raw(size_t count, size_t size) __attribute__((malloc));
void hel_free(void *p);
/** Wipes `bytes` bytes, then frees. */
void hel_free_secret(void *p, size_t bytes);
char *hel_strdup(const char *text);
/** Valid UTF-8 without control characters: fit to print and for JSON. */
bool hel_is_text(const char *text);

/** Test hook: the n-th allocation from now fails (once); 0 switches it off. */
void hel_alloc_fail_at(long n);

/** A pool of equally aligned scratch buffers, shared by threads; keeps what it has ever lent. */
typedef struct hel_scratch hel_scratch;
hel_scratch *hel_scratch_new(void);
void hel_scratch_free(hel_scratch *pool);
/** A buffer of at least `bytes` bytes, contents undefined; NULL when out of memory. */
void *hel_scratch_take(hel_scratch *pool, size_t bytes);
void hel_scratch_give(hel_scratch *pool, void *buffer);

/* --- bytes (bytes.c) ---------------------------------------------------- */

/** Bounded little-endian reader. The first failure sticks: later reads give 0. */
typedef struct hel_reader {
	const uint8_t *at, *end;
	hel_status status;
} hel_reader;

hel_reader hel_reader_of(const void *bytes, size_t size);
size_t hel_reader_left(const hel_reader *r);
uint8_t hel_read_u8(hel_reader *r);
uint16_t hel_read_u16(hel_reader *r);
uint32_t hel_read_u32(hel_reader *r);
uint64_t hel_read_u64(hel_reader *r);
float hel_read_f32(hel_reader *r);
double hel_read_f64(hel_reader *r);
/** The next `size` bytes in place, NULL when fewer are left. */
const uint8_t *hel_read_bytes(hel_reader *r, size_t size);
/** A u32 that must be at most `limit`; `what` names it in the error. */
uint32_t hel_read_u32_max(hel_reader *r, uint32_t limit, const char *what);
/** A new zero-ended string of at most `limit` bytes; NULL on failure. */
char *hel_read_text(hel_reader *r, uint32_t limit, const char *what);
/** `count` integers of `bits` bits each (1..32), packed without gaps, padded to a byte. */
void hel_read_packed(hel_reader *r, uint32_t *out, size_t count, unsigned bits);
/** HEL_OK only when nothing failed and nothing is left. */
hel_status hel_reader_finish(hel_reader *r);

/** Growing writer. The first failure sticks; hel_writer_status tells. */
typedef struct hel_writer {
	uint8_t *bytes;
	size_t size, capacity;
	hel_status status;
} hel_writer;

void hel_writer_clear(hel_writer *w);
void hel_write_u8(hel_writer *w, uint8_t v);
void hel_write_u16(hel_writer *w, uint16_t v);
void hel_write_u32(hel_writer *w, uint32_t v);
void hel_write_u64(hel_writer *w, uint64_t v);
void hel_write_f32(hel_writer *w, float v);
void hel_write_f64(hel_writer *w, double v);
void hel_write_bytes(hel_writer *w, const void *bytes, size_t size);
void hel_write_text(hel_writer *w, const char *text);
void hel_write_packed(hel_writer *w, const uint32_t *in, size_t count, unsigned bits);
size_t hel_packed_size(size_t count, unsigned bits);

/* --- files (file.c) ------------------------------------------------------ */

#define HEL_HASH_BYTES 32

/** Reads a whole file of at most `limit` bytes. *bytes is zero-ended; the caller frees it. */
HEL_CHECKED hel_status hel_file_read(const char *path, size_t limit, uint8_t **bytes, size_t *size);

/** Writes all or nothing: a temporary file beside `path`, synced, then renamed. */
HEL_CHECKED hel_status hel_file_write(const char *path, const void *bytes, size_t size,
				      unsigned mode);

/** A file that is written piece by piece (stream.c), all or nothing like hel_file_write. */
typedef struct hel_stream hel_stream;
HEL_CHECKED hel_status hel_stream_new(hel_stream **out, const char *path);
HEL_CHECKED hel_status hel_stream_write(hel_stream *s, const void *bytes, size_t size);
/** BLAKE2b-256 of all that was written so far. */
void hel_stream_hash(hel_stream *s, uint8_t out[HEL_HASH_BYTES]);
/** Puts the file in place, its first bytes replaced by `front` (may be NULL, 0). */
HEL_CHECKED hel_status hel_stream_finish(hel_stream *s, const void *front, size_t front_size);
/** An unfinished file leaves nothing behind. */
void hel_stream_free(hel_stream *s);

/** Makes a directory and its parents; an existing one is fine. */
HEL_CHECKED hel_status hel_dir_make(const char *path);

/* A container is what every helrm file is: magic, kind, version, length,
 * body, BLAKE2b-256 of all before. */
typedef enum hel_kind {
	HEL_KIND_MANIFEST = 1,
	HEL_KIND_PROGRAM = 2,
	HEL_KIND_SECRET_KEY = 3,
	HEL_KIND_EVALUATION_KEYS = 4,
	HEL_KIND_QUERY = 5,
	HEL_KIND_RESULT = 6,
	HEL_KIND_SEALED_SECRET = 7,
	HEL_KIND_PUBLIC_KEY = 8,
	HEL_KIND_CIPHERTEXT = 9,
} hel_kind;

#define HEL_CONTAINER_OVERHEAD (4 + 2 + 2 + 8 + HEL_HASH_BYTES)

const char *hel_kind_name(hel_kind kind);
/** Starts a container in `w`. */
void hel_container_begin(hel_writer *w, hel_kind kind);
/** The same where the length of the whole file is known beforehand. */
void hel_container_begin_sized(hel_writer *w, hel_kind kind, uint64_t size);
/** Fills in length and checksum. */
HEL_CHECKED hel_status hel_container_end(hel_writer *w);
/** Checks magic, version, length and checksum; `*body` reads what is inside. */
HEL_CHECKED hel_status hel_container_open(hel_reader *body, hel_kind kind, const void *bytes,
					  size_t size);
/** The kind of a container, or 0 when the bytes are not one. */
int hel_container_kind(const void *bytes, size_t size);
/** BLAKE2b-256. */
void hel_hash(uint8_t out[HEL_HASH_BYTES], const void *bytes, size_t size);

#define HEL_CHECKSUM_BYTES 16

/** Against accidents only, and about five times as fast: Poly1305 under a key that need not be
 *  secret but must be random, like a hash. */
void hel_checksum(uint8_t out[HEL_CHECKSUM_BYTES], const void *bytes, size_t size,
		  const uint8_t key[HEL_HASH_BYTES]);

/* --- randomness (random.c) ----------------------------------------------- */

#define HEL_SEED_BYTES 32

/** Must have succeeded once before anything random is asked for; any thread, any number of times.
 */
HEL_CHECKED hel_status hel_random_init(void);
/** Bytes of the operating system's generator. */
void hel_random_bytes(void *out, size_t size);
void hel_wipe(void *p, size_t size);
/** The same bit, made public on purpose: what a secret may decide must pass through here, and is
 *  listed in SECURITY.md. The test of constant time replaces it by one that tells valgrind. */
bool hel_reveal(bool bit);

/** A stream of bytes expanded from a seed: ChaCha20 with a 64-bit nonce, the stream number. */
typedef struct hel_prng {
	uint8_t seed[HEL_SEED_BYTES];
	uint64_t stream, block;
	size_t used;
	uint8_t buffer[1024];
} hel_prng;

void hel_prng_init(hel_prng *g, const uint8_t seed[HEL_SEED_BYTES], uint64_t stream);
/** A stream of fresh randomness: its seed is drawn now and never shown. */
void hel_prng_fresh(hel_prng *g);
void hel_prng_bytes(hel_prng *g, void *out, size_t size);
uint64_t hel_prng_u64(hel_prng *g);
/** Uniform in [0, 1). */
double hel_prng_unit(hel_prng *g);
/** Standard normal by Box-Muller: for training and tests, not for cryptography. */
double hel_prng_normal(hel_prng *g);
void hel_prng_clear(hel_prng *g);
/** A random order. */
void hel_shuffle(uint32_t *order, size_t count, hel_prng *g);

/** splitmix64 (S. Vigna): spreads a counter or seed over 64 bits; for data, not for cryptography.
 */
static inline uint64_t hel_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* --- threads (pool.c) ------------------------------------------------------ */

/* hel_pool itself is public: helrm/pool.h. */

/** Calls fn(arg, i) for i in [0, count), in any order and on any thread; returns when all are done.
 *  A call from inside a worker runs inline. */
void hel_pool_for(hel_pool *pool, size_t count, void (*fn)(void *arg, size_t i), void *arg);
/** The same for calls that may fail: the status and detail of the lowest i that did. */
HEL_CHECKED hel_status hel_pool_try(hel_pool *pool, size_t count,
				    hel_status (*fn)(void *arg, size_t i), void *arg);

/* --- progress (progress.c) -------------------------------------------------- */

/** Seconds of a monotonic clock. */
double hel_clock(void);
/** Peak resident memory of this process in bytes. */
size_t hel_peak_rss(void);

/** One line on stderr, redrawn, shown only for work of over two seconds. */
typedef struct hel_progress {
	const char *what;
	double start, shown;
} hel_progress;

void hel_progress_begin(hel_progress *p, const char *what);
void hel_progress_step(hel_progress *p, double fraction);
/** The same with a few words of how it goes. */
void hel_progress_note(hel_progress *p, double fraction, const char *note);
void hel_progress_end(hel_progress *p);

/* --- groups of features ------------------------------------------------------ */

#define HEL_NO_GROUP UINT32_MAX
#define HEL_COSINE (UINT32_MAX - 1) /* of no group; the next feature is the same angle's sine */

#endif
