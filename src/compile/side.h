/* side.h -- some columns of a schema: those of one side of a split model. */
#ifndef HEL_SIDE_H
#define HEL_SIDE_H

#include "features/schema.h"

typedef struct hel_side {
	hel_schema *schema;	 /* whose data set ignores the other columns */
	uint32_t *dense, *table; /* the whole schema's numbers of its columns */
} hel_side;

/** labels: the label, if there is one, stays. */
HEL_CHECKED hel_status hel_side_new(hel_side *out, const hel_schema *whole, const bool *dense,
				    const bool *table, bool labels);
void hel_side_clear(hel_side *p);
/** Of a whole record what is of this part; and back, where the rest stays as it is. */
void hel_side_take(const hel_side *p, const hel_schema *whole, double *dense, uint32_t *hots,
		   const double *all_dense, const uint32_t *all_hots);
void hel_side_put(const hel_side *p, const hel_schema *whole, double *all_dense, uint32_t *all_hots,
		  const double *dense, const uint32_t *hots);

#endif
