/* All of the module is libhelrm-client. */
#include <helrm/client.h>
