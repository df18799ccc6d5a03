/* What the runtime must know of flows, told from their table. */
#ifndef LEAT_ROUTES_H
#define LEAT_ROUTES_H

#include "services/runtime/service.h"

extern const struct leat_routes leat_routes;

#endif
