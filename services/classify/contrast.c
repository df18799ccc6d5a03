#include "services/classify/contrast.h"

#include <linear.h>
#include <math.h>
#include <string.h>

/* What a column that tells nothing gets beside one that tells an average amount: without it, rare
 * columns that tell something by chance count too much. Measured, as is the rest of the recipe. */
#define FLOOR 0.5

/* Divides by the root mean square. */
static void to_unit(double *scale, size_t size)
{
    double squares = 0;
    for (size_t k = 0; k < size; k++)
        squares += scale[k] * scale[k];
    double unit = squares > 0 ? sqrt((double)size / squares) : 1;
    for (size_t k = 0; k < size; k++)
        scale[k] *= unit;
}

void contrast_weigh(const struct problem *problem, double *scale, double *work)
{
    size_t width = (size_t)problem->n;
    double *sum[2] = {work, work + width}; /* negative, positive */
    double texts[2] = {0};
    memset(work, 0, 2 * width * sizeof *work);
    for (int i = 0; i < problem->l; i++) {
        double *into = sum[problem->y[i] > 0];
        texts[problem->y[i] > 0]++;
        for (const struct feature_node *node = problem->x[i]; node->index != -1; node++)
            into[node->index - 1] += node->value;
    }
    double norm[2];
    for (int class = 0; class < 2; class ++) {
        double share = texts[class] / (texts[0] + texts[1]);
        norm[class] = 0;
        for (size_t k = 0; k + 1 < width; k++) {
            norm[class] += sum[class][k];
            sum[class][k] += share;
        }
    }
    for (size_t k = 0; k + 1 < width; k++)
        scale[k] = fabs(log(sum[1][k] / norm[1]) - log(sum[0][k] / norm[0]));
    to_unit(scale, width - 1);
    for (size_t k = 0; k + 1 < width; k++)
        scale[k] += FLOOR;
    to_unit(scale, width - 1);
    scale[width - 1] = 1;
}
