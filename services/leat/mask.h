/* Passwords and keys are not shown. */
#ifndef LEAT_CLI_MASK_H
#define LEAT_CLI_MASK_H

#include "services/runtime/settings.h"

/* A setting's value as it may be shown: ****** stands for the passwords of an
 * address (user:PASSWORD@, password=PASSWORD, sslpassword=PASSWORD) or for a key in it (?key=KEY
 * and the like), and for the whole of a secret that is none: addresses are in settings that end in
 * ".url". Cut to `size`. Returns `to`. */
const char *mask_value(const struct leat_setting *row, const char *value, char *to, size_t size);

/* The same for an address, whatever setting it is from. */
const char *mask_address(const char *address, char *to, size_t size);

#endif
