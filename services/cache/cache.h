/* The stage that fills in what was found for equal texts before. */
#ifndef LEAT_CACHE_H
#define LEAT_CACHE_H

#include "services/runtime/service.h"

extern const struct leat_service cache_service;

#endif
