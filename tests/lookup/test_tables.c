#include "../testing.h"
#include "lookup/lookup.h"
#include <math.h>

static hel_status text(float **value, size_t *rows, size_t *dim, const char *t)
{
	return hel_table_from_text(value, rows, dim, t, strlen(t));
}

static void test_text(void **state)
{
	(void)state;
	float *v = NULL;
	size_t rows, dim;
	assert_ok(text(&v, &rows, &dim, "\n1.5\t-2e-3 3\r\n\n4,5,6\n7 8 9"));
	assert_int_equal(3, rows);
	assert_int_equal(3, dim);
	assert_equal(v[0], 1.5f);
	assert_equal(v[1], -2e-3f);
	assert_equal(v[5], 6.0f);
	assert_equal(v[8], 9.0f);
	hel_free(v);
	v = NULL;
	assert_ok(text(&v, &rows, &dim, "8"));
	assert_equal(rows, 1);
	assert_equal(dim, 1);
	assert_equal(v[0], 8.0f);
	hel_free(v);
	v = NULL;
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 2\n3 4 5\n"));
	assert_non_null(strstr(hel_error_detail(), "line 2"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 2\n3\n"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 2\n3 x\n"));
	assert_non_null(strstr(hel_error_detail(), "'x'"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 nan\n"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 1e99\n"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1 2x\n"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "1,5\t2,5\n2,5\t1,0\n"));
	assert_non_null(strstr(hel_error_detail(), "decimals are written with a point"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, "\n\n"));
	assert_status(HEL_EDATA, text(&v, &rows, &dim, ""));
	assert_null(v);
}

/* An array as NumPy writes it. */
static size_t npy_file(uint8_t *out, const char *header, const void *data, size_t size)
{
	const size_t length = strlen(header);
	memcpy(out, "\x93NUMPY\1\0", 8);
	out[8] = (uint8_t)length;
	out[9] = (uint8_t)(length >> 8);
	memcpy(out + 10, header, length);
	memcpy(out + 10 + length, data, size);
	return 10 + length + size;
}

#define FLOATS "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n"

static void test_npy(void **state)
{
	(void)state;
	const float data[6] = {1, 2, 3, 4, 5, -6};
	const double wide[4] = {0.5, 0.25, 1, -1};
	uint8_t file[512];
	hel_npy npy;
	float *v = NULL;
	size_t size = npy_file(file, FLOATS, data, sizeof data);
	assert_ok(hel_npy_open(&npy, file, size));
	assert_equal(npy.rows, 2);
	assert_equal(npy.dim, 3);
	assert_true(!npy.wide);
	assert_ok(hel_npy_read(&v, &npy));
	assert_memory_equal(data, v, sizeof data);
	hel_free(v);
	v = NULL;
	for (size_t cut = 0; cut < size; cut++)
		assert_int_not_equal(HEL_OK, hel_npy_open(&npy, file, cut));
	size = npy_file(file, "{'shape': (4, 1), 'fortran_order': False, 'descr': '<f8'}", wide,
			sizeof wide);
	assert_ok(hel_npy_open(&npy, file, size));
	assert_ok(hel_npy_read(&v, &npy));
	assert_equal(v[0], 0.5f);
	assert_equal(v[3], -1.0f);
	hel_free(v);
	v = NULL;
	static const struct {
		const char *header;
		hel_status status;
	} bad[] = {
	    {"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3)}", HEL_EUNSUPPORTED},
	    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}", HEL_EUNSUPPORTED},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,)}", HEL_EFORMAT},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1)}", HEL_EFORMAT},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3)}", HEL_EFORMAT},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3)}", HEL_ELIMIT},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 65536)}",
	     HEL_ETRUNC},
	    {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 3)}",
	     HEL_EFORMAT},
	    {"{'descr': '<f4', 'fortran_order': False}", HEL_EFORMAT},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		size = npy_file(file, bad[i].header, data, sizeof data);
		assert_status(bad[i].status, hel_npy_open(&npy, file, size));
	}
	const float infinite[6] = {1, 2, 3, 4, 5, INFINITY};
	size = npy_file(file, FLOATS, infinite, sizeof infinite);
	assert_ok(hel_npy_open(&npy, file, size));
	assert_status(HEL_EDATA, hel_npy_read(&v, &npy));
	assert_non_null(strstr(hel_error_detail(), "row 1, number 2"));
	assert_null(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_npy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
