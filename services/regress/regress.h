/* The stage that finds regression features in blocks of time series. */
#ifndef LEAT_REGRESS_H
#define LEAT_REGRESS_H

#include "services/runtime/service.h"

extern const struct leat_service regress_service;

#endif
