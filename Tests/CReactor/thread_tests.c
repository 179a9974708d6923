// Threads, signals, clocks, random bytes, limits.

#define _GNU_SOURCE

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

// MARK: - Threads

typedef struct report {
  char name[16];
  cpu_set_t processors;
  sigset_t blocked;
  bool ran;
} report;

static void write_report(void *context) {
  report *report = context;
  pthread_getname_np(pthread_self(), report->name, sizeof(report->name));
  pthread_getaffinity_np(pthread_self(), sizeof(report->processors), &report->processors);
  pthread_sigmask(SIG_SETMASK, NULL, &report->blocked);
  report->ran = true;
}

TEST(threads, "a thread runs on its processor, with outside signals blocked, and is joined") {
  cpu_set_t allowed;
  CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  CHECK_EQUAL(cl_cpu_count(), CPU_COUNT(&allowed));
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, NULL, &before);
  for (int cpu = -1; cpu < cl_cpu_count(); cpu += 1) {
    report report = {.ran = false};
    cl_thread *thread;
    CHECK_EQUAL(cl_thread_start("shard", cpu, write_report, &report, &thread), 0);
    cl_thread_join(thread);
    CHECK(report.ran);
    CHECK_EQUAL(CPU_COUNT(&report.processors), cpu == -1 ? cl_cpu_count() : 1);
    cpu_set_t outside;
    CPU_AND(&outside, &report.processors, &allowed);
    CHECK(CPU_EQUAL(&outside, &report.processors));
    const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD, SIGPIPE, SIGALRM};
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i += 1) {
      CHECK_EQUAL(sigismember(&report.blocked, blocked[i]), 1);
    }
    const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i += 1) {
      CHECK_EQUAL(sigismember(&report.blocked, open[i]), 0);
    }
  }
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  for (int signal = 1; signal < 32; signal += 1) {
    CHECK_EQUAL(sigismember(&before, signal), sigismember(&after, signal));
  }
}

/// The parent may not have set the name yet when the thread reads it, so the thread waits for `go`.
typedef struct named {
  int go;
  char name[16];
} named;

static void read_name(void *context) {
  named *named = context;
  cl_wakeup_wait(cl_kernel_real(), named->go, -1);
  pthread_getname_np(pthread_self(), named->name, sizeof(named->name));
}

TEST(thread_names, "a thread has its name, and a long name is cut") {
  const char *names[][2] = {{"journal", "journal"},
                            {"exactly-fifteen", "exactly-fifteen"},
                            {"a name that is too long", "a name that is "}};
  for (size_t i = 0; i < 3; i += 1) {
    named named = {.go = cl_wakeup_create(cl_kernel_real())};
    cl_thread *thread;
    CHECK_EQUAL(cl_thread_start(names[i][0], -1, read_name, &named, &thread), 0);
    cl_wakeup_signal(cl_kernel_real(), named.go);
    cl_thread_join(thread);
    CHECK(strcmp(named.name, names[i][1]) == 0);
    cl_close(cl_kernel_real(), named.go);
  }
}

static void lower_priority(void *context) {
  cl_thread_lower_priority();
  *(int *)context = getpriority(PRIO_PROCESS, 0);
}

TEST(thread_priority, "a thread lowers its own priority and no other's") {
  int before = getpriority(PRIO_PROCESS, 0);
  int priority = -1;
  cl_thread *thread;
  CHECK_EQUAL(cl_thread_start("low", -1, lower_priority, &priority, &thread), 0);
  cl_thread_join(thread);
  CHECK_EQUAL(priority, before > 10 ? before : 10);
  CHECK_EQUAL(getpriority(PRIO_PROCESS, 0), before);
}

TEST(no_such_processor, "a thread for a processor that does not exist is rejected") {
  report report = {.ran = false};
  cl_thread *thread = (cl_thread *)&report;
  CHECK_EQUAL(cl_thread_start("x", cl_cpu_count(), write_report, &report, &thread), -EINVAL);
  CHECK(thread == NULL);
  CHECK_EQUAL(cl_thread_start("x", -2, write_report, &report, &thread), -EINVAL);
  CHECK(!report.ran);
}

// MARK: - Signals and limits

static void take_signals(void) {
  cl_signals_block();
  CHECK_EQUAL(cl_signals_wait(0), 0);
  const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
  for (size_t i = 0; i < 4; i += 1) {
    CHECK(kill(getpid(), signals[i]) == 0);
    CHECK_EQUAL(cl_signals_wait(-1), signals[i]);
    CHECK(kill(getpid(), signals[i]) == 0);
    CHECK_EQUAL(cl_signals_wait(10000), signals[i]);
  }
  CHECK_EQUAL(cl_signals_wait(1), 0);
  struct sigaction action;
  CHECK(sigaction(SIGPIPE, NULL, &action) == 0);
  CHECK(action.sa_handler == SIG_IGN);
}

TEST(signals, "blocked signals are received one by one, and SIGPIPE is ignored") {
  harness_check_child(take_signals);
}

static void raise_limit(void) {
  struct rlimit limit;
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max < 64 ? limit.rlim_max : 64;
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(cl_open_files_limit(cl_kernel_real()) == limit.rlim_cur);
  CHECK(cl_raise_open_files() == limit.rlim_max);
  CHECK(cl_open_files_limit(cl_kernel_real()) == limit.rlim_max);
  CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(limit.rlim_cur == limit.rlim_max);
}

static void count_files(void) {
  size_t before = cl_open_file_count();
  CHECK(before >= 3);
  int further = dup(0);
  CHECK_EQUAL(cl_open_file_count(), before + 1);
  close(further);
  CHECK_EQUAL(cl_open_file_count(), before);
}

TEST(file_count, "open files are counted") { harness_check_child(count_files); }

TEST(open_files, "the limit of open files is raised to the hard one") {
  harness_check_child(raise_limit);
}

// MARK: - Clocks and random bytes

TEST(clocks, "clocks come from the table, and an interrupted call is retried") {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  fault_kernel_interrupt(&kernel, 500);
  kernel.has_virtual_clock = true;
  kernel.now_ns = 1234567890999999999;
  CHECK(cl_monotonic_ns(&kernel.table) == 1234567890999999999);
  CHECK(cl_monotonic_ms(&kernel.table) == 1234567890999);
  CHECK(cl_wall_ms(&kernel.table) == 1234567890999);
  uint64_t first = cl_monotonic_ns(cl_kernel_real());
  uint64_t second = cl_monotonic_ns(cl_kernel_real());
  CHECK(second >= first);
  CHECK(cl_wall_ms(cl_kernel_real()) > 1600000000000);
}

static void read_broken_clock(void) {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  fault_kernel_add(&kernel, CALL_CLOCK_GETTIME, EINVAL, 1000, -1);
  cl_monotonic_ms(&kernel.table);
}

static void read_broken_random(void) {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  fault_kernel_add(&kernel, CALL_GETRANDOM, ENOSYS, 1000, -1);
  uint8_t byte;
  cl_random(&kernel.table, &byte, 1);
}

TEST(no_clock, "a clock or a random source that fails aborts") {
  harness_check_abort(read_broken_clock, "clock_gettime");
  harness_check_abort(read_broken_random, "getrandom");
}

TEST(random_bytes, "random bytes fill exactly the requested count, in any number of parts") {
  fault_kernel kernel;
  fault_kernel_init(&kernel, harness_rng());
  kernel.short_permille = 500;
  fault_kernel_interrupt(&kernel, 300);
  for (size_t count = 0; count <= 1000; count += 37) {
    uint8_t bytes[1001] = {0};
    uint8_t seen[1001] = {0};
    // A byte that stays 0 in twenty tries was not written (by chance only with 2^-160).
    for (int round = 0; round < 20; round += 1) {
      cl_random(&kernel.table, bytes, count);
      for (size_t i = 0; i < sizeof(bytes); i += 1) seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(bytes); i += 1) CHECK((seen[i] != 0) == (i < count));
  }
}
