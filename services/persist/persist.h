/* The stage that stores: many batches a transaction, acknowledged after COMMIT. */
#ifndef LEAT_PERSIST_H
#define LEAT_PERSIST_H

#include "services/runtime/service.h"

extern const struct leat_stage persist_stage;
extern const struct leat_service persist_service;

#endif
