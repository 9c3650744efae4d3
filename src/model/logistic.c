#include "logistic.h"
#include "features/coding.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

/* LAPACK: solves A x = b for a symmetric positive definite A. */
extern void dposv_(const char *uplo, const int *n, const int *nrhs, double *a, const int *lda,
		   double *b, const int *ldb, int *info);

static void features_of(double *x, const hel_samples *s, const hel_schema *schema, size_t row,
			size_t width)
{
	hel_features_fill(x, schema, s->value + row * s->dense, s->hot + row * s->hots, 1);
	x[width - 1] = 1;
}

hel_status hel_logistic_fit_predict(double *logits, const hel_samples *train,
				    const hel_samples *test, const hel_schema *schema, double ridge)
{
	hel_status st = HEL_OK;
	const size_t n = hel_features_width(schema, 1) + 1;
	double *w = NULL;
	TRY_ALLOC(w, hel_alloc(n * (n + 3), sizeof *w));
	double *x = w + n, *gradient = x + n, *hessian = gradient + n;
	for (int iteration = 0; iteration < 25; iteration++) {
		for (size_t i = 0; i < n; i++)
			gradient[i] = i + 1 < n ? -ridge * w[i] : 0;
		memset(hessian, 0, n * n * sizeof *hessian);
		for (size_t i = 0; i < n; i++)
			hessian[i * n + i] = i + 1 < n ? ridge : 1e-9;
		for (size_t r = 0; r < train->count; r++) {
			features_of(x, train, schema, r, n);
			double p = 1 / (1 + exp(-cblas_ddot((int)n, w, 1, x, 1)));
			cblas_daxpy((int)n, train->label[r] - p, x, 1, gradient, 1);
			cblas_dsyr(CblasColMajor, CblasLower, (int)n, p * (1 - p), x, 1, hessian,
				   (int)n);
		}
		const int size = (int)n, one = 1;
		int info;
		dposv_("L", &size, &one, hessian, &size, gradient, &size, &info);
		if (info)
			FAIL(HEL_ERANGE, "logistic regression: the Hessian is singular");
		cblas_daxpy((int)n, 1, gradient, 1, w, 1);
		if (cblas_dnrm2((int)n, gradient, 1) < 1e-8)
			break;
	}
	for (size_t r = 0; r < test->count; r++) {
		features_of(x, test, schema, r, n);
		logits[r] = cblas_ddot((int)n, w, 1, x, 1);
	}
done:
	hel_free(w);
	return st;
}
