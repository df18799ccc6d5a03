#include "services/runtime/child_process.h"

#include "services/runtime/child_pipe.h"
#include "services/runtime/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum {
    PIPE_BUFFER = 512 << 10, /* a batch or two without waking each other in between */
    SAFE_FD = 16,            /* above what the child's descriptors are put to */
};

static int spawn(const char *program, const char *stage, int pipe, int metrics, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, defaults;
    char *const argv[] = {(char *)program, "--child", (char *)stage, NULL};

    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, pipe, CHILD_FD_PIPE);
    posix_spawn_file_actions_adddup2(&files, metrics, CHILD_FD_METRICS);
    posix_spawn_file_actions_addclosefrom_np(&files, CHILD_FD_METRICS + 1);

    /* Our threads block the signals that the main thread waits for. */
    posix_spawnattr_init(&attr);
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    int code = posix_spawn(pid, "/proc/self/exe", &files, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return code;
}

bool child_process_start(const char *program, const char *stage, int metrics_fd, pid_t *pid,
                         int *pipe, struct leat_error *err)
{
    int ends[2], buffer = PIPE_BUFFER;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return leat_fail(err, "cannot make a socket pair for a child: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    /* Numbers at which one dup2 cannot overwrite what the other still needs. */
    int theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, SAFE_FD);
    int metrics = fcntl(metrics_fd, F_DUPFD_CLOEXEC, SAFE_FD);
    int code = theirs < 0 || metrics < 0 ? errno : spawn(program, stage, theirs, metrics, pid);
    close(ends[1]);
    if (theirs >= 0)
        close(theirs);
    if (metrics >= 0)
        close(metrics);
    if (code == 0) {
        *pipe = ends[0];
        return true;
    }
    close(ends[0]);
    return leat_fail(err, "cannot start a child process: %s", strerror(code));
}

/* True once it has ended. */
static bool process_wait(pid_t pid, int64_t wait_ms, int *status)
{
    int64_t until = leat_monotonic_us() + wait_ms * 1000;
    for (;;) {
        pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid || (got < 0 && errno != EINTR))
            return true;
        if (leat_monotonic_us() >= until)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

void child_process_end(pid_t pid, int64_t wait_ms, char *how, size_t size)
{
    int status = 0;
    if (!process_wait(pid, wait_ms, &status)) {
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    if (WIFSIGNALED(status))
        snprintf(how, size, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(how, size, "exit status %d", WEXITSTATUS(status));
}
