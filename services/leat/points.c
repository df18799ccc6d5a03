#include "services/leat/points.h"

void points_close(struct points **self)
{
    if (*self)
        (*self)->type->close(*self);
    *self = NULL;
}

enum points_result points_next(struct points *self, struct point *out, struct leat_error *err)
{
    out->series = (struct leat_span){0};
    return self->type->next(self, out, err);
}
