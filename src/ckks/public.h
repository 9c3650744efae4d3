/* public.h -- the key under which others encrypt. */
#ifndef HEL_CKKS_PUBLIC_H
#define HEL_CKKS_PUBLIC_H

#include "objects.h"

HEL_CHECKED hel_status hel_public_key_alloc(hel_public_key **out, const hel_params *p,
					    unsigned level);
/** Fills `a` from the seed. */
void hel_public_key_expand(hel_public_key *key);
/** Bytes of a public key on the wire. */
size_t hel_public_key_bytes(const hel_params *p, unsigned level);
void hel_public_key_write(hel_writer *w, const hel_public_key *key);
/** Takes all that is left. */
HEL_CHECKED hel_status hel_public_key_read(hel_public_key **out, const hel_params *p,
					   hel_reader *r);
/** A whole file at the end of what `w` holds. */
HEL_CHECKED hel_status hel_public_key_store(hel_writer *w, const hel_public_key *key);

#endif
