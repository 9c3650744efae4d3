#include "cli.h"

int main(int argc, char **argv)
{
	static const hel_command *const commands[] = {
	    &hel_command_scan,	       &hel_command_train,
	    &hel_command_tune,	       &hel_command_import,
	    &hel_command_eval,	       &hel_command_predict,
	    &hel_command_compile,      &hel_command_keygen,
	    &hel_command_encrypt,      &hel_command_infer,
	    &hel_command_serve,	       &hel_command_query,
	    &hel_command_decrypt,      &hel_command_verify,
	    &hel_command_inspect_plan, &hel_command_inspect,
	    &hel_command_synth,	       &hel_command_bench,
	    &hel_command_lookup_bench, NULL,
	};
	return hel_cli_main(argc, argv, "helrm", commands);
}
