/* The table `texts`. */
#ifndef LEAT_TEXT_TABLE_H
#define LEAT_TEXT_TABLE_H

#include "services/flows/table.h"

extern const struct leat_table text_table;

#endif
