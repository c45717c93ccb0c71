/* A library that tests preload into a server to make writes of database files fail or hang.
 *
 * Each call reads the fault from the file that DISK_FAULTS names:
 *
 *     OPERATION EFFECT SKIP COUNT
 *
 * OPERATION is "write" (pwrite) or "sync" (fsync, fdatasync). EFFECT is an errno, or "hang:" and
 * milliseconds. The first SKIP calls succeed, and the next COUNT calls have the effect. Without a
 * file, or with an empty one, all calls succeed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char current_fault[128];
static long calls;

static int is_of_database(int descriptor)
{
    char link[64], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, ".db") != NULL && strstr(path, "-shm") == NULL;
}

/* The errno with which the call must fail, or 0. */
static int effect_on(const char *operation, int descriptor)
{
    const char *file = getenv("DISK_FAULTS");
    if (!file || !is_of_database(descriptor))
        return 0;
    char text[128] = "";
    FILE *control = fopen(file, "re");
    if (!control)
        return 0;
    if (!fgets(text, sizeof text, control))
        text[0] = 0;
    fclose(control);

    char faulty_operation[16], effect[32];
    long skip, count;
    if (sscanf(text, "%15s %31s %ld %ld", faulty_operation, effect, &skip, &count) != 4 ||
        strcmp(faulty_operation, operation) != 0)
        return 0;
    pthread_mutex_lock(&lock);
    if (strcmp(current_fault, text) != 0) {
        strcpy(current_fault, text);
        calls = 0;
    }
    long number = calls++;
    pthread_mutex_unlock(&lock);
    if (number < skip || number >= skip + count)
        return 0;
    if (strncmp(effect, "hang:", 5) == 0) {
        long milliseconds = atol(effect + 5);
        struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
        nanosleep(&time, NULL);
        return 0;
    }
    return atoi(effect);
}

#define NEXT(name) __typeof__(&name) next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define FAIL_IF(operation, descriptor)                                                             \
    do {                                                                                           \
        int error = effect_on(operation, descriptor);                                              \
        if (error) {                                                                               \
            errno = error;                                                                         \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset)
{
    NEXT(pwrite);
    FAIL_IF("write", descriptor);
    return next(descriptor, bytes, length, offset);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset)
{
    NEXT(pwrite64);
    FAIL_IF("write", descriptor);
    return next(descriptor, bytes, length, offset);
}

int fsync(int descriptor)
{
    NEXT(fsync);
    FAIL_IF("sync", descriptor);
    return next(descriptor);
}

int fdatasync(int descriptor)
{
    NEXT(fdatasync);
    FAIL_IF("sync", descriptor);
    return next(descriptor);
}
