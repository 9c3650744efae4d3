/* front.h -- what to take when better costs more: choices by their seconds and their AUC. */
#ifndef HEL_FRONT_H
#define HEL_FRONT_H

#include "base/base.h"
#include <stdbool.h>

/** Something that can be taken at a price, in seconds above 0. */
typedef struct hel_choice {
	double seconds, auc;
	bool possible; /* others are looked at by nobody */
} hel_choice;

/** Whether no other choice is better in one of both and not worse in the other. */
bool hel_on_front(const hel_choice *c, size_t count, size_t which);
/** How much better a choice is than the best of those that take at most `slack` times as long;
 *  with slack 1 below 0 for one that is not on the front; INFINITY for one that is alone. */
double hel_front_gain(const hel_choice *c, size_t count, size_t which, double slack);
/** Where the front bends: the choice on it that stands farthest above the line from the quickest to
 *  the best one, over the logarithm of time. Up to there an equal share of the time buys more AUC
 *  than after it. Of two ends without anything above the line, the best one. `count` when nothing
 *  is possible. [V. Satopaa et al. 2011, "Finding a kneedle in a haystack"] */
size_t hel_front_knee(const hel_choice *c, size_t count);
/** The quickest whose AUC is at most `within` below the best one's; `count` when nothing is
 *  possible. */
size_t hel_quickest_within(const hel_choice *c, size_t count, double within);

#endif
