/* TCP's keepalive, as every socket between processes has it. */
#ifndef LEAT_KEEPALIVE_H
#define LEAT_KEEPALIVE_H

/* An end that has nothing under way knows after half a minute that the other's host has fallen
 * silent. Where something is under way that has no answer, keepalive does not run. */
void leat_keepalive(void *socket);

#endif
