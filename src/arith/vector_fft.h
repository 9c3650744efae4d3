/* The FFT over doubles. A part of vector_kernels.h. */

typedef double doubles __attribute__((vector_size(4 * LANES)));

INLINE doubles *at(double *p)
{
	return (doubles *)(void *)p;
}

INLINE doubles get(const double *p)
{
	return *(const doubles *)(const void *)p;
}

static void fft_forward(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	const size_t least = HEL_MIN((size_t)LANES / 2, n); /* below, one by one */
	for (size_t i = 0; i < n; i += least)
		hel_kernels_scalar.fft_forward(re + i, im + i, w_re, w_im, least);
	for (size_t len = 2 * least; len <= n; len *= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j += LANES / 2) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const doubles x =
				    get(re + b) * get(w_re + w) - get(im + b) * get(w_im + w);
				const doubles y =
				    get(re + b) * get(w_im + w) + get(im + b) * get(w_re + w);
				*at(re + b) = get(re + a) - x;
				*at(im + b) = get(im + a) - y;
				*at(re + a) += x;
				*at(im + a) += y;
			}
}

static void fft_inverse(double *re, double *im, const double *w_re, const double *w_im, size_t n)
{
	const size_t least = HEL_MIN((size_t)LANES / 2, n);
	for (size_t len = n; len > least; len /= 2)
		for (size_t i = 0; i < n; i += len)
			for (size_t j = 0; j < len / 2; j += LANES / 2) {
				const size_t a = i + j, b = a + len / 2, w = len / 2 + j;
				const doubles x = get(re + a) - get(re + b);
				const doubles y = get(im + a) - get(im + b);
				*at(re + a) += get(re + b);
				*at(im + a) += get(im + b);
				*at(re + b) = x * get(w_re + w) + y * get(w_im + w);
				*at(im + b) = y * get(w_re + w) - x * get(w_im + w);
			}
	for (size_t i = 0; i < n; i += least)
		hel_kernels_scalar.fft_inverse(re + i, im + i, w_re, w_im, least);
}
