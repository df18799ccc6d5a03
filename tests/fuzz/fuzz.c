#include "tests/fuzz/fuzz.h"

#include "services/tables.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void fuzz_broken(const char *promise, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, promise);
    abort();
}

static void or_end(bool good, const char *what)
{
    if (good)
        return;
    perror(what);
    exit(70);
}

const char *fuzz_file(unsigned place, struct leat_span bytes)
{
    static int fds[4];
    static char paths[4][32];
    int *fd = &fds[place];
    if (*fd == 0) {
        *fd = memfd_create("fuzz", MFD_CLOEXEC);
        or_end(*fd > 0, "memfd_create");
        snprintf(paths[place], sizeof paths[place], "/proc/self/fd/%d", *fd);
    }
    or_end(ftruncate(*fd, 0) == 0, "ftruncate");
    or_end(pwrite(*fd, bytes.data, bytes.size, 0) == (ssize_t)bytes.size, "pwrite");
    return paths[place];
}

static char folder[32];

static void empty_folder(void)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static void remove_folder(void)
{
    empty_folder();
    rmdir(folder);
}

const char *fuzz_folder(void)
{
    if (folder[0]) {
        empty_folder();
        return folder;
    }
    strcpy(folder, "/dev/shm/leat-fuzz-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/leat-fuzz-XXXXXX");
        or_end(mkdtemp(folder) != NULL, "mkdtemp");
    }
    atexit(remove_folder);
    return folder;
}

struct leat_span fuzz_bytes(struct leat_span *input, size_t most)
{
    struct leat_span taken = {input->data, most < input->size ? most : input->size};
    input->data += taken.size;
    input->size -= taken.size;
    return taken;
}

uint8_t fuzz_u8(struct leat_span *input)
{
    struct leat_span one = fuzz_bytes(input, 1);
    return one.size ? *one.data : 0;
}

uint16_t fuzz_u16(struct leat_span *input)
{
    uint16_t value = 0;
    struct leat_span bytes = fuzz_bytes(input, sizeof value);
    if (bytes.size)
        memcpy(&value, bytes.data, bytes.size);
    return value;
}

uint64_t fuzz_u64(struct leat_span *input)
{
    uint64_t value = 0;
    struct leat_span bytes = fuzz_bytes(input, sizeof value);
    if (bytes.size)
        memcpy(&value, bytes.data, bytes.size);
    return value;
}

bool fuzz_same(struct leat_span a, struct leat_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

struct leat_span fuzz_text(const char *text)
{
    return (struct leat_span){(const uint8_t *)text, strlen(text)};
}

struct leat_span fuzz_packed(const msgpack_sbuffer *buffer)
{
    return (struct leat_span){(const uint8_t *)buffer->data, buffer->size};
}

const struct fuzz_target *fuzz_target_find(const char *name)
{
    const struct fuzz_target *target = fuzz_targets;
    while (target->name && strcmp(target->name, name) != 0)
        target++;
    return target->name ? target : NULL;
}

struct leat_settings *fuzz_settings_default(void)
{
    static struct leat_settings *settings;
    if (!settings)
        settings = leat_settings_new(leat_tables);
    return settings;
}

struct leat_flow_limits fuzz_limits(void)
{
    return leat_flow_limits_read(fuzz_settings_default());
}
