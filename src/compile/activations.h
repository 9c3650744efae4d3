/* activations.h -- polynomials in place of activations that ciphertexts cannot take: over which
 * range they are fitted, and what that costs against the model as it was trained.
 */
#ifndef HEL_ACTIVATIONS_H
#define HEL_ACTIVATIONS_H

#include "compile.h"
#include "model/accuracy.h"
#include "model/approximation.h"

/** Two models on the same records: as trained, and with polynomials. Logits and distances are those
 *  of the first; auc is NaN where one class is absent. */
typedef struct hel_fidelity {
	size_t rows, differ; /* decisions: signs of logits */
	hel_metrics trained, fitted;
	double distance, largest; /* mean and largest |difference| of logits */
	double spread;		  /* standard deviation of the first's logits */
	double bits;		  /* of the largest difference, relative to the spread */
} hel_fidelity;

HEL_CHECKED hel_status hel_fidelity_of(hel_fidelity *out, const double *trained,
				       const double *fitted, const uint8_t *label, size_t count);

/** What may be lost without being asked. */
#define HEL_AUC_LOSS 0.001
#define HEL_ACCURACY_LOSS 0.01

/** @retval HEL_ELIMIT AUC or accuracy moves by more than these; says by how much, and what to do.
 */
HEL_CHECKED hel_status hel_fidelity_check(const hel_fidelity *f, const hel_dlrm *m);

/** What is fitted. */
typedef struct hel_fit_choice {
	unsigned degree; /* 2 to HEL_MAX_APPROXIMATION */
	hel_approximation_kind kind;
	bool refreshed; /* of hel_compile_placed: refreshes, whatever they cost */
	bool may_fold;	/* of its result: not for all records is it proved that none is beyond
			 * half a turn */
	double margin;	/* range over the largest value seen; 0: by loss on the records */
} hel_fit_choice;

/** Replaces a model's activations by polynomials fitted to what the samples feed them; writes the
 *  margin that was chosen. Margins are compared by what they lose on records that the fit has not
 *  seen (half of the samples each): a narrow range fits better, and is left sooner.
 *  Cost: two passes over the samples, and one over a few hundred for each margin.
 *  @retval HEL_ERANGE nothing to fit, or a polynomial that does not. */
HEL_CHECKED hel_status hel_activations_fit(hel_dlrm *m, hel_fit_choice *choice,
					   const hel_samples *samples, hel_pool *pool);

/** The model as it is now against logits of the model as it was trained. */
HEL_CHECKED hel_status hel_activations_fidelity(hel_fidelity *f, const hel_dlrm *m,
						const double *trained, const hel_samples *samples,
						hel_pool *pool);
/** hel_compile() of a model with the polynomials that it has, and what they cost: refused before
 * and after (options->accept_loss) where that is too much. trained: logits of options->records. */
HEL_CHECKED hel_status hel_compile_fitted(hel_program **out, hel_compile_report *report,
					  hel_fidelity *fidelity, hel_dlrm *m,
					  const double *trained,
					  const hel_compile_options *options);

/** hel_compile for a model with activations that polynomials replace: fitted, compared (unless
 *  options->accept_loss), compiled. Where bounds must be proved (options->proved_only), the range
 * is widened until they can be. The samples are options->records. m is left with the polynomials.
 *  @retval HEL_ELIMIT more is lost than may be. */
HEL_CHECKED hel_status hel_compile_approximated(hel_program **out, hel_compile_report *report,
						hel_fidelity *fidelity, hel_fit_choice *choice,
						hel_dlrm *m, const hel_compile_options *options);

/** Fidelity of a fit of every degree from 2 on, without compiling: row[degree - 2]. */
HEL_CHECKED hel_status hel_activations_compare(hel_fidelity row[HEL_MAX_APPROXIMATION - 1],
					       hel_dlrm *m, hel_approximation_kind kind,
					       const hel_samples *samples, hel_pool *pool);

#endif
