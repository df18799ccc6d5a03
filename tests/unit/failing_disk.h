/* A disk that fails on request, for the journal's file: calls of these come here first, LMDB's too,
 * as they are another library's symbols of the same name. */
#ifndef TESTS_UNIT_FAILING_DISK_H
#define TESTS_UNIT_FAILING_DISK_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    int data;  /* errno for page writes; 0: none */
    int meta;  /* errno for writes of a meta page */
    bool lie;  /* the first of these is done all the same, so that the transaction is on disk */
    int flush; /* errno for fdatasync */
    int room;  /* errno for fallocate */
} fault;

/* The labels are what LMDB and the journal were linked to, whatever this file's size of off_t makes
 * of the names.
 */
ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t at) __asm__("pwrite");
ssize_t failing_writev(int fd, const struct iovec *parts, int count) __asm__("writev");
int failing_fdatasync(int fd) __asm__("fdatasync");
int failing_fallocate(int fd, int mode, off_t at, off_t size) __asm__("fallocate64");

ssize_t failing_pwrite(int fd, const void *bytes, size_t size, off_t at)
{
    bool meta = size < 512 && at < 65536;
    if (meta ? fault.meta : fault.data) {
        if (meta && fault.lie)
            fault.lie = syscall(SYS_pwrite64, fd, bytes, size, at) < 0;
        errno = meta ? fault.meta : fault.data;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, size, at);
}

ssize_t failing_writev(int fd, const struct iovec *parts, int count)
{
    if (fault.data) {
        errno = fault.data;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

int failing_fdatasync(int fd)
{
    if (fault.flush) {
        errno = fault.flush;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int failing_fallocate(int fd, int mode, off_t at, off_t size)
{
    if (fault.room) {
        errno = fault.room;
        return -1;
    }
    return (int)syscall(SYS_fallocate, fd, mode, at, size);
}

static void disk_works(void)
{
    memset(&fault, 0, sizeof fault);
}

#endif
