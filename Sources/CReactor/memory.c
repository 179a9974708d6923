// The process's memory.

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "CReactor.h"

void cl_give_back_memory(void) { malloc_trim(0); }

int64_t cl_resident_bytes(void) {
  int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -errno;
  char text[128];
  ssize_t count = read(fd, text, sizeof(text) - 1);
  int error = errno;
  close(fd);
  if (count < 0) return -error;
  text[count] = '\0';
  // The second number: pages in memory.
  const char *second = strchr(text, ' ');
  if (second == NULL) return -EINVAL;
  char *end;
  errno = 0;
  long long pages = strtoll(second, &end, 10);
  if (errno != 0 || end == second || pages < 0) return -EINVAL;
  return pages * sysconf(_SC_PAGESIZE);
}
