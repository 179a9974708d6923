// Shared set-up of the test files: a kernel, a reactor, pairs of connected sockets.

#pragma once

#include "fault_kernel.h"

typedef struct fixture {
  fault_kernel kernel;
  cl_reactor *reactor;
} fixture;

/// A fault kernel without rules and a reactor on it.
void fixture_init(fixture *fixture);
/// Destroys the reactor and checks that every descriptor made through the kernel was closed.
void fixture_end(fixture *fixture);

/// A listener on 127.0.0.1 and its port.
int fixture_listen(fixture *fixture, uint16_t *port);
/// An established connection to `port` of 127.0.0.1, made by the real kernel.
int connect_real(uint16_t port);
/// Two connected TCP sockets, made by the real kernel.
void make_pair(int ends[2]);
/// Waits until `fd` is readable.
void wait_readable(int fd);
/// Whether `fd` has bytes, or an end of stream, to receive now.
bool is_readable(int fd);
