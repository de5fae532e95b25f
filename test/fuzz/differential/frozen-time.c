/* Loaded into redis-server with LD_PRELOAD: its wall clock is the number of microseconds in the file that FROZEN_TIME
 * names, so that a test decides what time it is. The monotonic clock stays the system's: event loops wait by it. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *now;

__attribute__((constructor)) static void open_clock(void) {
  const char *path = getenv("FROZEN_TIME");
  int fd = path == NULL ? -1 : open(path, O_RDONLY);
  if (fd == -1) return;
  void *mapped = mmap(NULL, sizeof *now, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) now = mapped;
  close(fd);
}

static int64_t microseconds(void) {
  if (now != NULL) return *now;
  struct timespec ts;
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);
  return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  (void)zone;
  int64_t us = microseconds();
  tv->tv_sec = us / 1000000;
  tv->tv_usec = us % 1000000;
  return 0;
}

time_t time(time_t *out) {
  time_t seconds = microseconds() / 1000000;
  if (out != NULL) *out = seconds;
  return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *ts) {
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return syscall(SYS_clock_gettime, clock, ts);
  int64_t us = microseconds();
  ts->tv_sec = us / 1000000;
  ts->tv_nsec = us % 1000000 * 1000;
  return 0;
}
