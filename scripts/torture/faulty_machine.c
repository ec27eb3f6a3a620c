// A machine that is not to be relied on: a library for LD_PRELOAD that lets calls to the disk fail under one folder, and
// sets the wall clock of the process. Linux, glibc.
//
//     cc -shared -fPIC -O2 -o faulty_machine.so faulty_machine.c -ldl
//     FAULTY_CONTROL=/tmp/x/control FAULTY_FOLDER=/tmp/x/data LD_PRELOAD=/tmp/x/faulty_machine.so rocket serve …
//
// It is steered while the process runs, by the control file, which is mapped into memory: `struct control` below, as
// faulty_machine.py writes it. A call that nothing is wanted of costs one load. Files are known by their path, which is
// asked for only while something is wanted: FAULTY_FOLDER is the beginning of the paths that are meant, and those that
// end in ".log", sockets and pipes are never touched. What was done is counted, so that a test that did nothing fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// MARK: the control file; faulty_machine.py has the same numbers

enum kind { WRITE, SYNC, READ, TRUNCATE, OPEN, RENAME, ALLOCATE, FOLDER, UNLINK, KINDS };

enum mode {
    OFF,
    ALWAYS,   // each call fails
    NTH,      // `number` calls pass, one fails, and the rule is off
    FROM,     // `number` calls pass, and all that follow fail
    CHANCE,   // each call fails with a chance of `number` in 65536
};

// Kinds of files, as bits.
enum { DATABASE = 1, WAL = 2, SHM = 4, OTHER = 8 };

struct rule {
    _Atomic int32_t mode;
    _Atomic int32_t error;     // the errno
    _Atomic int32_t files;     // which kinds of files, as bits
    _Atomic int32_t is_short;  // writes: half of the bytes are written, and what follows on the file fails
    _Atomic int64_t number;
    _Atomic int64_t injected;
};

struct control {
    _Atomic int32_t is_armed;  // whether anything below is wanted of the disk
    _Atomic int32_t is_mapped; // set by the library
    _Atomic int64_t clock_offset;  // nanoseconds, added to the wall clock
    _Atomic int64_t clock_reads;   // while it is not nought
    _Atomic int64_t room;          // bytes by which files may still grow; below nought there is no bound
    _Atomic int64_t refused_growth;
    struct rule rules[KINDS];
};

static struct control *control;
static const char *folder;
static size_t folder_length;

#define REAL(name) ((__typeof__(&name))real_##name)
#define FIND(name) if (!real_##name) real_##name = dlsym(RTLD_NEXT, #name)

static void *real_write, *real_pwrite, *real_pwrite64, *real_writev, *real_read, *real_pread, *real_pread64, *real_fsync,
    *real_fdatasync, *real_ftruncate, *real_ftruncate64, *real_fallocate, *real_fallocate64, *real_posix_fallocate,
    *real_posix_fallocate64, *real_open, *real_open64, *real_openat, *real_openat64, *real_rename, *real_renameat,
    *real_renameat2, *real_mkdir, *real_unlink, *real_link, *real_clock_gettime, *real_gettimeofday,
    *real_timespec_get, *real_pthread_cond_timedwait, *real_pthread_mutex_timedlock, *real_sem_timedwait;

__attribute__((constructor(101))) static void begin(void) {
    FIND(open);
    FIND(clock_gettime);
    const char *path = getenv("FAULTY_CONTROL");
    folder = getenv("FAULTY_FOLDER");
    if (!path) return;
    if (folder) folder_length = strlen(folder);
    int file = REAL(open)(path, O_RDWR | O_CLOEXEC);
    void *place = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place == MAP_FAILED) {
        // A test that goes on without its faults would find nothing.
        dprintf(2, "faulty_machine: %s: %s\n", path, strerror(errno));
        _exit(70);
    }
    close(file);
    control = place;
    atomic_store(&control->is_mapped, 1);
}

// MARK: which calls

static int is_armed(void) { return control && folder && atomic_load_explicit(&control->is_armed, memory_order_acquire); }

static int ends_with(const char *text, size_t length, const char *end) {
    size_t count = strlen(end);
    return length >= count && !memcmp(text + length - count, end, count);
}

// The bit of the file's kind, or 0 for one that is left alone.
static int kind_of_path(const char *path, size_t length) {
    if (length < folder_length || memcmp(path, folder, folder_length)) return 0;
    if (ends_with(path, length, ".log")) return 0;
    if (ends_with(path, length, "-wal")) return WAL;
    if (ends_with(path, length, "-shm")) return SHM;
    return ends_with(path, length, ".db") ? DATABASE : OTHER;
}

static int kind_of_file(int file) {
    char link[64], path[PATH_MAX];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path);
    errno = saved;
    return length > 0 ? kind_of_path(path, (size_t)length) : 0;
}

static int kind_at(int at, const char *path) {
    if (path[0] == '/') return kind_of_path(path, strlen(path));
    char full[PATH_MAX * 2], link[64];
    int saved = errno;
    snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, full, PATH_MAX);
    errno = saved;
    if (length <= 0) return 0;
    int rest = snprintf(full + length, sizeof full - (size_t)length, "/%s", path);
    return rest > 0 ? kind_of_path(full, (size_t)(length + rest)) : 0;
}

static uint32_t chance(void) {
    static _Thread_local uint64_t state;
    if (!state) state = (uint64_t)(uintptr_t)&state ^ (uint64_t)getpid() << 32 ^ 0x9E3779B97F4A7C15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 24) & 0xFFFF;
}

// Whether a call of a kind on such a file fails now; then errno is set.
static int fails(enum kind kind, int files) {
    struct rule *rule = &control->rules[kind];
    int mode = atomic_load(&rule->mode);
    if (mode == OFF || !(files & atomic_load(&rule->files))) return 0;
    switch (mode) {
    case NTH: {
        if (atomic_fetch_sub(&rule->number, 1) != 0) return 0;
        atomic_store(&rule->mode, OFF);
        break;
    }
    case FROM:
        if (atomic_fetch_sub(&rule->number, 1) > 0) return 0;
        atomic_store(&rule->number, 0);
        break;
    case CHANCE:
        if (chance() >= (uint32_t)atomic_load(&rule->number)) return 0;
        break;
    }
    atomic_fetch_add(&rule->injected, 1);
    errno = atomic_load(&rule->error);
    return 1;
}

static int fails_on_file(enum kind kind, int file) {
    if (!is_armed() || atomic_load(&control->rules[kind].mode) == OFF) return 0;
    int files = kind_of_file(file);
    return files && fails(kind, files);
}

static int fails_at(enum kind kind, int at, const char *path) {
    if (!is_armed() || atomic_load(&control->rules[kind].mode) == OFF) return 0;
    int files = kind_at(at, path);
    return files && fails(kind, files);
}

// MARK: writing

// How many of `count` bytes the machine takes at an offset (below nought: at the file's own place); -1 where none, with
// errno. A disk that is full takes what overwrites, as the blocks are there.
static ssize_t allowed(int file, size_t count, off_t offset) {
    struct rule *rule = &control->rules[WRITE];
    int64_t room = atomic_load(&control->room);
    if (atomic_load(&rule->mode) == OFF && room < 0) return (ssize_t)count;
    int files = kind_of_file(file);
    if (!files) return (ssize_t)count;
    if (fails(WRITE, files)) {
        if (!atomic_load(&rule->is_short) || count < 2) return -1;
        // The rest of the bytes, which the caller sends next, is refused: the disk is full from here on.
        atomic_store(&rule->number, 0);
        atomic_store(&rule->is_short, 0);
        atomic_store(&rule->mode, FROM);
        return (ssize_t)(count / 2);
    }
    if (room < 0) return (ssize_t)count;
    struct stat status;
    if (fstat(file, &status) || !S_ISREG(status.st_mode)) return (ssize_t)count;
    if (offset < 0) {
        int flags = fcntl(file, F_GETFL);
        offset = flags >= 0 && flags & O_APPEND ? status.st_size : lseek(file, 0, SEEK_CUR);
    }
    off_t end = offset + (off_t)count;
    if (end <= status.st_size) return (ssize_t)count;
    int64_t growth = end - (status.st_size > offset ? status.st_size : offset);
    int64_t before = atomic_fetch_sub(&control->room, growth);
    if (before >= growth) return (ssize_t)count;
    // `room` stays at nought: below it there would be no bound.
    atomic_store(&control->room, 0);
    atomic_fetch_add(&control->refused_growth, 1);
    int64_t fitting = (int64_t)count - growth + (before > 0 ? before : 0);
    if (fitting > 0) return (ssize_t)fitting;
    errno = ENOSPC;
    return -1;
}

ssize_t write(int file, const void *bytes, size_t count) {
    FIND(write);
    ssize_t taken = is_armed() ? allowed(file, count, -1) : (ssize_t)count;
    return taken < 0 ? -1 : REAL(write)(file, bytes, (size_t)taken);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    FIND(pwrite);
    ssize_t taken = is_armed() ? allowed(file, count, offset) : (ssize_t)count;
    return taken < 0 ? -1 : REAL(pwrite)(file, bytes, (size_t)taken, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    FIND(pwrite64);
    ssize_t taken = is_armed() ? allowed(file, count, (off_t)offset) : (ssize_t)count;
    return taken < 0 ? -1 : REAL(pwrite64)(file, bytes, (size_t)taken, offset);
}

ssize_t writev(int file, const struct iovec *pieces, int count) {
    FIND(writev);
    // Nothing that is kept is written in this way; what is, must not go by unseen.
    if (is_armed() && fails_on_file(WRITE, file)) return -1;
    return REAL(writev)(file, pieces, count);
}

// MARK: reading

ssize_t read(int file, void *bytes, size_t count) {
    FIND(read);
    return fails_on_file(READ, file) ? -1 : REAL(read)(file, bytes, count);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    FIND(pread);
    return fails_on_file(READ, file) ? -1 : REAL(pread)(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
    FIND(pread64);
    return fails_on_file(READ, file) ? -1 : REAL(pread64)(file, bytes, count, offset);
}

// MARK: the rest of the disk

int fsync(int file) {
    FIND(fsync);
    return fails_on_file(SYNC, file) ? -1 : REAL(fsync)(file);
}

int fdatasync(int file) {
    FIND(fdatasync);
    return fails_on_file(SYNC, file) ? -1 : REAL(fdatasync)(file);
}

int ftruncate(int file, off_t length) {
    FIND(ftruncate);
    return fails_on_file(TRUNCATE, file) ? -1 : REAL(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
    FIND(ftruncate64);
    return fails_on_file(TRUNCATE, file) ? -1 : REAL(ftruncate64)(file, length);
}

int fallocate(int file, int mode, off_t offset, off_t length) {
    FIND(fallocate);
    return fails_on_file(ALLOCATE, file) ? -1 : REAL(fallocate)(file, mode, offset, length);
}

int fallocate64(int file, int mode, off64_t offset, off64_t length) {
    FIND(fallocate64);
    return fails_on_file(ALLOCATE, file) ? -1 : REAL(fallocate64)(file, mode, offset, length);
}

int posix_fallocate(int file, off_t offset, off_t length) {
    FIND(posix_fallocate);
    return fails_on_file(ALLOCATE, file) ? errno : REAL(posix_fallocate)(file, offset, length);
}

int posix_fallocate64(int file, off64_t offset, off64_t length) {
    FIND(posix_fallocate64);
    return fails_on_file(ALLOCATE, file) ? errno : REAL(posix_fallocate64)(file, offset, length);
}

#define MODE(flags)                                                                                                            \
    mode_t mode = 0;                                                                                                           \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                                   \
        va_list rest;                                                                                                          \
        va_start(rest, flags);                                                                                                 \
        mode = va_arg(rest, mode_t);                                                                                           \
        va_end(rest);                                                                                                          \
    }

// A new file needs room for itself.
static int is_refused(int at, const char *path, int flags) {
    if (!is_armed()) return 0;
    if (fails_at(OPEN, at, path)) return 1;
    if (!(flags & O_CREAT) || atomic_load(&control->room) != 0 || !kind_at(at, path)) return 0;
    if (!faccessat(at, path, F_OK, 0)) return 0;
    atomic_fetch_add(&control->refused_growth, 1);
    errno = ENOSPC;
    return 1;
}

int open(const char *path, int flags, ...) {
    FIND(open);
    MODE(flags)
    return is_refused(AT_FDCWD, path, flags) ? -1 : REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    FIND(open64);
    MODE(flags)
    return is_refused(AT_FDCWD, path, flags) ? -1 : REAL(open64)(path, flags, mode);
}

int openat(int at, const char *path, int flags, ...) {
    FIND(openat);
    MODE(flags)
    return is_refused(at, path, flags) ? -1 : REAL(openat)(at, path, flags, mode);
}

int openat64(int at, const char *path, int flags, ...) {
    FIND(openat64);
    MODE(flags)
    return is_refused(at, path, flags) ? -1 : REAL(openat64)(at, path, flags, mode);
}

int rename(const char *old, const char *new) {
    FIND(rename);
    return fails_at(RENAME, AT_FDCWD, new) ? -1 : REAL(rename)(old, new);
}

int renameat(int from, const char *old, int to, const char *new) {
    FIND(renameat);
    return fails_at(RENAME, to, new) ? -1 : REAL(renameat)(from, old, to, new);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    FIND(renameat2);
    return fails_at(RENAME, to, new) ? -1 : REAL(renameat2)(from, old, to, new, flags);
}

int link(const char *old, const char *new) {
    FIND(link);
    return fails_at(RENAME, AT_FDCWD, new) ? -1 : REAL(link)(old, new);
}

int mkdir(const char *path, mode_t mode) {
    FIND(mkdir);
    if (fails_at(FOLDER, AT_FDCWD, path)) return -1;
    if (is_armed() && atomic_load(&control->room) == 0 && kind_at(AT_FDCWD, path) && access(path, F_OK)) {
        atomic_fetch_add(&control->refused_growth, 1);
        errno = ENOSPC;
        return -1;
    }
    return REAL(mkdir)(path, mode);
}

int unlink(const char *path) {
    FIND(unlink);
    return fails_at(UNLINK, AT_FDCWD, path) ? -1 : REAL(unlink)(path);
}

// MARK: the clock

static int64_t offset(void) { return control ? atomic_load_explicit(&control->clock_offset, memory_order_relaxed) : 0; }

static void add(struct timespec *time, int64_t nanoseconds) {
    int64_t sum = (int64_t)time->tv_nsec + nanoseconds % 1000000000;
    time->tv_sec += nanoseconds / 1000000000 + (sum < 0 ? -1 : sum / 1000000000);
    time->tv_nsec = sum < 0 ? sum + 1000000000 : sum % 1000000000;
}

static void set(struct timespec *time) {
    int64_t by = offset();
    if (!by) return;
    atomic_fetch_add_explicit(&control->clock_reads, 1, memory_order_relaxed);
    add(time, by);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    FIND(clock_gettime);
    int result = REAL(clock_gettime)(clock, time);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)) set(time);
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    FIND(gettimeofday);
    int result = ((int (*)(struct timeval *, void *))real_gettimeofday)(time, zone);
    if (result) return result;
    struct timespec exact = {time->tv_sec, time->tv_usec * 1000};
    set(&exact);
    *time = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    FIND(timespec_get);
    int result = REAL(timespec_get)(now, base);
    if (result == TIME_UTC) set(now);
    return result;
}

// Waits until an instant of the wall clock: the kernel knows the true one. Whether an instant is one of the wall clock or of
// the steady one is told by which of the two it is nearer to.
static const struct timespec *true_instant(const struct timespec *instant, struct timespec *place) {
    int64_t by = offset();
    if (!by) return instant;
    struct timespec wall, steady;
    FIND(clock_gettime);
    REAL(clock_gettime)(CLOCK_MONOTONIC, &steady);
    clock_gettime(CLOCK_REALTIME, &wall);
    if (llabs((long long)instant->tv_sec - steady.tv_sec) <= llabs((long long)instant->tv_sec - wall.tv_sec)) return instant;
    *place = *instant;
    add(place, -by);
    return place;
}

int pthread_cond_timedwait(
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until
) {
    // Without its version the linker may give the old one, which has other conditions.
    if (!real_pthread_cond_timedwait)
        real_pthread_cond_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    FIND(pthread_cond_timedwait);
    struct timespec place;
    return REAL(pthread_cond_timedwait)(condition, mutex, true_instant(until, &place));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    FIND(pthread_mutex_timedlock);
    struct timespec place;
    return REAL(pthread_mutex_timedlock)(mutex, true_instant(until, &place));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    FIND(sem_timedwait);
    struct timespec place;
    return REAL(sem_timedwait)(semaphore, true_instant(until, &place));
}
