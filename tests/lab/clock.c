// Another time of day for one process: CLOCK_SECONDS more than it is.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t which, struct timespec *now) {
  int result = (int)syscall(SYS_clock_gettime, which, now);
  const char *seconds = getenv("CLOCK_SECONDS");
  if (result == 0 && which == CLOCK_REALTIME && seconds) now->tv_sec += atol(seconds);
  return result;
}
