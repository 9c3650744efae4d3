#include "packing.h"
#include <string.h>

hel_layout hel_packing_layout(uint32_t mask, unsigned log_slots, size_t width)
{
	hel_layout l = {.log_slots = (uint8_t)log_slots, .width = (uint32_t)width};
	for (uint8_t b = 0; b <= log_slots; b++) /* imaginary parts last */
		if (mask >> b & 1)
			l.position[l.bits++] = b;
	return l;
}

void hel_packing_clear(hel_packing *k)
{
	hel_free(k->result);
	hel_free(k->source);
	hel_scatter_free(k->scatter);
	memset(k, 0, sizeof *k);
}
