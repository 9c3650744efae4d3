/* Clicks on advertisements as Avazu has them: 22 categories, nothing dense. Everything is invented.
 */
#include "dataset.h"
#include "synthetic.h"

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"clicks\", \"columns\": ["
    "{\"name\": \"id\", \"kind\": \"ignore\"},"
    "{\"name\": \"click\", \"kind\": \"label\"},"
    "{\"name\": \"hour\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C1\", \"kind\": \"category\", \"values\": \"listed\"},"
    "{\"name\": \"banner_pos\", \"kind\": \"category\", \"values\": \"listed\"},"
    "{\"name\": \"site_id\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"site_domain\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"site_category\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"app_id\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"app_domain\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"app_category\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"device_id\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"device_ip\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"device_model\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"device_type\", \"kind\": \"category\", \"values\": \"listed\"},"
    "{\"name\": \"device_conn_type\", \"kind\": \"category\", \"values\": \"listed\"},"
    "{\"name\": \"C14\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C15\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C16\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C17\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C18\", \"kind\": \"category\", \"values\": \"listed\"},"
    "{\"name\": \"C19\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C20\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"C21\", \"kind\": \"category\", \"values\": \"hashed\"}"
    "]}";

#define TABLES 22

/* About as many as are published. */
static const uint32_t cardinality[TABLES] = {240, 7,	   7,	    4737, 7745, 26, 8552, 559,
					     36,  2686408, 6729486, 8251, 5,	4,  2626, 8,
					     9,	  435,	   4,	    68,	  172,	60};
/* How it is written: codes of eight hexadecimal digits, or a number above this one. */
static const int32_t number[TABLES] = {14102100, 1000, 0, -1,	 -1,  -1, -1,  -1, -1, -1,     -1,
				       -1,	 0,    0, 19000, 300, 20, 900, 0,  30, 100000, 1};

static void write_value(FILE *out, size_t table, uint32_t rank)
{
	if (number[table] < 0)
		fprintf(out, ",%08x", (unsigned)hel_mix(hel_mix(table) ^ rank));
	else if (table) /* ranks in another order than numbers */
		fprintf(out, ",%u", (unsigned)number[table] + rank * 11 % cardinality[table]);
	else /* ten days of 24 hours */
		fprintf(out, ",%u",
			(unsigned)number[table] + rank * 7 % 240 / 24 * 100 + rank * 7 % 240 % 24);
}

/* The planted model: a logit that is the sum of all effects; 17 % clicks. */
static void synthesise(FILE *out, size_t rows, hel_prng *g)
{
	uint64_t state = hel_prng_u64(g);
	fputs("id,click", out);
	fputs(",hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_"
	      "category,device_id,device_ip,device_model,device_type,device_conn_type,C14,C15,C16,"
	      "C17,C18,C19,C20,C21\n",
	      out);
	for (size_t i = 0; i < rows; i++) {
		uint32_t rank[TABLES];
		double logit = -2.1;
		for (size_t t = 0; t < TABLES; t++) {
			rank[t] = zipf(&state, cardinality[t]);
			logit += 0.9 * effect(100 + t, rank[t]);
		}
		const int click = unit(&state) < 1 / (1 + exp(-logit));
		fprintf(out, "%llu,%d", (unsigned long long)hel_mix(state ^ i), click);
		for (size_t t = 0; t < TABLES; t++)
			write_value(out, t, rank[t]);
		fputc('\n', out);
	}
}

const hel_builtin hel_builtin_clicks = {columns, synthesise, false};
