// A hierarchical timer wheel of two levels: Varghese and Lauck, scheme 7.
//
// A period is one revolution of the fine level, which has a slot for each millisecond of the
// current period. The coarse level has a slot for each period after it, and whole revolutions of it
// share a slot; the timers' deadlines distinguish them. When a period begins, its timers move from
// their coarse slot to the fine level. So a timer is never early and never late, and one that is
// far ahead is touched twice.
//
//     time                          each slot is a period
//      ▼                           ┌──────┬──────┬──────┬──
//     ┌┬┬┬┬┬┬┬┬┬┬┬┬ the period ┬┬┬┐│      │      │      │
//     └┴┴┴┴┴┴┴┴┴┴┴┴────────────┴┴┴┘└──────┴──────┴──────┴──
//
// Exact timers each need a wake-up of their own. A timer with a window fires at the roundest time
// in it, the one divisible by the largest power of two, and timers with overlapping windows mostly
// choose the same time.
//
// Timers and slots are nodes of doubly linked rings, identified by 32 bits (a timer by its index, a
// slot by SLOT | number), so removing a timer needs neither its slot nor a search, and a timer
// costs 16 bytes.
//
// Invariants: each set timer whose time is in `period` is in the fine slot of that time, or of
// `time` if that is later; every other one is in the coarse slot of its time's period, which is
// after `period`. `time` is in `period` or just after its end. Bit n of `occupied` is set exactly
// when slot n has timers.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum : uint32_t {
  /// Marks a node id as a slot's.
  SLOT = 0x80000000,
  /// No node: `next` of a timer that is not set.
  NONE = UINT32_MAX,
  /// Slot numbers of the fine level, so that one word of `occupied` is the whole level.
  FINE_SLOTS = 64,
};

typedef struct node {
  uint32_t next;
  uint32_t previous;
} node;

typedef struct timer {
  node links;
  uint64_t time_ms;
} timer;
_Static_assert(sizeof(timer) == 16, "kept for every connection");

struct cl_wheel {
  uint32_t period_ms;
  uint32_t period_count;
  /// Number of timers set.
  uint32_t count;
  uint32_t timer_capacity;
  /// The first millisecond that is not completely expired.
  uint64_t time;
  /// The period of the timers in the fine level.
  uint64_t period;
  timer *timers;
  /// FINE_SLOTS for milliseconds, of which the first `period_ms` are used, then `period_count` for
  /// periods.
  node *slots;
  uint64_t *occupied;
};

static bool is_power_of_two(uint32_t number) { return number != 0 && (number & (number - 1)) == 0; }

static node *node_of(const cl_wheel *wheel, uint32_t name) {
  if ((name & SLOT) != 0) return &wheel->slots[name & ~SLOT];
  return &wheel->timers[name].links;
}

cl_wheel *cl_wheel_create(uint64_t now_ms, uint32_t period_ms, uint32_t period_count) {
  // NONE must not be the id of a slot.
  if (!is_power_of_two(period_ms) || period_ms > FINE_SLOTS || !is_power_of_two(period_count) ||
      period_count >= SLOT - FINE_SLOTS) {
    cl_fatal("cl_wheel_create", -EINVAL);
  }
  cl_wheel *wheel = calloc(1, sizeof(*wheel));
  if (wheel == NULL) return NULL;
  wheel->period_ms = period_ms;
  wheel->period_count = period_count;
  wheel->time = now_ms + 1;
  wheel->period = now_ms / period_ms;
  size_t slot_count = (size_t)FINE_SLOTS + period_count;
  wheel->slots = malloc(slot_count * sizeof(node));
  wheel->occupied = calloc((slot_count + 63) / 64, sizeof(uint64_t));
  if (wheel->slots == NULL || wheel->occupied == NULL) {
    cl_wheel_destroy(wheel);
    return NULL;
  }
  for (uint32_t slot = 0; slot < slot_count; slot += 1) {
    wheel->slots[slot] = (node){.next = SLOT | slot, .previous = SLOT | slot};
  }
  return wheel;
}

void cl_wheel_destroy(cl_wheel *wheel) {
  free(wheel->timers);
  free(wheel->slots);
  free(wheel->occupied);
  free(wheel);
}

static int reserve(cl_wheel *wheel, uint32_t index) {
  if (index < wheel->timer_capacity) return 0;
  if (index >= SLOT) return -ENOMEM;
  uint32_t capacity = wheel->timer_capacity < 64 ? 64 : wheel->timer_capacity;
  while (capacity <= index) capacity *= 2;
  timer *timers = realloc(wheel->timers, capacity * sizeof(timer));
  if (timers == NULL) return -ENOMEM;
  for (uint32_t i = wheel->timer_capacity; i < capacity; i += 1) {
    timers[i] = (timer){.links = {.next = NONE, .previous = NONE}, .time_ms = 0};
  }
  wheel->timers = timers;
  wheel->timer_capacity = capacity;
  return 0;
}

static void take_out(cl_wheel *wheel, uint32_t index) {
  node *links = &wheel->timers[index].links;
  node_of(wheel, links->previous)->next = links->next;
  node_of(wheel, links->next)->previous = links->previous;
  if (links->next == links->previous && (links->next & SLOT) != 0) {
    uint32_t slot = links->next & ~SLOT;
    wheel->occupied[slot / 64] &= ~((uint64_t)1 << slot % 64);
  }
  *links = (node){.next = NONE, .previous = NONE};
  wheel->count -= 1;
}

/// Puts a timer that is not set into the slot of its time, or of `time` if that is later.
static void put_in(cl_wheel *wheel, uint32_t index) {
  uint64_t time_ms = wheel->timers[index].time_ms;
  if (time_ms < wheel->time) time_ms = wheel->time;
  uint64_t period = time_ms / wheel->period_ms;
  uint32_t slot = period == wheel->period
                      ? (uint32_t)(time_ms & (wheel->period_ms - 1))
                      : FINE_SLOTS + (uint32_t)(period & (wheel->period_count - 1));
  // Appended, so that timers of one time fire in the order in which they were set.
  uint32_t last = wheel->slots[slot].previous;
  wheel->timers[index].links = (node){.next = SLOT | slot, .previous = last};
  node_of(wheel, last)->next = index;
  wheel->slots[slot].previous = index;
  wheel->occupied[slot / 64] |= (uint64_t)1 << slot % 64;
  wheel->count += 1;
}

/// The time in [earliest, latest] that is divisible by the largest power of two; `earliest` if the
/// window is empty.
static uint64_t roundest_time(uint64_t earliest, uint64_t latest) {
  if (earliest == 0 || latest < earliest) return earliest;
  // The highest bit in which earliest - 1 and latest differ is 0 in the first and 1 in the second.
  // So `latest` without the bits below it is above earliest - 1, and no number between them has
  // more zeros at its end.
  int bit = 63 - __builtin_clzll((earliest - 1) ^ latest);
  return latest >> bit << bit;
}

int cl_wheel_schedule(cl_wheel *wheel, uint32_t index, uint64_t earliest_ms, uint64_t latest_ms) {
  int result = reserve(wheel, index);
  if (result < 0) return result;
  cl_wheel_cancel(wheel, index);
  wheel->timers[index].time_ms = roundest_time(earliest_ms, latest_ms);
  put_in(wheel, index);
  return 0;
}

void cl_wheel_cancel(cl_wheel *wheel, uint32_t index) {
  if (index >= wheel->timer_capacity || wheel->timers[index].links.next == NONE) return;
  take_out(wheel, index);
}

uint64_t cl_wheel_time(const cl_wheel *wheel, uint32_t index) {
  if (index >= wheel->timer_capacity) return UINT64_MAX;
  const timer *timer = &wheel->timers[index];
  return timer->links.next == NONE ? UINT64_MAX : timer->time_ms;
}

/// Periods from `period` to the next one whose slot has timers; `period_count` when there is none.
static uint32_t periods_to_occupied(const cl_wheel *wheel, uint64_t period) {
  uint32_t distance = 0;
  while (distance < wheel->period_count) {
    uint32_t number = (uint32_t)(period + distance) & (wheel->period_count - 1);
    uint32_t slot = FINE_SLOTS + number;
    uint64_t word = wheel->occupied[slot / 64] >> slot % 64;
    if (word != 0) {
      distance += (uint32_t)__builtin_ctzll(word);
      return distance < wheel->period_count ? distance : wheel->period_count;
    }
    uint32_t to_word_end = 64 - slot % 64;
    uint32_t to_wheel_end = wheel->period_count - number;
    distance += to_word_end < to_wheel_end ? to_word_end : to_wheel_end;
  }
  return wheel->period_count;
}

/// Begins a period: moves its timers, and those that it finds late, to the fine level.
static void begin_period(cl_wheel *wheel, uint64_t period) {
  wheel->period = period;
  wheel->time = period * wheel->period_ms;
  uint32_t slot = FINE_SLOTS + (uint32_t)(period & (wheel->period_count - 1));
  uint32_t index = wheel->slots[slot].next;
  while ((index & SLOT) == 0) {
    uint32_t next = wheel->timers[index].links.next;
    if (wheel->timers[index].time_ms / wheel->period_ms <= period) {
      take_out(wheel, index);
      put_in(wheel, index);
    }
    index = next;
  }
}

/// Begins the next period up to `last` whose slot has timers; false, with the fine level at the end
/// of `last`, when there is none.
static bool advance(cl_wheel *wheel, uint64_t last) {
  uint64_t period = wheel->period + 1;
  // After a jump of more than a revolution each slot is visited once, and the timers' times decide
  // which of them are due.
  if (last >= period && last - period >= wheel->period_count) {
    period = last - wheel->period_count + 1;
  }
  if (last >= period) period += periods_to_occupied(wheel, period);
  if (period <= last) {
    begin_period(wheel, period);
    return true;
  }
  if (last > wheel->period) wheel->period = last;
  return false;
}

int cl_wheel_expire(cl_wheel *wheel, uint64_t now_ms, uint32_t *indexes, int capacity) {
  uint64_t last = now_ms / wheel->period_ms;
  int count = 0;
  do {
    uint64_t start = wheel->period * wheel->period_ms;
    while (wheel->occupied[0] != 0) {
      uint32_t slot = (uint32_t)__builtin_ctzll(wheel->occupied[0]);
      if (start + slot > now_ms) break;
      wheel->time = start + slot;
      while (wheel->occupied[0] >> slot & 1) {
        if (count == capacity) return count;
        uint32_t index = wheel->slots[slot].next;
        take_out(wheel, index);
        indexes[count] = index;
        count += 1;
      }
    }
  } while (wheel->period < last && advance(wheel, last));
  if (now_ms >= wheel->time) wheel->time = now_ms + 1;
  return count;
}

int cl_wheel_timeout(const cl_wheel *wheel, uint64_t now_ms) {
  if (wheel->count == 0) return -1;
  uint64_t next_ms;
  if (wheel->occupied[0] != 0) {
    next_ms = wheel->period * wheel->period_ms + (uint64_t)__builtin_ctzll(wheel->occupied[0]);
  } else {
    uint64_t period = wheel->period + 1;
    next_ms = (period + periods_to_occupied(wheel, period)) * wheel->period_ms;
  }
  if (next_ms <= now_ms) return 0;
  return next_ms - now_ms > INT32_MAX ? INT32_MAX : (int)(next_ms - now_ms);
}
