/* The server's own binary: no trainer, no compiler, no secret-key code. */
#include "cli.h"

int main(int argc, char **argv)
{
	static const hel_command *const commands[] = {&hel_command_infer, &hel_command_serve, NULL};
	return hel_cli_main(argc, argv, "helrm-server", commands);
}
