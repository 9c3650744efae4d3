/* Inner products and base conversions, with their transforms. A part of vector_kernels.h. */

/* Keys and weights come from memory, in more streams than cores follow by themselves: words ahead
 * that they are asked for, once a line. */
#define AHEAD 128
#define LINE 16

INLINE void key_product_of(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms, size_t count,
			   const hel_permutation *perm, bool add, const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const vec factor = all(terms->factor);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		wide acc0 = {all(0), all(0)}, acc1 = acc0;
		if (terms->base)
			acc0 = product_all(load(terms->base + i), factor);
		for (size_t k = 0, room = HEL_MAX_TERMS - 1; k < count; k++, room--) {
			if (!room) {
				acc0 = fold(acc0, m);
				acc1 = fold(acc1, m);
				room = HEL_MAX_TERMS - 4;
			}
			const vec x = load(terms->x[k] + i);
			if (i % LINE == 0) {
				__builtin_prefetch(terms->y0[k] + i + AHEAD);
				__builtin_prefetch(terms->y1[k] + i + AHEAD);
			}
			acc0 = sum(acc0, product(x, load(terms->y0[k] + i)));
			acc1 = sum(acc1, product(x, load(terms->y1[k] + i)));
		}
		vec v0 = reduce(acc0, count + 1, m), v1 = reduce(acc1, count + 1, m);
		if (perm) {
			store_moved(r0, i, v0, perm, add, m->q);
			store_moved(r1, i, v1, perm, add, m->q);
			continue;
		}
		if (add) {
			v0 = once(plus(v0, load(r0 + i)), m->q);
			v1 = once(plus(v1, load(r1 + i)), m->q);
		}
		store(r0 + i, v0);
		store(r1 + i, v1);
	}
}

static void key_product(uint32_t *r0, uint32_t *r1, const hel_key_terms *terms,
			const hel_permutation *perm, bool add, const hel_prime *p)
{
	switch (terms->count) { /* the usual digits, unrolled */
	case 2:
		key_product_of(r0, r1, terms, 2, perm, add, p);
		break;
	case 3:
		key_product_of(r0, r1, terms, 3, perm, add, p);
		break;
	default:
		key_product_of(r0, r1, terms, terms->count, perm, add, p);
	}
}

/* Two registers of a tile at once, where it has as many: whole lines of the cache are read in
 * order, and sums stay in registers. */
#define TILE_VECS (HEL_TILE >= 2 * LANES ? 2 : 1)

INLINE void tile_part(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
		      const uint32_t *y1, size_t terms, const modulus *m)
{
	const wide none = {all(0), all(0)};
	wide acc0[TILE_VECS], acc1[TILE_VECS];
	for (size_t v = 0; v < TILE_VECS; v++)
		acc0[v] = acc1[v] = none;
	for (size_t t = 0, room = HEL_MAX_TERMS; t < terms;) {
		const size_t end = HEL_MIN(terms, t + room);
		for (; t < end; t++, x += HEL_TILE, y0 += HEL_TILE, y1 += HEL_TILE)
			for (size_t v = 0; v < TILE_VECS; v++) {
				const vec w = load(x + v * LANES);
				acc0[v] = sum(acc0[v], product(w, load(y0 + v * LANES)));
				acc1[v] = sum(acc1[v], product(w, load(y1 + v * LANES)));
			}
		for (size_t v = 0; t < terms && v < TILE_VECS; v++) {
			acc0[v] = fold(acc0[v], m);
			acc1[v] = fold(acc1[v], m);
		}
		room = HEL_MAX_TERMS - 4;
	}
	for (size_t v = 0; v < TILE_VECS; v++) {
		store(r0 + v * LANES, reduce(acc0[v], HEL_MAX_TERMS, m));
		store(r1 + v * LANES, reduce(acc1[v], HEL_MAX_TERMS, m));
	}
}

static void tile_product(uint32_t *r0, uint32_t *r1, const uint32_t *x, const uint32_t *y0,
			 const uint32_t *y1, size_t terms, const hel_prime *p)
{
	const modulus mod = modulus_of(p);
	for (uint32_t i = 0; i < HEL_TILE; i += TILE_VECS * LANES)
		tile_part(r0 + i, r1 + i, x + i, y0 + i, y1 + i, terms, &mod);
}

/* r in (0, 4q): fit for forward() */
INLINE void convert_of(uint32_t *r, const hel_conversion *x, size_t count, const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	/* the constant in the high words counts as four terms: 2^32 q = 4 * 2^30 q */
	const vec last = all(x->last), start = all_wide((uint64_t)x->last << 32);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		wide acc = {start, start};
		if (x->u)
			acc = product_all(load(x->u + i), last);
		for (size_t j = 0, room = HEL_MAX_TERMS - 4; j < count; j++, room--) {
			if (!room) {
				acc = fold(acc, m);
				room = HEL_MAX_TERMS - 4;
			}
			acc = sum(acc, product_all(load(x->y + j * p->n + i), all(x->c[j])));
		}
		store(r + i, reduce_lazy(acc, count + 4, m));
	}
}

INLINE void convert(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
#define CASE(count)                                                                                \
	case count:                                                                                \
		convert_of(r, x, count, p);                                                        \
		break;
	switch (x->count) { /* the usual digits, unrolled */
		CASE(1)
		CASE(2)
		CASE(4)
		CASE(5)
		CASE(7)
		CASE(8)
	default:
		convert_of(r, x, x->count, p);
	}
#undef CASE
}

static void raise(uint32_t *r, const hel_conversion *x, const hel_prime *p)
{
	if (p->n < 2 * LANES) {
		hel_kernels_scalar.raise(r, x, p);
		return;
	}
	convert(r, x, p);
	forward(r, p, NULL);
}

static void lower(uint32_t *r, const hel_division *d, uint32_t *work, const hel_prime *p)
{
	if (p->n < 2 * LANES) {
		hel_kernels_scalar.lower(r, d, work, p);
		return;
	}
	const ending e = {r, d, all(d->f.w), all(d->f.shoup), all(d->g.w), all(d->g.shoup)};
	convert(work, &d->x, p);
	forward(work, p, &e);
}

static void quotient(uint32_t *u, const uint32_t *y, const uint32_t *inv, size_t count, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += LANES) {
		vec v = all(1u << (HEL_QUOTIENT_BITS - 1));
		for (size_t j = 0; j < count; j++)
			v = plus(v, high_words(product_all(load(y + j * n + i), all(inv[j]))));
		store(u + i, shift_right(v, HEL_QUOTIENT_BITS));
	}
}

/* 2^31 q + 2^32 q: six terms of 2^30 q */
static void residues(uint32_t *r, const uint32_t *high, const uint32_t *low, hel_words_factor f,
		     const hel_prime *p)
{
	const modulus mod = modulus_of(p), *m = &mod;
	const vec f_low = all(f.low), f_high = all(f.high), middle = all(f.middle);
	for (uint32_t i = 0; i < p->n; i += LANES) {
		const wide acc =
		    sum(product_all(load(high + i), f_high), product_all(load(low + i), f_low));
		store(r + i, once(minus(plus(reduce(acc, 6, m), m->q), middle), m->q));
	}
}
