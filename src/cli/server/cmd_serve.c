/* serve: the private-prediction service. */
#include "cli/cli.h"
#include "net/server/service.h"
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static atomic_bool end_asked, reload_asked;

static void on_signal(int number)
{
	atomic_store(number == SIGHUP ? &reload_asked : &end_asked, true);
}

/* A setting that takes no value is a flag: there or not. */
static hel_status set_from_flag(hel_settings *s, const hel_args *args, const char *name,
				const char *value, const char *origin)
{
	const char *given = hel_arg(args, name);
	return given ? hel_settings_set(s, name, value ? given : "yes", origin) : HEL_OK;
}

/* A file, then the environment, then flags. */
static hel_status read_settings(hel_settings *s, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_settings_default(s);
	if (hel_arg(args, "config"))
		TRY(hel_settings_file(s, hel_arg(args, "config")));
	TRY(hel_settings_environment(s));
#define X(kind, field, name, otherwise, low, high, value, help)                                    \
	TRY(set_from_flag(s, args, name, value, "--" name));
	HEL_SETTING_LIST(X)
#undef X
	st = hel_service_check(s);
done:
	return st;
}

static hel_status run_serve(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_settings *settings = NULL;
	hel_service *s = NULL;
	TRY_ALLOC(settings, hel_alloc(1, sizeof *settings));
	TRY(read_settings(settings, args));
	if (hel_arg(args, "check-config")) {
		if (!args->json)
			hel_settings_print(stdout, settings);
		json_object_set_new(out, "valid", json_true());
		goto done;
	}
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	TRY(hel_service_open(&s, settings, args->pool));
	while (!atomic_load(&end_asked)) {
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		hel_service_tick(s, atomic_exchange(&reload_asked, false));
	}
	hel_service_close(s);
done:
	hel_free(settings);
	return st;
}

const hel_command hel_command_serve = {
    .name = "serve",
    .summary = "Serve private predictions over HTTPS",
    .option = {{"config", "FILE",
		"settings as lines 'name = value'; flags win over HELRM_SERVE_NAME, "
		"which wins over it",
		false, false},
	       {"check-config", NULL, "print the settings in force and stop", false, false},
#define X(kind, field, name, otherwise, low, high, value, help) {name, value, help, false, false},
	       HEL_SETTING_LIST(X)
#undef X
    },
    .run = run_serve,
};
