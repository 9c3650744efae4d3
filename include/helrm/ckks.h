/** @file ckks.h
 *  Arithmetic on encrypted vectors of complex numbers (RNS-CKKS).
 *
 *  Include this header; read those it includes, in their order.
 *  - outputs come first; an output may be an input, never overlap one partly;
 *  - on any status but HEL_OK, outputs are as they were before the call;
 *  - any call that makes something may fail with HEL_ENOMEM;
 *  - params, keys and evaluators never change: threads may share them;
 *  - const arguments are borrowed for the call; params must outlive all that was made with them;
 *  - every `_free` takes NULL, and wipes what is secret.
 *
 *  A ciphertext at level l can still be rescaled l times. Every level has one
 *  scale, hel_params_scale(l); a product of two values at level l has that
 *  scale squared until it is rescaled, which gives the scale of level l - 1,
 *  equal bit for bit. Operations on different scales or levels are errors.
 *
 *  Words: N the ring degree, L the limbs (primes) at the level, k the special primes, d the
 *  digits at the level, S the scale. An NTT is one of length N on one limb, a product one pass over
 *  N residues. Errors are standard deviations of a slot's real part, and so of its imaginary part.
 *  Numbers like (16) are equations of docs/cryptography.md, which names the papers.
 */
#ifndef HELRM_CKKS_H
#define HELRM_CKKS_H

#include <helrm/params.h>

#include <helrm/keys.h>

#include <helrm/ciphertext.h>

#include <helrm/eval.h>

#include <helrm/rotate.h>
#include <helrm/version.h>
#include <stdbool.h>

#endif
