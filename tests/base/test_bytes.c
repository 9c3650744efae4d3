#include "../testing.h"

static void test_round_trip(void **state)
{
	(void)state;
	hel_writer w = {0};
	uint32_t in[100], out[100];
	hel_write_u8(&w, 7);
	hel_write_u16(&w, 0xbeef);
	hel_write_u32(&w, 0xdeadbeef);
	hel_write_u64(&w, 0x0123456789abcdefu);
	hel_write_f32(&w, -1.5f);
	hel_write_f64(&w, 3.25);
	hel_write_text(&w, "slot");
	for (unsigned bits = 1; bits <= 32; bits++) {
		for (uint32_t i = 0; i < 100; i++)
			in[i] = (uint32_t)((i * 2654435761u) & ((1ull << bits) - 1));
		hel_write_packed(&w, in, 100, bits);
	}
	assert_int_equal(HEL_OK, w.status);
	hel_reader r = hel_reader_of(w.bytes, w.size);
	assert_int_equal(7, hel_read_u8(&r));
	assert_int_equal(0xbeef, hel_read_u16(&r));
	assert_int_equal(0xdeadbeef, hel_read_u32(&r));
	assert_equal(hel_read_u64(&r), 0x0123456789abcdefu);
	assert_equal(hel_read_f32(&r), -1.5f);
	assert_equal(hel_read_f64(&r), 3.25);
	char *text = hel_read_text(&r, 10, "text");
	assert_string_equal("slot", text);
	hel_free(text);
	for (unsigned bits = 1; bits <= 32; bits++) {
		for (uint32_t i = 0; i < 100; i++)
			in[i] = (uint32_t)((i * 2654435761u) & ((1ull << bits) - 1));
		hel_read_packed(&r, out, 100, bits);
		assert_memory_equal(in, out, sizeof in);
	}
	assert_ok(hel_reader_finish(&r));
	hel_writer_clear(&w);
}

/* Against packing bit by bit, for all lengths around a word; a set bit behind the last is refused.
 */
static void test_packed_bits(void **state)
{
	(void)state;
	uint32_t in[20], out[20];
	for (unsigned bits = 1; bits <= 32; bits++)
		for (size_t count = 0; count <= HEL_ARRAY_LEN(in); count++) {
			const size_t size = hel_packed_size(count, bits);
			uint8_t expected[4 * HEL_ARRAY_LEN(in)] = {0};
			for (uint32_t i = 0; i < count; i++) {
				in[i] = (uint32_t)(((i + 7) * 2654435761u) >> (32 - bits));
				for (size_t b = 0; b < bits; b++)
					expected[(i * bits + b) / 8] |=
					    (uint8_t)((in[i] >> b & 1) << ((i * bits + b) % 8));
			}
			hel_writer w = {0};
			hel_write_packed(&w, in, count, bits);
			assert_int_equal(HEL_OK, w.status);
			assert_int_equal(size, w.size);
			assert_memory_equal(expected, w.bytes, size);
			hel_writer_clear(&w);
			hel_reader r = hel_reader_of(expected, size);
			hel_read_packed(&r, out, count, bits);
			assert_ok(hel_reader_finish(&r));
			assert_memory_equal(in, out, count * sizeof *in);
			if (count * bits % 8) {
				expected[size - 1] |= 0x80;
				r = hel_reader_of(expected, size);
				hel_read_packed(&r, out, count, bits);
				assert_int_equal(HEL_EFORMAT, r.status);
			}
		}
}

static void test_reader_is_bounded(void **state)
{
	(void)state;
	const uint8_t bytes[] = {4, 0, 0, 0, 'a', 'b', 0, 'd'};
	for (size_t size = 0; size < 4; size++) {
		hel_reader r = hel_reader_of(bytes, size);
		assert_int_equal(0, hel_read_u32(&r));
		assert_int_equal(HEL_ETRUNC, r.status);
		assert_int_equal(0, hel_read_u8(&r)); /* a failure sticks */
		assert_null(hel_read_bytes(&r, 0));
	}
	hel_reader r = hel_reader_of(bytes, sizeof bytes);
	assert_null(hel_read_text(&r, 100, "text")); /* a zero byte inside */
	assert_int_equal(HEL_EFORMAT, r.status);
	r = hel_reader_of(bytes, 6);
	assert_null(hel_read_text(&r, 100, "text"));
	assert_int_equal(HEL_ETRUNC, r.status);
	r = hel_reader_of(bytes, sizeof bytes);
	assert_null(hel_read_text(&r, 3, "text"));
	assert_int_equal(HEL_ELIMIT, r.status);
	r = hel_reader_of(bytes, sizeof bytes);
	assert_int_equal(HEL_EFORMAT, hel_reader_finish(&r));
}

static void test_container(void **state)
{
	(void)state;
	assert_ok(hel_random_init());
	hel_writer w = {0};
	hel_container_begin(&w, HEL_KIND_QUERY);
	hel_write_text(&w, "hello");
	assert_ok(hel_container_end(&w));
	hel_reader r;
	assert_ok(hel_container_open(&r, HEL_KIND_QUERY, w.bytes, w.size));
	assert_int_equal(9, hel_reader_left(&r));
	assert_int_equal(HEL_KIND_QUERY, hel_container_kind(w.bytes, w.size));
	assert_status(HEL_EFORMAT, hel_container_open(&r, HEL_KIND_RESULT, w.bytes, w.size));
	for (size_t size = 0; size < w.size; size++)
		assert_unequal(hel_container_open(&r, HEL_KIND_QUERY, w.bytes, size), HEL_OK);
	for (size_t i = 0; i < w.size * 8; i++) {
		w.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_unequal(hel_container_open(&r, HEL_KIND_QUERY, w.bytes, w.size), HEL_OK);
		w.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	w.bytes[6]++;
	assert_status(HEL_EVERSION, hel_container_open(&r, HEL_KIND_QUERY, w.bytes, w.size));
	hel_writer_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_packed_bits),
	    cmocka_unit_test(test_reader_is_bounded),
	    cmocka_unit_test(test_container),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
