#include "cli.h"

/* Those that this build has, in the order in which a model meets them: src/cli/meson.build. */
static const hel_command *const commands[] = {
#ifdef HELRM_TRAINING
    &hel_command_scan,
    &hel_command_train,
    &hel_command_tune,
    &hel_command_import,
    &hel_command_eval,
    &hel_command_predict,
    &hel_command_compile,
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

int main(int argc, char **argv)
{
	return hel_cli_main(argc, argv, "helrm", commands);
}
