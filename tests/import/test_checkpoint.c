/* Containers without PyTorch: numbers by their bits, and a file as PyTorch 1.5 wrote them (the fuzz
 * corpus has it; make_corpus.c says byte by byte what is in it). */
#include "../testing.h"
#include "import/checkpoint.h"
#include <math.h>

static void safetensors(hel_writer *w, const char *type, const void *data, size_t count,
			size_t width)
{
	char header[128];
	snprintf(header, sizeof header,
		 "{\"module.x\": {\"dtype\": \"%s\", \"shape\": [%zu, 1], \"data_offsets\": [0, "
		 "%zu]}}",
		 type, count, count * width);
	*w = (hel_writer){0};
	hel_write_u64(w, strlen(header));
	hel_write_bytes(w, header, strlen(header));
	hel_write_bytes(w, data, count * width);
	assert_ok(w->status);
}

static void check(const char *type, const void *data, size_t width, const float *expected,
		  size_t count)
{
	hel_writer w;
	hel_checkpoint c;
	float got[16];
	safetensors(&w, type, data, count, width);
	assert_ok(hel_checkpoint_open(&c, w.bytes, w.size, NULL));
	assert_ok(hel_checkpoint_below(&c, ""));
	hel_stored *t = hel_checkpoint_find(&c, "%s", "x"); /* the wrapper's word is gone */
	assert_non_null(t);
	assert_ok(hel_stored_matrix(t));
	assert_ok(hel_stored_rows(got, t, 0, count));
	assert_memory_equal(expected, got, count * sizeof(float));
	const hel_stored turned = hel_stored_transposed(t);
	memset(got, 0, sizeof got);
	assert_ok(hel_stored_rows(got, &turned, 0, 1));
	assert_memory_equal(expected, got, count * sizeof(float));
	hel_checkpoint_clear(&c);
	hel_writer_clear(&w);
}

static void test_numbers(void **state)
{
	(void)state;
	/* IEEE 754 binary16: 1, -2, the largest, the smallest normal, the smallest, -0 */
	static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000};
	static const float of_half[] = {1, -2, 65504, 0x1p-14F, 0x1p-24F, -0.0F};
	static const uint16_t brain[] = {0x3f80, 0xc000, 0x7f7f, 0x0080, 0x8000};
	static const float of_brain[] = {1, -2, 0x1.fep127F, 0x1p-126F, -0.0F};
	static const double wide[] = {1, -2, 0.1, 1e-300};
	static const float of_wide[] = {1, -2, 0.1F, 0}, narrow[] = {1, -2, 0.1F, 3e38F};
	check("F16", half, 2, of_half, HEL_ARRAY_LEN(half));
	check("BF16", brain, 2, of_brain, HEL_ARRAY_LEN(brain));
	check("F64", wide, 8, of_wide, HEL_ARRAY_LEN(wide));
	check("F32", narrow, 4, narrow, HEL_ARRAY_LEN(narrow));
}

static void test_refuses_numbers(void **state)
{
	(void)state;
	static const uint16_t infinite[] = {0x3c00, 0x7c00};
	static const int64_t whole[] = {1, 2};
	hel_writer w;
	hel_checkpoint c;
	float got[2];
	safetensors(&w, "F16", infinite, 2, 2);
	assert_ok(hel_checkpoint_open(&c, w.bytes, w.size, NULL));
	assert_status(HEL_EFORMAT, hel_stored_rows(got, &c.tensor[0], 0, 2));
	assert_non_null(strstr(hel_error_detail(), "not finite, in row 1"));
	hel_checkpoint_clear(&c);
	hel_writer_clear(&w);
	safetensors(&w, "I64", whole, 2, 8);
	assert_ok(hel_checkpoint_open(&c, w.bytes, w.size, NULL));
	assert_status(HEL_EUNSUPPORTED, hel_stored_matrix(&c.tensor[0]));
	assert_non_null(strstr(hel_error_detail(), "'x' has type I64"));
	hel_checkpoint_clear(&c);
	hel_writer_clear(&w);
}

static void test_torch(void **state)
{
	(void)state;
	uint8_t *bytes;
	size_t size;
	hel_checkpoint c;
	float got[24];
	assert_ok(hel_file_read(CORPUS "/checkpoint/old.pt", 4096, &bytes, &size));
	assert_ok(hel_checkpoint_open(&c, bytes, size, NULL));
	assert_ok(hel_checkpoint_below(&c, "top_l.0."));
	assert_int_equal(2, c.count);
	hel_stored *weight = hel_checkpoint_find(&c, "weight"),
		   *bias = hel_checkpoint_find(&c, "bias");
	assert_true(weight && bias);
	assert_int_equal(4, weight->rows);
	assert_int_equal(6, weight->columns);
	assert_ok(hel_stored_rows(got, weight, 0, 4));
	for (int i = 0; i < 24; i++)
		assert_equal(got[i], (float)i);
	assert_ok(hel_stored_vector(bias, 4));
	assert_status(HEL_EFORMAT, hel_stored_vector(bias, 5));
	hel_checkpoint_clear(&c);
	assert_status(HEL_EFORMAT, hel_checkpoint_open(&c, bytes, size, "net"));
	assert_non_null(strstr(hel_error_detail(), "under 'net'"));
	for (size_t n = 0; n < size; n++) /* cut off anywhere */
		assert_unequal(hel_checkpoint_open(&c, bytes, n, NULL), HEL_OK);
	hel_free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_refuses_numbers),
	    cmocka_unit_test(test_torch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
