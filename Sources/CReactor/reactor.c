// The reactor: one epoll, one eventfd that ends its wait, and nothing else.
//
// Level-triggered, because then a handler that stops early (fairness, a full buffer) loses nothing:
// the next wait reports the file again. The 64 bits of data that epoll keeps for a file hold the
// slot's index and generation, so no table is looked up here, and the owner of the slab can
// recognise an event for a connection that ended earlier in the batch.

#include <stdlib.h>

#include "internal.h"

/// The epoll data of the wake-up's eventfd; callers may not use it.
static const uint64_t WAKE_PLACE = UINT64_MAX;

struct cl_reactor {
  const cl_kernel *kernel;
  int epoll;
  int wake;
  struct epoll_event batch[CL_EVENTS_LIMIT];
};

static int control(cl_reactor *reactor, int operation, int fd, uint32_t events, uint64_t place) {
  const cl_kernel *kernel = reactor->kernel;
  struct epoll_event event = {.events = events, .data.u64 = place};
  int result = CL_RETRY(kernel->epoll_ctl(kernel->context, reactor->epoll, operation, fd, &event));
  cl_check_arguments("epoll_ctl", result);
  return result;
}

int cl_reactor_create(const cl_kernel *kernel, cl_reactor **reactor) {
  *reactor = NULL;
  cl_reactor *made = calloc(1, sizeof(*made));
  if (made == NULL) return -ENOMEM;
  made->kernel = kernel;
  made->epoll = CL_RETRY(kernel->epoll_create1(kernel->context, EPOLL_CLOEXEC));
  cl_check_arguments("epoll_create1", made->epoll);
  if (made->epoll < 0) {
    int result = made->epoll;
    free(made);
    return result;
  }
  made->wake = cl_eventfd_create(kernel);
  int result = made->wake;
  if (result >= 0) {
    result = control(made, EPOLL_CTL_ADD, made->wake, EPOLLIN, WAKE_PLACE);
    if (result < 0) cl_close(kernel, made->wake);
  }
  if (result < 0) {
    cl_close(kernel, made->epoll);
    free(made);
    return result;
  }
  *reactor = made;
  return 0;
}

void cl_reactor_destroy(cl_reactor *reactor) {
  cl_close(reactor->kernel, reactor->wake);
  cl_close(reactor->kernel, reactor->epoll);
  free(reactor);
}

const cl_kernel *cl_reactor_kernel(const cl_reactor *reactor) { return reactor->kernel; }

// EPOLLRDHUP is not requested: a peer that closes its side makes a file readable, and it must not
// make the loop spin while the file is not watched for reading.
static uint32_t epoll_events(uint32_t interest) {
  return ((interest & CL_READABLE) != 0 ? (uint32_t)EPOLLIN : 0) |
         ((interest & CL_WRITABLE) != 0 ? (uint32_t)EPOLLOUT : 0);
}

static uint32_t readiness(uint32_t events) {
  return ((events & EPOLLIN) != 0 ? (uint32_t)CL_READABLE : 0) |
         ((events & EPOLLOUT) != 0 ? (uint32_t)CL_WRITABLE : 0) |
         ((events & (EPOLLHUP | EPOLLERR)) != 0 ? (uint32_t)CL_HANGUP : 0);
}

static uint64_t place_of(uint32_t index, uint32_t generation) {
  // guard: epoll-generation
  uint64_t place = (uint64_t)generation << 32 | index;
  if (place == WAKE_PLACE) cl_fatal("epoll_ctl", -EINVAL);
  return place;
}

int cl_reactor_add(cl_reactor *reactor, int fd, uint32_t interest, uint32_t index,
                   uint32_t generation) {
  return control(reactor, EPOLL_CTL_ADD, fd, epoll_events(interest), place_of(index, generation));
}

int cl_reactor_modify(cl_reactor *reactor, int fd, uint32_t interest, uint32_t index,
                      uint32_t generation) {
  return control(reactor, EPOLL_CTL_MOD, fd, epoll_events(interest), place_of(index, generation));
}

int cl_reactor_remove(cl_reactor *reactor, int fd) {
  return control(reactor, EPOLL_CTL_DEL, fd, 0, 0);
}

int cl_reactor_wait(cl_reactor *reactor, cl_event *events, int capacity, int timeout_ms) {
  const cl_kernel *kernel = reactor->kernel;
  if (capacity > CL_EVENTS_LIMIT) capacity = CL_EVENTS_LIMIT;
  // Read the clock only when an interrupted wait has to be shortened.
  uint64_t deadline_ns =
      timeout_ms > 0 ? cl_monotonic_ns(kernel) + (uint64_t)timeout_ms * 1000000 : 0;
  int count;
  while ((count = kernel->epoll_wait(kernel->context, reactor->epoll, reactor->batch, capacity,
                                     timeout_ms)) == -EINTR) {
    if (timeout_ms > 0) timeout_ms = cl_ms_until(deadline_ns, cl_monotonic_ns(kernel));
  }
  cl_check_arguments("epoll_wait", count);
  if (count < 0) return count;

  int filled = 0;
  for (int i = 0; i < count; i += 1) {
    uint64_t place = reactor->batch[i].data.u64;
    if (place == WAKE_PLACE) {
      // Reset the eventfd before the caller checks its queues: a signal after this read ends the
      // next wait, and a thread that signalled before it has already published its data.
      cl_eventfd_take(kernel, reactor->wake);
      continue;
    }
    events[filled] = (cl_event){
        .index = (uint32_t)place,
        .generation = (uint32_t)(place >> 32),
        .readiness = readiness(reactor->batch[i].events),
    };
    filled += 1;
  }
  return filled;
}

void cl_reactor_wake(cl_reactor *reactor) { cl_eventfd_signal(reactor->kernel, reactor->wake); }
