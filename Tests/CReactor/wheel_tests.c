// The timer wheel against a model that is a plain array of deadlines.

#define _GNU_SOURCE

#include "fixture.h"

enum { TIMERS = 300 };

/// The expected state of a wheel, in the simplest form.
typedef struct model {
  cl_wheel *wheel;
  uint32_t period_ms;
  uint32_t period_count;
  uint64_t now_ms;
  bool is_set[TIMERS];
  uint64_t earliest_ms[TIMERS];
  /// When the timer fires at the latest: the end of its window, or a millisecond after it was set
  /// if that was later.
  uint64_t due_ms[TIMERS];
} model;

static void set_timer(model *model, uint32_t index, uint64_t earliest_ms, uint64_t slack_ms) {
  uint64_t latest_ms = slack_ms > UINT64_MAX - earliest_ms ? UINT64_MAX : earliest_ms + slack_ms;
  CHECK_EQUAL(cl_wheel_schedule(model->wheel, index, earliest_ms, latest_ms), 0);
  uint64_t time_ms = cl_wheel_time(model->wheel, index);
  CHECK(earliest_ms <= time_ms && time_ms <= latest_ms);
  model->is_set[index] = true;
  model->earliest_ms[index] = earliest_ms;
  model->due_ms[index] = latest_ms > model->now_ms ? latest_ms : model->now_ms + 1;
}

static void cancel_timer(model *model, uint32_t index) {
  cl_wheel_cancel(model->wheel, index);
  CHECK_EQUAL(cl_wheel_time(model->wheel, index), UINT64_MAX);
  model->is_set[index] = false;
}

static uint64_t revolution_ms(const model *model) {
  return (uint64_t)model->period_ms * model->period_count;
}

/// A time of a risky kind: past, now, near, at a whole revolution of the wheel, far.
static uint64_t some_time(const model *model, rng *random) {
  uint64_t period = model->period_ms, revolution = revolution_ms(model), now = model->now_ms;
  switch (rng_below(random, 8)) {
    case 0:
      return now - rng_below(random, 2 * revolution < now ? 2 * revolution : now + 1);
    case 1:
      return now;
    case 2:
      return now + rng_below(random, 3 * period + 1);
    case 3:
      return now + revolution * (1 + rng_below(random, 3)) + rng_below(random, 2 * period + 1) -
             period;
    case 4:
      return now / period * period + period * rng_below(random, (uint64_t)3 * model->period_count);
    case 5:
      return rng_below(random, 50) == 0 ? UINT64_MAX - rng_below(random, 3)
                                        : now + rng_below(random, 20 * revolution);
    default:
      return now + rng_below(random, revolution);
  }
}

/// A slack of a risky kind: none, about a period, about a revolution.
static uint64_t some_slack(const model *model, rng *random) {
  switch (rng_below(random, 4)) {
    case 0:
      return rng_below(random, 2 * (uint64_t)model->period_ms);
    case 1:
      return rng_below(random, 2 * revolution_ms(model));
    default:
      return 0;
  }
}

/// A random change to a random timer, as a handler between two calls of expire might make.
static void change_something(model *model, rng *random) {
  uint32_t index = (uint32_t)rng_below(random, TIMERS);
  if (rng_below(random, 3) == 0) {
    cancel_timer(model, index);
  } else {
    set_timer(model, index, some_time(model, random), some_slack(model, random));
  }
}

static void check_timeout(const model *model, bool has_expired) {
  int timeout = cl_wheel_timeout(model->wheel, model->now_ms);
  uint64_t earliest = UINT64_MAX;
  bool any = false;
  for (int i = 0; i < TIMERS; i += 1) {
    if (!model->is_set[i]) continue;
    any = true;
    if (model->due_ms[i] < earliest) earliest = model->due_ms[i];
  }
  if (!any) {
    CHECK_EQUAL(timeout, -1);
    return;
  }
  CHECK(timeout >= 0);
  uint64_t wakes_ms = model->now_ms + (uint64_t)timeout;
  // Never late, early by a revolution at most, and not zero after a complete expiry.
  if (earliest < model->now_ms) earliest = model->now_ms;
  CHECK(wakes_ms <= earliest);
  CHECK(!has_expired || timeout > 0);
  CHECK((uint64_t)timeout <= revolution_ms(model) + model->period_ms);
}

/// Expires due timers, by calls of random capacity, with changes between them. False when it
/// stopped before the end, as a loop with other work may.
static bool expire(model *model, rng *random) {
  uint32_t indexes[TIMERS];
  int capacity, count;
  int changes = (int)rng_below(random, 40);
  bool gives_up = rng_below(random, 8) == 0;
  do {
    capacity = 1 + (int)rng_below(random, rng_below(random, 2) == 0 ? 4 : TIMERS);
    count = cl_wheel_expire(model->wheel, model->now_ms, indexes, capacity);
    CHECK(count >= 0 && count <= capacity);
    for (int i = 0; i < count; i += 1) {
      CHECK(indexes[i] < TIMERS);
      CHECK(model->is_set[indexes[i]]);
      CHECK(model->earliest_ms[indexes[i]] <= model->now_ms);
      model->is_set[indexes[i]] = false;
    }
    for (; changes > 0 && rng_below(random, 3) != 0; changes -= 1) change_something(model, random);
    if (gives_up && count == capacity) return false;
  } while (count == capacity);
  for (int i = 0; i < TIMERS; i += 1) {
    CHECK(!model->is_set[i] || model->due_ms[i] > model->now_ms);
  }
  return true;
}

static void run_model(rng *random, uint32_t period_ms, uint32_t period_count, int steps) {
  model model = {.period_ms = period_ms, .period_count = period_count};
  model.now_ms = rng_below(random, 2) == 0 ? rng_below(random, 10) : rng_below(random, 1 << 30);
  model.wheel = cl_wheel_create(model.now_ms, period_ms, period_count);
  CHECK(model.wheel != NULL);
  uint64_t revolution = revolution_ms(&model);
  for (int step = 0; step < steps; step += 1) {
    for (uint64_t i = rng_below(random, 6); i > 0; i -= 1) change_something(&model, random);
    check_timeout(&model, false);
    uint64_t kind = rng_below(random, 20);
    if (kind < 6) {
      int timeout = cl_wheel_timeout(model.wheel, model.now_ms);
      model.now_ms += timeout > 0 ? (uint64_t)timeout : 0;
    } else if (kind < 17) {
      model.now_ms += rng_below(random, (uint64_t)3 * period_ms + 1);
    } else if (kind < 19) {
      model.now_ms += rng_below(random, revolution + (uint64_t)2 * period_ms);
    } else {
      model.now_ms += rng_below(random, 5) * revolution + rng_below(random, revolution);
    }
    if (!expire(&model, random)) continue;
    // Only timers set since the last expiry can be due at once.
    uint32_t index;
    while (cl_wheel_expire(model.wheel, model.now_ms, &index, 1) == 1) {
      CHECK(model.is_set[index] && model.earliest_ms[index] <= model.now_ms);
      model.is_set[index] = false;
    }
    check_timeout(&model, true);
  }
  cl_wheel_destroy(model.wheel);
}

TEST(wheel_model, "after random changes no timer fires outside its window, or twice") {
  rng random = harness_rng();
  const uint32_t periods_ms[] = {1, 2, 8, 64};
  const uint32_t period_counts[] = {1, 2, 8, 64, 128, 1024};
  for (size_t i = 0; i < 4; i += 1) {
    for (size_t j = 0; j < 6; j += 1) {
      run_model(&random, periods_ms[i], period_counts[j], 10000);
    }
  }
}

TEST(wheel_window, "a timer fires at the time of its window with the most zeros at its end") {
  uint64_t latest_of_all = 200;
  for (uint64_t earliest = 0; earliest <= latest_of_all; earliest += 1) {
    for (uint64_t latest = earliest; latest <= latest_of_all; latest += 1) {
      uint64_t expected = earliest;
      for (uint64_t time = earliest; time <= latest && expected != 0; time += 1) {
        if ((time & -time) > (expected & -expected)) expected = time;
      }
      cl_wheel *wheel = cl_wheel_create(0, 64, 8);
      CHECK(wheel != NULL);
      CHECK_EQUAL(cl_wheel_schedule(wheel, 7, earliest, latest), 0);
      uint32_t index;
      if (expected > 0) CHECK_EQUAL(cl_wheel_expire(wheel, expected - 1, &index, 1), 0);
      CHECK_EQUAL(cl_wheel_expire(wheel, expected > 0 ? expected : 1, &index, 1), 1);
      cl_wheel_destroy(wheel);
    }
  }
  // An empty window is its beginning.
  cl_wheel *wheel = cl_wheel_create(0, 64, 8);
  CHECK(wheel != NULL);
  CHECK_EQUAL(cl_wheel_schedule(wheel, 0, 101, 64), 0);
  CHECK_EQUAL(cl_wheel_timeout(wheel, 63), 1);
  uint32_t index;
  CHECK_EQUAL(cl_wheel_expire(wheel, 100, &index, 1), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 101, &index, 1), 1);
  cl_wheel_destroy(wheel);
}

TEST(wheel_jump, "after a clock jump of days every timer fires once, and at once") {
  cl_wheel *wheel = cl_wheel_create(1000, 64, 64);
  CHECK(wheel != NULL);
  for (uint32_t i = 0; i < 1000; i += 1) {
    uint64_t time = 1000 + (uint64_t)i * i * 7;
    CHECK_EQUAL(cl_wheel_schedule(wheel, i, time, time), 0);
  }
  CHECK_EQUAL(cl_wheel_schedule(wheel, 1000, 400000000, 400000000), 0);
  uint32_t indexes[7];
  bool seen[1000] = {false};
  int total = 0, count;
  do {
    count = cl_wheel_expire(wheel, 300000000, indexes, 7);
    for (int i = 0; i < count; i += 1) {
      CHECK(indexes[i] < 1000 && !seen[indexes[i]]);
      seen[indexes[i]] = true;
    }
    total += count;
  } while (count == 7);
  CHECK_EQUAL(total, 1000);
  CHECK_EQUAL(cl_wheel_expire(wheel, 399999999, indexes, 7), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 400000000, indexes, 7), 1);
  CHECK_EQUAL(indexes[0], 1000);
  CHECK_EQUAL(cl_wheel_timeout(wheel, 400000000), -1);
  // A clock that goes back fires nothing and breaks nothing.
  CHECK_EQUAL(cl_wheel_schedule(wheel, 1, 400000050, 400000050), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 1000, indexes, 7), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 400000100, indexes, 7), 1);
  cl_wheel_destroy(wheel);
}

TEST(wheel_stopped, "an expiry that stopped in a slot continues there after changes to it") {
  for (int variant = 0; variant < 3; variant += 1) {
    cl_wheel *wheel = cl_wheel_create(0, 8, 8);
    CHECK(wheel != NULL);
    for (uint32_t i = 0; i < 2; i += 1) CHECK_EQUAL(cl_wheel_schedule(wheel, i, 20, 20), 0);
    uint32_t index;
    CHECK_EQUAL(cl_wheel_expire(wheel, 25, &index, 1), 1);
    CHECK_EQUAL(index, 0);
    cl_wheel_cancel(wheel, 1);
    if (variant >= 1) CHECK_EQUAL(cl_wheel_schedule(wheel, 5, 15, 15), 0);
    if (variant == 2) CHECK_EQUAL(cl_wheel_schedule(wheel, 0, 12, 12), 0);
    for (int i = 0; i < variant; i += 1) {
      CHECK_EQUAL(cl_wheel_expire(wheel, 25, &index, 1), 1);
      CHECK_EQUAL(index, i == 0 ? 5 : 0);
    }
    CHECK_EQUAL(cl_wheel_expire(wheel, 25, &index, 1), 0);
    CHECK_EQUAL(cl_wheel_timeout(wheel, 25), -1);
    cl_wheel_destroy(wheel);
  }
}

TEST(wheel_stopped_order, "a timer set to the past does not overtake those of a stopped expiry") {
  cl_wheel *wheel = cl_wheel_create(0, 8, 8);
  CHECK(wheel != NULL);
  for (uint32_t i = 0; i < 2; i += 1) CHECK_EQUAL(cl_wheel_schedule(wheel, i, 20, 20), 0);
  uint32_t indexes[3];
  CHECK_EQUAL(cl_wheel_expire(wheel, 25, indexes, 1), 1);
  CHECK_EQUAL(cl_wheel_schedule(wheel, 5, 17, 17), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 25, indexes, 3), 2);
  CHECK_EQUAL(indexes[0], 1);
  CHECK_EQUAL(indexes[1], 5);
  cl_wheel_destroy(wheel);
}

TEST(wheel_timeout, "the time-out is for the earliest timer left after a cancel or an expiry") {
  cl_wheel *wheel = cl_wheel_create(0, 64, 128);
  CHECK(wheel != NULL);
  CHECK_EQUAL(cl_wheel_timeout(wheel, 0), -1);
  // The first is in the present period, where the time-out is exact; the others are in the periods
  // after it, where it ends at the beginning of the period.
  for (uint32_t i = 0; i < 127; i += 1) {
    CHECK_EQUAL(cl_wheel_schedule(wheel, i, 64 * i + 5, 64 * i + 5), 0);
  }
  for (uint32_t i = 0; i < 127; i += 1) {
    CHECK_EQUAL(cl_wheel_timeout(wheel, 3), i == 0 ? 2 : 64 * (int)i - 3);
    cl_wheel_cancel(wheel, i);
  }
  CHECK_EQUAL(cl_wheel_timeout(wheel, 3), -1);
  // The same by firing in place of cancelling, and over the wheel's end.
  uint32_t index;
  CHECK_EQUAL(cl_wheel_expire(wheel, 6400, &index, 1), 0);
  for (uint32_t i = 0; i < 127; i += 1) {
    CHECK_EQUAL(cl_wheel_schedule(wheel, i, 6470 + 64 * i, 6470 + 64 * i), 0);
  }
  for (uint32_t i = 0; i < 127; i += 1) {
    CHECK_EQUAL(cl_wheel_timeout(wheel, 6460 + 64 * i), 4);
    CHECK_EQUAL(cl_wheel_expire(wheel, 6464 + 64 * i, &index, 1), 0);
    CHECK_EQUAL(cl_wheel_timeout(wheel, 6464 + 64 * i), 6);
    CHECK_EQUAL(cl_wheel_expire(wheel, 6470 + 64 * i, &index, 1), 1);
    CHECK_EQUAL(index, i);
  }
  CHECK_EQUAL(cl_wheel_timeout(wheel, 20000), -1);
  cl_wheel_destroy(wheel);
}

// Case 69, the wheel's part: a loop on virtual time that waits for the wheel's own time-out.
TEST(wheel_drift, "case 69: over 24 hours periodic timers fire at their milliseconds") {
  enum { PERIODS = 6, HOURS = 24 };
  const uint64_t periods[PERIODS] = {250, 1000, 15000, 30000, 59999, 3600000};
  fixture fixture;
  fixture_init(&fixture);
  fixture.kernel.has_virtual_clock = true;
  const cl_kernel *kernel = &fixture.kernel.table;
  uint64_t start = cl_monotonic_ms(kernel);
  uint64_t last = start + HOURS * 3600000ULL;
  cl_wheel *wheel = cl_wheel_create(start, 64, 1024);
  CHECK(wheel != NULL);
  uint64_t fired[PERIODS] = {0};
  for (uint32_t i = 0; i < PERIODS; i += 1) {
    CHECK_EQUAL(cl_wheel_schedule(wheel, i, start + periods[i], start + periods[i]), 0);
  }
  uint64_t turns = 0;
  while (cl_monotonic_ms(kernel) < last) {
    turns += 1;
    cl_event event;
    int timeout = cl_wheel_timeout(wheel, cl_monotonic_ms(kernel));
    CHECK(timeout > 0);
    CHECK_EQUAL(cl_reactor_wait(fixture.reactor, &event, 1, timeout), 0);
    uint64_t now = cl_monotonic_ms(kernel);
    uint32_t indexes[PERIODS];
    int count = cl_wheel_expire(wheel, now, indexes, PERIODS);
    for (int i = 0; i < count; i += 1) {
      uint32_t index = indexes[i];
      fired[index] += 1;
      CHECK_EQUAL(now, start + periods[index] * fired[index]);
      CHECK_EQUAL(cl_wheel_schedule(wheel, index, now + periods[index], now + periods[index]), 0);
    }
  }
  for (int i = 0; i < PERIODS; i += 1) {
    // None is missing; each firing was already checked not to be an extra one.
    CHECK(fired[i] >= HOURS * 3600000ULL / periods[i]);
  }
  // A turn fires a timer, or begins its period, or passes a far timer's slot.
  CHECK(turns <
        2 * (fired[0] + fired[1] + fired[2] + fired[3]) + HOURS * 3600000ULL / (64 * 1024ULL));
  cl_wheel_destroy(wheel);
  fixture_end(&fixture);
}

TEST(wheel_indexes, "any index below 2^31 may come first; the others stay unset") {
  cl_wheel *wheel = cl_wheel_create(0, 8, 8);
  CHECK(wheel != NULL);
  cl_wheel_cancel(wheel, 0);
  cl_wheel_cancel(wheel, UINT32_MAX);
  CHECK_EQUAL(cl_wheel_schedule(wheel, 100000, 50, 50), 0);
  CHECK_EQUAL(cl_wheel_schedule(wheel, 3, 50, 50), 0);
  cl_wheel_cancel(wheel, 99999);
  CHECK_EQUAL(cl_wheel_time(wheel, 100000), 50);
  CHECK_EQUAL(cl_wheel_time(wheel, 99999), UINT64_MAX);
  CHECK_EQUAL(cl_wheel_time(wheel, 0x80000000), UINT64_MAX);
  CHECK_EQUAL(cl_wheel_schedule(wheel, 0x80000000, 50, 50), -ENOMEM);
  CHECK_EQUAL(cl_wheel_schedule(wheel, UINT32_MAX, 50, 50), -ENOMEM);
  uint32_t indexes[4];
  CHECK_EQUAL(cl_wheel_expire(wheel, 49, indexes, 4), 0);
  CHECK_EQUAL(cl_wheel_expire(wheel, 50, indexes, 4), 2);
  CHECK_EQUAL(indexes[0], 100000);
  CHECK_EQUAL(indexes[1], 3);
  cl_wheel_destroy(wheel);
}

static void make_wheel_of_three_periods(void) { cl_wheel_create(0, 8, 3); }
static void make_wheel_of_long_periods(void) { cl_wheel_create(0, 128, 8); }
static void make_wheel_without_periods(void) { cl_wheel_create(0, 8, 0); }

TEST(wheel_bugs, "a wheel whose numbers are not powers of two in their bounds aborts") {
  harness_check_abort(make_wheel_of_three_periods, "cl_wheel_create");
  harness_check_abort(make_wheel_of_long_periods, "cl_wheel_create");
  harness_check_abort(make_wheel_without_periods, "cl_wheel_create");
}
