/* A disk that fails on command, for the data servers of these runs: preloaded, it stands in front of fsync and
   fdatasync. The file that CHAOS_DISK names says what happens: "delay MS", or "error"; without it, nothing. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int fails(void) {
    const char *path = getenv("CHAOS_DISK");
    FILE *file = path ? fopen(path, "re") : NULL;
    char word[16] = "";
    long ms = 0;
    if (!file)
        return 0;
    if (fscanf(file, "%15s %ld", word, &ms) < 1)
        word[0] = 0;
    fclose(file);
    if (!strcmp(word, "delay")) {
        struct timespec left = {ms / 1000, ms % 1000 * 1000000};
        while (nanosleep(&left, &left) && errno == EINTR)
            ;
    }
    return !strcmp(word, "error");
}

#define STANDS_BEFORE(name)                                              \
    int name(int descriptor) {                                           \
        int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, #name);        \
        if (fails()) {                                                   \
            errno = EIO;                                                 \
            return -1;                                                   \
        }                                                                \
        return real(descriptor);                                         \
    }

STANDS_BEFORE(fsync)
STANDS_BEFORE(fdatasync)
