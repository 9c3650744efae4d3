/* Criteo Kaggle train.txt and Criteo 1TB day files: label, 13 counts, 26 hexadecimal codes. */
#include "dataset.h"
#include "synthetic.h"
#include <math.h>
#include <string.h>

#define COUNT(n)                                                                                   \
	"{\"name\": \"I" #n "\", \"kind\": \"dense\", \"whole\": true, \"log\": 1, \"missing\": "  \
	"0},"
#define CODE(n)                                                                                    \
	"{\"name\": \"C" #n                                                                        \
	"\", \"kind\": \"category\", \"values\": \"hashed\", \"text\": \"code\"}"

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"criteo\", \"credit\": \"Criteo AI Lab, display advertising "
    "challenge (Kaggle 2014) and 1TB click logs; under Criteo's terms: no commercial use, no "
    "distribution\", \"separator\": \"\\t\", \"columns\": ["
    "{\"name\": \"label\", \"kind\": \"label\"}," COUNT(1) COUNT(2) COUNT(3) COUNT(4) COUNT(
	5) COUNT(6) COUNT(7) COUNT(8) COUNT(9) COUNT(10) COUNT(11) COUNT(12) COUNT(13)
	CODE(1) "," CODE(2) "," CODE(3) "," CODE(4) "," CODE(5) "," CODE(6) "," CODE(7) "," CODE(8) "," CODE(9) "," CODE(10) "," CODE(11) "," CODE(12) "," CODE(13) "," CODE(
	    14) "," CODE(15) "," CODE(16) "," CODE(17) "," CODE(18) "," CODE(19) "," CODE(20) "," CODE(21) "," CODE(22) "," CODE(23) "," CODE(24) "," CODE(25) "," CODE(26) "]}";

#define DENSE 13
#define TABLES 26

/* Published cardinalities of the Kaggle set; an empty field counts as one category. */
static const uint32_t cardinality[TABLES] = {
    1460, 583,	 10131227, 2202608, 305,  24,	12517, 633,	3,  93145, 5683,   8351593, 3194,
    27,	  14992, 5461306,  10,	    5652, 2173, 4,     7046547, 18, 15,	   286181, 105,	    142572};

/* Invented, in round numbers: how often a column is empty, in percent; its size; its weight. */
static const uint8_t dense_missing[DENSE] = {45, 0, 20, 20, 3, 20, 4, 0, 4, 45, 4, 75, 20};
static const float dense_size[DENSE] = {1, 2, 2, 2, 8, 4, 2, 2, 4, 0.6f, 1, 0.4f, 2};
static const float dense_weight[DENSE] = {0.3f, 0.1f, 0,    -0.1f, -0.1f, -0.1f, 0.2f,
					  0,	0,    0.2f, 0.3f,  0,	  -0.2f};
static const uint8_t table_missing[TABLES] = {
    [2] = 3,   [3] = 3,	 [5] = 12,  [11] = 3, [15] = 3,	 [18] = 44,
    [19] = 44, [20] = 3, [21] = 76, [23] = 3, [24] = 44, [25] = 44};

/* The planted click model: a logit that is the sum of all effects; 26 % clicks. */
static void synthesise(FILE *out, size_t rows, hel_prng *g)
{
	static const char digit[] = "0123456789abcdef";
	uint64_t state = hel_prng_u64(g);
	for (size_t i = 0; i < rows; i++) {
		char line[1024], *p = line + 2;
		double logit = -1.45;
		for (size_t k = 0; k < DENSE; k++) {
			if (100 * unit(&state) >= dense_missing[k]) {
				double u = unit(&state), v = -log(1 - u) * (double)dense_size[k];
				double x = floor(expm1(fmin(v, 14)));
				if (k == 1 && u < 0.1)
					x = -1 - floor(20 * u);
				logit += (double)dense_weight[k] *
					 (log1p(fmax(x, 0)) - (double)dense_size[k]);
				p += snprintf(p, 16, "%d", (int)x);
			}
			*p++ = '\t';
		}
		for (size_t t = 0; t < TABLES; t++) {
			if (100 * unit(&state) >= table_missing[t]) {
				const uint32_t rank = zipf(&state, cardinality[t] - 1);
				uint64_t code = hel_mix(hel_mix(t) ^ rank);
				logit += effect(t, rank);
				for (int d = 0; d < 8; d++, code >>= 4)
					*p++ = digit[code & 15];
			}
			*p++ = t + 1 < TABLES ? '\t' : '\n';
		}
		line[0] = unit(&state) < 1 / (1 + exp(-logit)) ? '1' : '0';
		line[1] = '\t';
		fwrite(line, 1, (size_t)(p - line), out);
	}
}

const hel_builtin hel_builtin_criteo = {columns, synthesise, true};
