/* UCI Heart Disease (data set 45): processed.{cleveland,hungarian,switzerland,va}.data */
#include "dataset.h"
#include <math.h>

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"heart\", \"credit\": \"UCI Heart Disease (CC BY 4.0): "
    "A. Janosi, W. Steinbrunn, M. Pfisterer, R. Detrano\", "
    "\"small\": true, \"missing\": [-9], " /* heart-disease.names, 9. */
    "\"columns\": ["
    "{\"name\": \"age\", \"kind\": \"dense\"},"
    "{\"name\": \"sex\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"cp\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"trestbps\", \"kind\": \"dense\", \"zero_is_missing\": true},"
    "{\"name\": \"chol\", \"kind\": \"dense\", \"zero_is_missing\": true}," /* 0 throughout the
									       Swiss file */
    "{\"name\": \"fbs\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"restecg\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"thalach\", \"kind\": \"dense\", \"zero_is_missing\": true},"
    "{\"name\": \"exang\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"oldpeak\", \"kind\": \"dense\"},"
    "{\"name\": \"slope\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"ca\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"thal\", \"kind\": \"category\", \"text\": \"number\"},"
    "{\"name\": \"num\", \"kind\": \"label\", \"most\": 4}"
    "]}";

static double clamp(double v, double low, double high)
{
	return fmin(fmax(v, low), high);
}

static size_t draw(hel_prng *g, const double *weight, size_t count)
{
	double sum = 0, u;
	for (size_t i = 0; i < count; i++)
		sum += weight[i];
	u = hel_prng_unit(g) * sum;
	size_t i = 0;
	while (i + 1 < count && u >= weight[i])
		u -= weight[i++];
	return i;
}

/* Plausible marginals (rounded from the data set's public description) and a known risk:
 * nothing is copied from a patient. */
static void synthesise(FILE *out, size_t rows, hel_prng *g)
{
	static const int thal[] = {3, 6, 7};
	static const double cp_weight[] = {8, 16, 28, 48}, ecg_weight[] = {50, 1, 49};
	static const double slope_weight[] = {47, 46, 7}, ca_weight[] = {58, 22, 13, 7};
	static const double thal_weight[] = {55, 6, 39};
	for (size_t i = 0; i < rows; i++) {
		double age = clamp(round(54.5 + 9 * hel_prng_normal(g)), 29, 77);
		int sex = hel_prng_unit(g) < 0.68;
		int cp = 1 + (int)draw(g, cp_weight, 4);
		double pressure = clamp(round(131 + 17 * hel_prng_normal(g)), 94, 200);
		double chol = clamp(round(246 + 50 * hel_prng_normal(g)), 126, 420);
		int fbs = hel_prng_unit(g) < 0.15, ecg = (int)draw(g, ecg_weight, 3);
		double rate =
		    clamp(round(150 - 0.9 * (age - 54) + 20 * hel_prng_normal(g)), 71, 202);
		int angina = hel_prng_unit(g) < (cp == 4 ? 0.55 : 0.13);
		double peak = clamp(round(10 * fabs(1.45 * hel_prng_normal(g)) - 2) / 10, 0, 6.2);
		int slope = 1 + (int)draw(g, slope_weight, 3), ca = (int)draw(g, ca_weight, 4);
		int defect = thal[draw(g, thal_weight, 3)];
		double risk = -3.3 + 1.1 * sex + 1.6 * (cp == 4) + 0.02 * (pressure - 131) +
			      0.004 * (chol - 246) - 0.022 * (rate - 150) + 0.8 * angina +
			      0.5 * peak + 0.5 * (slope == 2) + 1.1 * ca + 1.4 * (defect == 7);
		int ill = hel_prng_unit(g) < 1 / (1 + exp(-risk));
		fprintf(out, "%.1f,%d.0,%d.0,%.1f,%.1f,%d.0,%d.0,%.1f,%d.0,%.1f,%d.0,", age, sex,
			cp, pressure, chol, fbs, ecg, rate, angina, peak, slope);
		if (hel_prng_unit(g) < 0.012)
			fputs("?,", out);
		else
			fprintf(out, "%d.0,", ca);
		if (hel_prng_unit(g) < 0.006)
			fputs("?,", out);
		else
			fprintf(out, "%d.0,", defect);
		fprintf(out, "%d\n", ill);
	}
}

const hel_builtin hel_builtin_heart = {columns, synthesise, true};
