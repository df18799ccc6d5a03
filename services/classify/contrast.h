/* How much each column of the vectors tells of a class. */
#ifndef LEAT_CLASSIFY_CONTRAST_H
#define LEAT_CLASSIFY_CONTRAST_H

#include <stddef.h>

struct problem; /* liblinear's; y is 1 or -1 */

/* Fills scale[column] with how differently the column is spread over the two classes:
 *
 *   r = |ln ((p + share of positive) / sum of p) - ln ((q + share of negative) / sum of q)|
 *
 * where p and q are the column's sums over the positive and the negative vectors; r is brought to
 * root mean square 1 over all columns, raised by a constant, and brought to 1 again. The last
 * column, the bias, gets 1. A regression on scaled columns is held back less where the scale is
 * large, so its weights go where the classes differ.
 *
 * After S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic
 * Classification" (ACL 2012), with the sign left to the regression. `work` has room for two numbers
 * a column. Both classes must be there. */
void contrast_weigh(const struct problem *problem, double *scale, double *work);

#endif
