// Threads, their wake-ups, signals, the open-file limit and the processor count.

#define _GNU_SOURCE

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

// MARK: - Wake-ups

int cl_wakeup_create(const cl_kernel *kernel) { return cl_eventfd_create(kernel); }

void cl_wakeup_signal(const cl_kernel *kernel, int fd) { cl_eventfd_signal(kernel, fd); }

bool cl_wakeup_wait(const cl_kernel *kernel, int fd, int timeout_ms) {
  // Already signalled, as is usual under load: one call in place of two.
  if (cl_eventfd_take(kernel, fd)) return true;
  uint64_t deadline_ns =
      timeout_ms > 0 ? cl_monotonic_ns(kernel) + (uint64_t)timeout_ms * 1000000 : 0;
  for (;;) {
    struct pollfd file = {.fd = fd, .events = POLLIN};
    int result = kernel->poll(kernel->context, &file, 1, timeout_ms);
    cl_check_arguments("poll", result);
    if ((file.revents & POLLNVAL) != 0) cl_fatal("poll", -EBADF);
    if (result > 0 && cl_eventfd_take(kernel, fd)) return true;
    // Interrupted, or failed with ENOMEM: the remaining time decides.
    if (timeout_ms > 0) timeout_ms = cl_ms_until(deadline_ns, cl_monotonic_ns(kernel));
    if (timeout_ms == 0) return cl_eventfd_take(kernel, fd);
  }
}

// MARK: - Threads

struct cl_thread {
  pthread_t thread;
  void (*body)(void *context);
  void *context;
  // Ends with a null byte: the kernel takes 15 bytes of a name.
  char name[16];
};

static void *run(void *argument) {
  cl_thread *thread = argument;
  // The thread names itself, so that its body never runs under the name of its creator.
  pthread_setname_np(pthread_self(), thread->name);
  thread->body(thread->context);
  return NULL;
}

/// A set with only the `position`th processor of those that this process may run on.
static int nth_processor(int position, cpu_set_t *chosen) {
  cpu_set_t allowed;
  if (position < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return -EINVAL;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu += 1) {
    if (!CPU_ISSET((size_t)cpu, &allowed)) continue;
    if (position == 0) {
      CPU_ZERO(chosen);
      CPU_SET((size_t)cpu, chosen);
      return 0;
    }
    position -= 1;
  }
  return -EINVAL;
}

static int start(cl_thread *thread, const pthread_attr_t *attributes) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS};
  for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i += 1) {
    sigdelset(&blocked, faults[i]);
  }
  // Block signals before the thread exists, so that it can never receive one.
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  int error = pthread_create(&thread->thread, attributes, run, thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) return -error;
  return 0;
}

int cl_thread_start(const char *name, int cpu, void (*body)(void *context), void *context,
                    cl_thread **thread) {
  *thread = NULL;
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return -error;
  int result = 0;
  if (cpu != -1) {
    cpu_set_t chosen;
    result = nth_processor(cpu, &chosen);
    if (result == 0) {
      result = -pthread_attr_setaffinity_np(&attributes, sizeof(chosen), &chosen);
    }
  }
  cl_thread *made = result == 0 ? calloc(1, sizeof(*made)) : NULL;
  if (made != NULL) {
    made->body = body;
    made->context = context;
    strncpy(made->name, name, sizeof(made->name) - 1);
    result = start(made, &attributes);
  } else if (result == 0) {
    result = -ENOMEM;
  }
  pthread_attr_destroy(&attributes);
  if (result < 0) {
    free(made);
    return result;
  }
  *thread = made;
  return 0;
}

void cl_thread_lower_priority(void) {
  const int low = 10;
  // On Linux the nice value is the thread's own, and 0 is the calling thread. To raise it needs no
  // permission, so this does not fail.
  if (getpriority(PRIO_PROCESS, 0) < low) setpriority(PRIO_PROCESS, 0, low);
}

void cl_thread_join(cl_thread *thread) {
  int error = pthread_join(thread->thread, NULL);
  if (error != 0) cl_fatal("pthread_join", -error);
  free(thread);
}

uintptr_t cl_thread_self(void) { return (uintptr_t)pthread_self(); }

int cl_cpu_count(void) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return CPU_COUNT(&allowed);
  // More processors than cpu_set_t can hold.
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (int)online : 1;
}

// MARK: - Signals

static sigset_t handled_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  return set;
}

void cl_signals_block(void) {
  sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) cl_fatal("signal", -errno);
}

int cl_signals_wait(int timeout_ms) {
  sigset_t set = handled_signals();
  const cl_kernel *kernel = cl_kernel_real();
  uint64_t deadline_ns =
      timeout_ms > 0 ? cl_monotonic_ns(kernel) + (uint64_t)timeout_ms * 1000000 : 0;
  for (;;) {
    struct timespec left = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
    int result = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &left);
    if (result > 0) return result;
    if (errno != EINTR) return 0;
    if (timeout_ms > 0) timeout_ms = cl_ms_until(deadline_ns, cl_monotonic_ns(kernel));
  }
}

// MARK: - Limits

size_t cl_open_file_count(void) {
  DIR *files = opendir("/proc/self/fd");
  if (files == NULL) return 0;
  size_t count = 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): only this thread uses the stream.
  while (readdir(files) != NULL) count += 1;
  closedir(files);
  // The directory itself, and its entries for itself and its parent.
  return count > 3 ? count - 3 : 0;
}

uint64_t cl_raise_open_files(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) cl_fatal("getrlimit", -errno);
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before;
}
