#include "front.h"
#include <math.h>

double hel_front_gain(const hel_choice *c, size_t count, size_t which, double slack)
{
	double best = -INFINITY;
	for (size_t i = 0; i < count; i++)
		if (i != which && c[i].possible && c[i].seconds <= slack * c[which].seconds)
			best = fmax(best, c[i].auc);
	return c[which].auc - best;
}

bool hel_on_front(const hel_choice *c, size_t count, size_t which)
{
	if (!c[which].possible)
		return false;
	for (size_t i = 0; i < count; i++) {
		const bool worse = c[i].auc < c[which].auc || c[i].seconds > c[which].seconds,
			   same = c[i].auc <= c[which].auc && c[i].seconds >= c[which].seconds;
		if (i != which && c[i].possible && !worse && !same)
			return false;
	}
	return true;
}

size_t hel_front_knee(const hel_choice *c, size_t count)
{
	size_t quickest = count, best = count;
	for (size_t i = 0; i < count; i++) {
		if (!hel_on_front(c, count, i))
			continue;
		quickest = quickest == count || c[i].seconds < c[quickest].seconds ? i : quickest;
		best = best == count || c[i].auc > c[best].auc ? i : best;
	}
	if (best == quickest)
		return best;
	const double slow = log(c[best].seconds / c[quickest].seconds),
		     rise = c[best].auc - c[quickest].auc;
	size_t knee = best;
	double most = 0;
	for (size_t i = 0; i < count; i++) {
		if (!hel_on_front(c, count, i))
			continue;
		const double above = (c[i].auc - c[quickest].auc) / rise -
				     log(c[i].seconds / c[quickest].seconds) / slow;
		if (above > most) {
			most = above;
			knee = i;
		}
	}
	return knee;
}

size_t hel_quickest_within(const hel_choice *c, size_t count, double within)
{
	double best = -INFINITY;
	size_t quickest = count;
	for (size_t i = 0; i < count; i++)
		best = c[i].possible ? fmax(best, c[i].auc) : best;
	for (size_t i = 0; i < count; i++)
		if (c[i].possible && c[i].auc >= best - within &&
		    (quickest == count || c[i].seconds < c[quickest].seconds))
			quickest = i;
	return quickest;
}
