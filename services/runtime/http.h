/* What people and schedulers ask a process over HTTP: /metrics, /healthz, /readyz.
 *
 * It runs in a thread of its own and reads nothing but atomics, so it answers while every service
 * is busy or stuck. */
#ifndef LEAT_HTTP_H
#define LEAT_HTTP_H

#include "services/runtime/service.h"

struct leat_http;

enum leat_http_failure { LEAT_HTTP_MALFORMED, LEAT_HTTP_IN_USE, LEAT_HTTP_OTHER };

/* Serves on `address`: "127.0.0.1:9550", "[::1]:9550", "*:9550", "name:9550"; port 0 takes a free
 * one. `hosts`, ended by NULL, must outlive it. NULL with the reason, and in `failure` of what sort
 * it is. */
struct leat_http *leat_http_open(const char *address, const char *setting,
                                 struct leat_metrics *metrics, struct leat_host *const *hosts,
                                 enum leat_http_failure *failure, struct leat_error *err);
int leat_http_port(const struct leat_http *self);
void leat_http_close(struct leat_http **self);

/* The body of /readyz; true when all services are ready. */
bool leat_http_readiness(struct leat_host *const *hosts, char *text, size_t size);

#endif
