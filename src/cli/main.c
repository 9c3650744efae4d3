#include "cli.h"
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Those that this build has, in the order in which a model meets them: src/cli/meson.build. */
static const hel_command *const commands[] = {
#ifdef HELRM_TRAINING
    &hel_command_scan,
    &hel_command_train,
    &hel_command_tune,
    &hel_command_import,
    &hel_command_eval,
    &hel_command_predict,
    &hel_command_approximate,
    &hel_command_compile,
    &hel_command_catalogue,
#endif
#ifdef HELRM_CLIENT
    &hel_command_keygen,
    &hel_command_seal,
    &hel_command_encrypt,
#endif
    &hel_command_infer,
#ifdef HELRM_SERVER
    &hel_command_serve,
#endif
#ifdef HELRM_TRANSPORT
    &hel_command_query,
#endif
#ifdef HELRM_CLIENT
    &hel_command_decrypt,
#endif
#ifdef HELRM_TRAINING
    &hel_command_verify,
    &hel_command_inspect_plan,
    &hel_command_inspect,
    &hel_command_synth,
    &hel_command_bench,
    &hel_command_lookup_bench,
#endif
    NULL,
};

/* OpenBLAS starts threads before main() does, and they never give up asking for memory that a limit
 * denies them. We use none of them; where there is a limit we begin again without. */
static void without_blas_threads(char **argv)
{
#ifdef HELRM_TRAINING
	struct rlimit limit;
	if (getenv("OPENBLAS_NUM_THREADS") || getrlimit(RLIMIT_AS, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return;
	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	execv("/proc/self/exe", argv); /* where it cannot, we go on as we are */
#else
	(void)argv;
#endif
}

int main(int argc, char **argv)
{
	without_blas_threads(argv);
	return hel_cli_main(argc, argv, "helrm", commands);
}
