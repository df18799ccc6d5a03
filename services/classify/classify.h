/* The stage that finds sentiment, emotions and topics in texts. */
#ifndef LEAT_CLASSIFY_H
#define LEAT_CLASSIFY_H

#include "services/runtime/service.h"

extern const struct leat_service classify_service;

#endif
