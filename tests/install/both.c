/* A program that links libhelrm and libhelrm-client: each call's detail is read by the one
 * hel_error_detail() that the program has. */
#include <helrm/ckks.h>
#include <helrm/client.h>
#include <stdio.h>
#include <string.h>

static int told(hel_status st, hel_status expected, const char *what)
{
	if (st == expected && strstr(hel_error_detail(), what))
		return 1;
	printf("status %d, detail '%s', expected %d and '%s'\n", st, hel_error_detail(), expected,
	       what);
	return 0;
}

int main(void)
{
	hel_params *params = NULL;
	hel_access *access = NULL;
	const hel_params_spec nonsense = {.log_n = 99};
	int right = told(hel_params_new(&params, &nonsense), HEL_EPARAMS, "99");
	right &= told(hel_access_read(&access, "{}", 2), HEL_EFORMAT, "session");
	right &= told(hel_params_new(&params, &nonsense), HEL_EPARAMS, "99");
	right &= strcmp(hel_version(), HELRM_VERSION) == 0;
	return right ? 0 : 1;
}
