#include "services/classify/logistic.h"
#include "services/classify/contrast.h"

#include <linear.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Where liblinear stops, relative to the gradient at the start: its own default for this loss. */
#define PRECISION 0.01

/* The bias of a regression that saw one class only. */
#define ONE_CLASS_BIAS 10.0f

struct crew {
    const struct logistic *self;
    const struct logistic_task *tasks;
    size_t count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    size_t next, done;
    unsigned running;
    bool failed;
};

static void be_quiet(const char *line)
{
    (void)line;
}

static bool left_out(const struct logistic *self, const struct logistic_task *task, size_t i)
{
    return task->fold < self->folds && i % self->folds == task->fold;
}

/* Balanced weights make both classes count the same, however rare one is. */
static struct parameter parameters(const struct logistic_task *task, size_t positive, size_t all,
                                   int classes[2], double weights[2])
{
    classes[0] = 1;
    classes[1] = -1;
    weights[0] = pow((double)all / (2 * (double)positive), task->balance);
    weights[1] = pow((double)all / (2 * (double)(all - positive)), task->balance);
    return (struct parameter){
        .solver_type = L2R_LR,
        .eps = PRECISION,
        .C = task->c,
        .nr_weight = 2,
        .weight_label = classes,
        .weight = weights,
    };
}

/* What one thread needs to solve a task; kept from task to task. */
struct bench {
    struct problem problem;
    struct feature_node *nodes; /* copies of the rows, to be scaled */
    double *scale, *work;
    float *weights;
};

static void bench_free(struct bench *bench)
{
    free(bench->problem.x);
    free(bench->problem.y);
    free(bench->nodes);
    free(bench->scale);
    free(bench->work);
    free(bench->weights);
}

static bool bench_make(struct bench *bench, const struct logistic *self)
{
    const struct vectors *vectors = self->vectors;
    *bench = (struct bench){.problem = {.n = (int)self->width, .bias = 1}};
    bench->problem.x = malloc(vectors->count * sizeof *bench->problem.x);
    bench->problem.y = malloc(vectors->count * sizeof *bench->problem.y);
    bench->nodes = malloc(vectors->size * sizeof *bench->nodes);
    bench->scale = malloc(self->width * sizeof *bench->scale);
    bench->work = malloc(2 * self->width * sizeof *bench->work);
    bench->weights = malloc(self->width * sizeof *bench->weights);
    return bench->problem.x && bench->problem.y && bench->nodes && bench->scale && bench->work &&
           bench->weights;
}

/* Replaces the rows by copies whose columns are scaled. */
static void scale_rows(struct bench *bench)
{
    struct feature_node *copy = bench->nodes;
    for (int i = 0; i < bench->problem.l; i++) {
        const struct feature_node *node = bench->problem.x[i];
        bench->problem.x[i] = copy;
        for (; node->index != -1; node++)
            *copy++ = (struct feature_node){.index = node->index,
                                            .value = node->value * bench->scale[node->index - 1]};
        *copy++ = *node;
    }
}

/* Writes the weights for unscaled columns, towards positive; the constant's is the last. */
static bool solve(struct bench *bench, const struct logistic_task *task, size_t positive,
                  float *weights)
{
    size_t width = (size_t)bench->problem.n;
    size_t all = (size_t)bench->problem.l;
    if (positive == 0 || positive == all) {
        for (size_t k = 0; k < width; k++)
            weights[k] = 0;
        weights[width - 1] = positive ? ONE_CLASS_BIAS : -ONE_CLASS_BIAS;
        return true;
    }
    contrast_weigh(&bench->problem, bench->scale, bench->work);
    scale_rows(bench);
    int classes[2];
    double class_weights[2];
    struct parameter parameter = parameters(task, positive, all, classes, class_weights);
    if (check_parameter(&bench->problem, &parameter))
        return false;
    struct model *model = train(&bench->problem, &parameter);
    if (!model)
        return false;
    double sign = model->label[0] == 1 ? 1 : -1;
    for (size_t k = 0; k < width; k++)
        weights[k] = (float)(sign * model->w[k] * bench->scale[k]);
    free_and_destroy_model(&model);
    return true;
}

static float dot(const struct feature_node *row, const float *weights)
{
    double sum = 0;
    for (; row->index != -1; row++)
        sum += row->value * (double)weights[row->index - 1];
    return (float)sum;
}

static bool run_task(const struct logistic *self, const struct logistic_task *task,
                     struct bench *bench)
{
    const struct vectors *vectors = self->vectors;
    struct problem *problem = &bench->problem;
    float *weights = task->weights ? task->weights : bench->weights;
    size_t positive = 0;
    problem->l = 0;
    for (size_t i = 0; i < vectors->count; i++) {
        if (left_out(self, task, i))
            continue;
        bool yes = (self->bits[i] & task->mask) != 0;
        positive += yes;
        problem->x[problem->l] = vectors->rows[i];
        problem->y[problem->l++] = yes ? 1 : -1;
    }
    if (!solve(bench, task, positive, weights))
        return false;
    for (size_t i = 0; task->held_out && i < vectors->count; i++)
        if (left_out(self, task, i))
            task->held_out[i] = dot(vectors->rows[i], weights);
    return true;
}

static void *work(void *context)
{
    struct crew *crew = context;
    struct bench bench;
    bool made = bench_make(&bench, crew->self);
    pthread_mutex_lock(&crew->lock);
    crew->failed = crew->failed || !made;
    while (crew->next < crew->count && !crew->failed) {
        const struct logistic_task *task = &crew->tasks[crew->next++];
        pthread_mutex_unlock(&crew->lock);
        bool good = run_task(crew->self, task, &bench);
        pthread_mutex_lock(&crew->lock);
        crew->done += good;
        crew->failed = crew->failed || !good;
        pthread_cond_signal(&crew->changed);
    }
    crew->running--;
    pthread_cond_signal(&crew->changed);
    pthread_mutex_unlock(&crew->lock);
    bench_free(&bench);
    return NULL;
}

/* Waits for the crew, and tells how far it is on every change and every second. */
static void watch(struct crew *crew, logistic_progress *progress, void *context)
{
    pthread_mutex_lock(&crew->lock);
    while (crew->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&crew->changed, &crew->lock, &until);
        size_t done = crew->done;
        if (!progress)
            continue;
        pthread_mutex_unlock(&crew->lock);
        progress(context, done, crew->count);
        pthread_mutex_lock(&crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
}

bool logistic_run(const struct logistic *self, const struct logistic_task *tasks, size_t count,
                  logistic_progress *progress, void *context, struct leat_error *err)
{
    struct crew crew = {.self = self, .tasks = tasks, .count = count};
    pthread_mutex_init(&crew.lock, NULL);
    pthread_cond_init(&crew.changed, NULL);
    set_print_string_function(be_quiet);
    pthread_t threads[LOGISTIC_THREADS_MOST];
    unsigned wanted = self->threads < LOGISTIC_THREADS_MOST ? self->threads : LOGISTIC_THREADS_MOST;
    unsigned started = 0;
    pthread_mutex_lock(&crew.lock);
    while (started < wanted && pthread_create(&threads[started], NULL, work, &crew) == 0)
        started++;
    crew.running = started;
    pthread_mutex_unlock(&crew.lock);
    watch(&crew, progress, context);
    for (unsigned t = 0; t < started; t++)
        pthread_join(threads[t], NULL);
    pthread_cond_destroy(&crew.changed);
    pthread_mutex_destroy(&crew.lock);
    if (started == 0)
        return leat_fail(err, "no thread could be started to train on");
    if (crew.failed)
        return leat_fail(err, "liblinear could not solve a regression: out of memory, or C or the "
                              "class weights are out of range");
    return true;
}
