#include "services/regress/regress.h"
#include "services/routes.h"
#include "services/runtime/service.h"
#include "services/tables.h"

static const struct leat_service *const services[] = {&regress_service, NULL};

static const struct leat_program program = {
    .name = "leat-regress",
    .version = LEAT_VERSION,
    .services = services,
    .routes = &leat_routes,
    .tables = leat_tables,
};

int main(int argc, char **argv)
{
    return leat_main(argc, argv, &program);
}
