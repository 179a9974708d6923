// A hashed timer wheel: Varghese and Lauck, scheme 6.
//
// A timer is in the slot of the tick at which it may fire, ceil(deadline / tick), so it is never
// early and less than a tick late. Timers that are whole turns of the wheel apart share a slot;
// their deadlines distinguish them. Timers and slots are nodes of doubly linked rings, identified
// by 32 bits (a timer by its index, a slot by SLOT | number), so removing a timer needs neither its
// slot nor a search, and a timer costs 16 bytes.
//
// Invariants: every timer that is set is in the slot of a tick at or after `tick`, or in `tick`'s
// own slot at or after `scan`; bit n of `occupied` is set exactly when slot n has timers; `scan` is
// NONE between ticks.

#include <stdlib.h>
#include <string.h>

#include "internal.h"

enum : uint32_t {
  /// Marks a node id as a slot's.
  SLOT = 0x80000000,
  /// No node: `next` of a timer that is not set, and `scan` between ticks.
  NONE = UINT32_MAX,
};

typedef struct node {
  uint32_t next;
  uint32_t previous;
} node;

typedef struct timer {
  node links;
  uint64_t deadline_ms;
} timer;
_Static_assert(sizeof(timer) == 16, "kept for every connection");

struct cl_wheel {
  uint32_t tick_ms;
  uint32_t slot_count;
  /// Number of timers set.
  uint32_t count;
  /// Where the next expiry continues inside the slot of `tick`.
  uint32_t scan;
  /// The first tick that is not completely expired.
  uint64_t tick;
  uint32_t timer_capacity;
  timer *timers;
  node *slots;
  uint64_t *occupied;
};

static node *node_of(const cl_wheel *wheel, uint32_t name) {
  if ((name & SLOT) != 0) return &wheel->slots[name & ~SLOT];
  return &wheel->timers[name].links;
}

cl_wheel *cl_wheel_create(uint64_t now_ms, uint32_t tick_ms, uint32_t slot_count) {
  bool is_power_of_two = slot_count != 0 && (slot_count & (slot_count - 1)) == 0;
  // NONE must not be the id of a slot.
  if (tick_ms == 0 || !is_power_of_two || slot_count >= SLOT) {
    cl_fatal("cl_wheel_create", -EINVAL);
  }
  cl_wheel *wheel = calloc(1, sizeof(*wheel));
  if (wheel == NULL) return NULL;
  wheel->tick_ms = tick_ms;
  wheel->slot_count = slot_count;
  wheel->scan = NONE;
  wheel->tick = now_ms / tick_ms + 1;
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
    timers[i] = (timer){.links = {.next = NONE, .previous = NONE}, .deadline_ms = 0};
  }
  wheel->timers = timers;
  wheel->timer_capacity = capacity;
  return 0;
}

static void take_out(cl_wheel *wheel, uint32_t index) {
  node *links = &wheel->timers[index].links;
  if (wheel->scan == index) wheel->scan = links->next;
  node_of(wheel, links->previous)->next = links->next;
  node_of(wheel, links->next)->previous = links->previous;
  if (links->next == links->previous && (links->next & SLOT) != 0) {
    uint32_t slot = links->next & ~SLOT;
    wheel->occupied[slot / 64] &= ~((uint64_t)1 << slot % 64);
  }
  *links = (node){.next = NONE, .previous = NONE};
  wheel->count -= 1;
}

int cl_wheel_schedule(cl_wheel *wheel, uint32_t index, uint64_t deadline_ms) {
  int result = reserve(wheel, index);
  if (result < 0) return result;
  cl_wheel_cancel(wheel, index);

  uint64_t tick = deadline_ms / wheel->tick_ms + (deadline_ms % wheel->tick_ms != 0);
  if (tick < wheel->tick) tick = wheel->tick;
  uint32_t slot = (uint32_t)(tick & (wheel->slot_count - 1));
  uint32_t head = SLOT | slot;
  uint32_t last = wheel->slots[slot].previous;
  wheel->timers[index] = (timer){
      .links = {.next = head, .previous = last},
      .deadline_ms = deadline_ms,
  };
  // Append to the slot: an expiry that stopped inside the slot still visits the timer, even if it
  // stopped at the very end.
  node_of(wheel, last)->next = index;
  wheel->slots[slot].previous = index;
  if (wheel->scan == head) wheel->scan = index;
  wheel->occupied[slot / 64] |= (uint64_t)1 << slot % 64;
  wheel->count += 1;
  return 0;
}

void cl_wheel_cancel(cl_wheel *wheel, uint32_t index) {
  if (index >= wheel->timer_capacity || wheel->timers[index].links.next == NONE) return;
  take_out(wheel, index);
}

/// Ticks from `tick` to the next slot with timers; `slot_count` when there is none.
static uint32_t ticks_to_occupied(const cl_wheel *wheel, uint64_t tick) {
  uint32_t distance = 0;
  while (distance < wheel->slot_count) {
    uint32_t slot = (uint32_t)(tick + distance) & (wheel->slot_count - 1);
    uint64_t word = wheel->occupied[slot / 64] >> slot % 64;
    if (word != 0) {
      distance += (uint32_t)__builtin_ctzll(word);
      return distance < wheel->slot_count ? distance : wheel->slot_count;
    }
    uint32_t to_word_end = 64 - slot % 64;
    uint32_t to_wheel_end = wheel->slot_count - slot;
    distance += to_word_end < to_wheel_end ? to_word_end : to_wheel_end;
  }
  return wheel->slot_count;
}

int cl_wheel_expire(cl_wheel *wheel, uint64_t now_ms, uint32_t *indexes, int capacity) {
  uint64_t last_tick = now_ms / wheel->tick_ms;
  uint64_t due_ms = last_tick * wheel->tick_ms;
  if (last_tick >= wheel->tick && last_tick - wheel->tick >= wheel->slot_count) {
    // A jump of more than a turn: visit every slot exactly once; the deadlines decide which timers
    // are due.
    wheel->tick = last_tick - wheel->slot_count + 1;
    wheel->scan = NONE;
  }
  int count = 0;
  while (wheel->tick <= last_tick) {
    if (wheel->scan == NONE) {
      uint64_t empty = ticks_to_occupied(wheel, wheel->tick);
      if (empty > last_tick - wheel->tick) {
        wheel->tick = last_tick + 1;
        break;
      }
      wheel->tick += empty;
      wheel->scan = wheel->slots[wheel->tick & (wheel->slot_count - 1)].next;
    }
    while ((wheel->scan & SLOT) == 0) {
      if (count == capacity) return count;
      uint32_t index = wheel->scan;
      wheel->scan = wheel->timers[index].links.next;
      if (wheel->timers[index].deadline_ms > due_ms) continue;
      take_out(wheel, index);
      indexes[count] = index;
      count += 1;
    }
    wheel->scan = NONE;
    wheel->tick += 1;
  }
  return count;
}

int cl_wheel_timeout(const cl_wheel *wheel, uint64_t now_ms) {
  if (wheel->count == 0) return -1;
  uint64_t due_ms = (wheel->tick + ticks_to_occupied(wheel, wheel->tick)) * wheel->tick_ms;
  if (due_ms <= now_ms) return 0;
  return due_ms - now_ms > INT32_MAX ? INT32_MAX : (int)(due_ms - now_ms);
}
