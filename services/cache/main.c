#include "services/cache/cache.h"
#include "services/routes.h"
#include "services/tables.h"

static const struct leat_service *const services[] = {&cache_service, NULL};

static const struct leat_program program = {
    .name = "leat-cache",
    .version = LEAT_VERSION,
    .services = services,
    .routes = &leat_routes,
    .tables = leat_tables,
};

int main(int argc, char **argv)
{
    return leat_main(argc, argv, &program);
}
