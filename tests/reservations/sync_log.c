/* Preloaded into a Valkey: notes, in order, what it does to files and to sockets, one letter each, in the file that
   SYNC_LOG names. A: bytes written to a regular file (its log goes elsewhere, so this is the append-only file).
   F: a sync that came back without error. S: bytes written to a socket, which are answers. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;

__attribute__((constructor)) static void begin(void) {
    log_fd = open(getenv("SYNC_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
}

static void note(char letter) {
    if (log_fd >= 0) syscall(SYS_write, log_fd, &letter, 1);
}

static void note_write(int fd) {
    struct stat about;
    if (fd <= 2 || fstat(fd, &about) != 0) return;
    if (S_ISREG(about.st_mode)) note('A');
    if (S_ISSOCK(about.st_mode)) note('S');
}

ssize_t write(int fd, const void *bytes, size_t size) {
    note_write(fd);
    return syscall(SYS_write, fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    note_write(fd);
    return syscall(SYS_writev, fd, parts, count);
}

int fdatasync(int fd) {
    int failed = syscall(SYS_fdatasync, fd);
    if (!failed) note('F');
    return failed;
}

int fsync(int fd) {
    int failed = syscall(SYS_fsync, fd);
    if (!failed) note('F');
    return failed;
}
