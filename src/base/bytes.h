/* bytes.h -- bounded readers and growing writers of little-endian bytes (bytes.c). */
#ifndef HEL_BYTES_H
#define HEL_BYTES_H

#include <helrm/status.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "seeds expand to integers in the byte order of the machine: little-endian only");

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

#endif
