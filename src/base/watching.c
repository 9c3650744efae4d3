#include "watching.h"
#include "base.h"

#define EVERY .05 /* seconds between two times that somebody is told */

void hel_watching_begin(hel_watching *w, const hel_watch *watch)
{
	w->watch = watch && watch->tell ? watch : NULL;
	w->thread = pthread_self();
	w->next = hel_clock() + EVERY;
	w->told = 0;
	atomic_init(&w->stop, false);
}

hel_status hel_watching_step(hel_watching *w, double done)
{
	if (!w || !w->watch)
		return HEL_OK;
	if (pthread_equal(w->thread, pthread_self()) && hel_clock() >= w->next && !w->stop) {
		w->told = HEL_MAX(w->told, done);
		if (!w->watch->tell(w->watch->arg, w->told))
			w->stop = true;
		w->next = hel_clock() + EVERY;
	}
	return w->stop ? hel_fail(HEL_ECANCEL, "cancelled") : HEL_OK;
}
