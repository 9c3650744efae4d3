/* stock.h -- the catalogue of items of a model in service: the file beside its program, replaced
 * while queries run over the old one.
 */
#ifndef HEL_SERVER_STOCK_H
#define HEL_SERVER_STOCK_H

#include "catalog.h"
#include "rank/catalogue.h"

/** Counted: a replaced one lives until the last query over it ends. */
typedef struct hel_stock hel_stock;

/** Looks for NAME/items.helm (of NAME.helm: NAME.items.helm) and takes a new one in. A bad one is
 *  logged, and the one in service stays. Of models that score records nothing. The keeper's alone.
 */
void hel_stock_look(hel_model *m);
/** The one in service, counted; NULL: none. */
hel_stock *hel_stock_of(hel_model *m);
const hel_catalogue *hel_stock_catalogue(const hel_stock *s);
void hel_stock_release(hel_stock *s);
/** Of a model that goes. */
void hel_stock_clear(hel_model *m);

#endif
