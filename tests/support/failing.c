/* Makes calls on the files of a folder fail with EIO, as calls on a broken disk do. Loaded by LD_PRELOAD.
 *
 * FAILING_FOLDER: the folder. FAILING_CALLS: the kinds of calls that are counted: w (write), s (sync), or both.
 * FAILING_FROM: the first counted call that fails, from 1; 0 if none fails.
 * FAILING_COUNT: how many calls fail from there on; 0 if all that follow fail.
 * FAILING_LOG: the file to which the number of counted calls is written when the process ends.
 * FAILING_BLOCK: the offset of a block of 4096 bytes in the file db that cannot be read until the program writes it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int rewritten;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : 0;
}

/* Returns whether the call is on a file of the folder. If so, writes the file's path to `path`. */
static int concerns(int fd, char *path, size_t size) {
    const char *folder = getenv("FAILING_FOLDER");
    char link[64];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = folder ? readlink(link, path, size - 1) : -1;
    errno = kept;
    if (len < 0) return 0;
    path[len] = 0;
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int touches_block(int fd, off64_t at, size_t len) {
    char path[4096];
    if (!getenv("FAILING_BLOCK") || !concerns(fd, path, sizeof path)) return 0;
    const char *name = strrchr(path, '/');
    if (!name || strcmp(name, "/db") != 0) return 0;
    if (at < 0) at = lseek64(fd, 0, SEEK_CUR);
    long block = number("FAILING_BLOCK");
    return at < block + 4096 && at + (off64_t)len > block;
}

static int fails(int fd, char kind, off64_t at, size_t len) {
    char path[4096];
    if (kind == 'r') {
        if (atomic_load(&rewritten) || !touches_block(fd, at, len)) return 0;
        errno = EIO;
        return 1;
    }
    /* From now on, reads return the written data, which the system has in memory. */
    if (kind == 'w' && touches_block(fd, at, len)) atomic_store(&rewritten, 1);
    const char *kinds = getenv("FAILING_CALLS");
    if (!kinds || !strchr(kinds, kind) || !concerns(fd, path, sizeof path)) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    long from = number("FAILING_FROM"), count = number("FAILING_COUNT");
    if (from == 0 || call < from || (count != 0 && call >= from + count)) return 0;
    errno = EIO;
    return 1;
}

__attribute__((destructor)) static void tell(void) {
    const char *log = getenv("FAILING_LOG");
    FILE *file = log ? fopen(log, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

#define REPLACE(kind, result, name, parameters, arguments, at, len)         \
    result name parameters {                                                \
        static result(*real) parameters;                                    \
        if (!real) real = (result(*) parameters)dlsym(RTLD_NEXT, #name);    \
        return fails(fd, kind, at, len) ? -1 : real arguments;              \
    }

REPLACE('r', ssize_t, read, (int fd, void *to, size_t len), (fd, to, len), -1, len)
REPLACE('r', ssize_t, pread, (int fd, void *to, size_t len, off_t at), (fd, to, len, at), at, len)
REPLACE('r', ssize_t, pread64, (int fd, void *to, size_t len, off64_t at), (fd, to, len, at), at, len)
REPLACE('w', ssize_t, write, (int fd, const void *from, size_t len), (fd, from, len), -1, len)
REPLACE('w', ssize_t, pwrite, (int fd, const void *from, size_t len, off_t at), (fd, from, len, at), at, len)
REPLACE('w', ssize_t, pwrite64, (int fd, const void *from, size_t len, off64_t at), (fd, from, len, at), at, len)
REPLACE('w', int, ftruncate, (int fd, off_t len), (fd, len), 0, 0)
REPLACE('w', int, ftruncate64, (int fd, off64_t len), (fd, len), 0, 0)
REPLACE('s', int, fsync, (int fd), (fd), 0, 0)
REPLACE('s', int, fdatasync, (int fd), (fd), 0, 0)
