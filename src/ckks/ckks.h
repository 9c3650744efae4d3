/* ckks.h -- the inside of RNS-CKKS, all that a server may see of it: circuit, vm and net include
 * this, and secret.h where the secret key is.
 */
#ifndef HEL_CKKS_INTERNAL_H
#define HEL_CKKS_INTERNAL_H

#include "encoder.h"
#include "eval.h"
#include "files.h"
#include "keys.h"
#include "keyswitch.h"
#include "noise.h"
#include "objects.h"
#include "params.h"
#include "public.h"
#include "serial.h"

#endif
