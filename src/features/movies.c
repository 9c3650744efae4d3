/* Ratings of films as MovieLens has them: who, what, its genres, age, when. Everything is invented.
 */
#include "dataset.h"
#include "synthetic.h"

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"movies\", \"columns\": ["
    "{\"name\": \"user\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"item\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"genres\", \"kind\": \"bag\", \"separator\": \"|\", \"limit\": 6},"
    "{\"name\": \"age\", \"kind\": \"dense\"},"
    "{\"name\": \"timestamp\", \"kind\": \"dense\"},"
    "{\"name\": \"rating\", \"kind\": \"label\", \"above\": 3.5}]}";

static const char *const genres[] = {
    "Action",	   "Adventure", "Animation", "Children",  "Comedy", "Crime",
    "Documentary", "Drama",	"Fantasy",   "Film-Noir", "Horror", "Musical",
    "Mystery",	   "Romance",	"Sci-Fi",    "Thriller",  "War",    "Western"};

#define USERS 6040
#define ITEMS 3706
#define MOST_GENRES 6
#define WORST (-2.2) /* logit between two ratings */
#define STEP 1.4

/* A film's genres follow from its number. Returns how many there are. */
static size_t genres_of(size_t genre[MOST_GENRES], uint32_t item)
{
	uint64_t state = hel_mix(0x67656e72 + item);
	const size_t wanted = 1 + (size_t)(MOST_GENRES * unit(&state) * unit(&state));
	size_t count = 0;
	while (count < wanted) {
		const size_t g = zipf(&state, HEL_ARRAY_LEN(genres));
		size_t k = 0;
		while (k < count && genre[k] != g)
			k++;
		if (k == count)
			genre[count++] = g;
	}
	return count;
}

/* The planted model: how well a film is liked, how much a user likes films, and a taste for genres
 * that changes with age. */
static void synthesise(FILE *out, size_t rows, hel_prng *g)
{
	uint64_t state = hel_prng_u64(g);
	fputs("user,item,genres,age,timestamp,rating\n", out);
	for (size_t i = 0; i < rows; i++) {
		const uint32_t user = zipf(&state, USERS), item = zipf(&state, ITEMS);
		uint64_t who = hel_mix(0x616765 + user);
		const double age = floor(14 + 50 * unit(&who) * unit(&who) + 6 * unit(&who));
		size_t genre[MOST_GENRES];
		const size_t count = genres_of(genre, item);
		double liking = 2.2 * effect(1, user) + 2.8 * effect(2, item);
		fprintf(out, "%u,%u,", user + 1, (unsigned)(hel_mix(item) % 3952) + 1);
		for (size_t k = 0; k < count; k++) {
			const uint32_t number = (uint32_t)genre[k];
			liking += 1.6 * effect(3, number) + effect(4, number) * (age - 30) / 12;
			fprintf(out, "%s%s", k ? "|" : "", genres[genre[k]]);
		}
		liking += log(1 / unit(&state) - 1); /* logistic */
		int rating = 1;
		while (rating < 5 && liking > WORST + STEP * rating - STEP)
			rating++;
		fprintf(out, ",%.0f,%.0f,%d\n", age, 956703932 + floor(9e7 * unit(&state)), rating);
	}
}

const hel_builtin hel_builtin_movies = {columns, synthesise, false};
