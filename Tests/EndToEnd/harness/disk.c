// A disk with faults on demand, for a server that preloads this library.
//
// The directory DISK_FAULTS holds one file for each fault that is on:
//
//     hold-sync    a sync of the write-ahead log waits until the file is gone
//     refuse-log   a write to the write-ahead log fails as on a full disk
//     no-space     the file system reports that no block is free

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_on(const char *fault) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the server never changes its environment.
  const char *directory = getenv("DISK_FAULTS");
  char path[4096];
  if (directory == NULL) return false;
  (void)snprintf(path, sizeof path, "%s/%s", directory, fault);
  return access(path, F_OK) == 0;
}

static bool is_log(int fd) {
  char link[64], target[4096];
  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length < 4) return false;
  target[length] = '\0';
  return strcmp(target + length - 4, "-wal") == 0;
}

static void wait_for_sync(int fd) {
  while (is_log(fd) && is_on("hold-sync")) usleep(1000);
}

// glibc's names of the parameters are reserved.
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)

int fdatasync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  wait_for_sync(fd);
  return real(fd);
}

int fsync(int fd) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  wait_for_sync(fd);
  return real(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (real == NULL) {
    real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
  }
  if (is_log(fd) && is_on("refuse-log")) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, bytes, count, offset);
}

int statvfs(const char *path, struct statvfs *status) {
  static int (*real)(const char *, struct statvfs *);
  if (real == NULL) real = (int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs");
  int result = real(path, status);
  if (result == 0 && is_on("no-space")) status->f_bavail = 0;
  return result;
}

// NOLINTEND(readability-inconsistent-declaration-parameter-name)
