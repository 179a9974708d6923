/* The broadcast ring: Sources/Broadcast/BroadcastRing.swift, step by step, for Spin.
 *
 * Each shared access is one step; positions count modulo MODULUS from just before it, so every run
 * wraps. An element is two words (item, echo), written and read one after the other, so that a read
 * during a write is detected. Ghost variables: `order` records the claims as they happen, `freed`
 * the elements taken out.
 *
 * Checked, for every interleaving: no slot is written while a consumer has yet to pass it or is
 * reading it; each consumer reads exactly the claimed order, each element whole, once, and before
 * it is released; each element is taken out exactly once; when an offer is refused, the ring was
 * full at some moment; every process ends (an invalid end state would be a consumer waiting for
 * ever), and then the slots are empty.
 *
 * Seeded bugs, each of which must be found (-D...):
 *   GATE_BY_FIRST     the gate uses only the first consumer's cursor
 *   ROOM_TOO_LARGE    the computed room is one too large
 *   PUBLISH_EARLY     the sequence is stored before the element (a relaxed store would allow it)
 *   SHOW_EARLY        the cursor is stored before the read is done (likewise)
 *   CLAIM_BY_STORE    the tail is moved by a load and a store
 *   READ_CLAIMED      the consumer reads the tail instead of the slot's sequence
 *   LEAVE_BY_STORE    the remaining count is lowered by a load and a store
 *   GATE_BY_LAST_READ the gate treats the last cursor read as the slowest
 *   REFUSE_STALE      a tail below the gate counts as no room instead of as a reason to retry
 */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef EACH
#define EACH 2
#endif
#ifndef RUN
#define RUN 1 /* the most positions claimed at once */
#endif
#define TOTAL (PRODUCERS * EACH)
#define MODULUS 16
#define FIRST (MODULUS - 3)

#define ADD(a, b) (((a) + (b)) % MODULUS)
#define SUB(a, b) (((a) + MODULUS - (b)) % MODULUS)
#define IS_BEHIND(a, b) (SUB(a, b) >= MODULUS / 2) /* a < b in wrapping order */
#define SLOT(p) ((p) % CAPACITY)

byte sequence[CAPACITY];
byte remaining[CAPACITY];
byte item[CAPACITY];
byte echo[CAPACITY];
byte tail = FIRST;
byte gate = FIRST;
byte cursor[CONSUMERS];

byte order[TOTAL];      /* ghosts from here on */
byte claims = 0;
byte readers[CAPACITY]; /* consumers reading the slot */
bool freed[TOTAL + 1];
byte finished = 0;

/* The room from gate g to tail t, as BroadcastRing.room. */
#ifdef ROOM_TOO_LARGE
#define ROOM(g, t) (IS_BEHIND(t, g) -> CAPACITY : CAPACITY + 1 - SUB(t, g))
#elif defined(REFUSE_STALE)
#define ROOM(g, t) (IS_BEHIND(t, g) -> 0 : CAPACITY - SUB(t, g))
#else
#define ROOM(g, t) (IS_BEHIND(t, g) -> CAPACITY : CAPACITY - SUB(t, g))
#endif

/* Reads the cursors one by one, as BroadcastRing.slowestCursor; records whether the ring is full
 * at that moment. */
inline readSlowest() {
  d_step { slowest = cursor[0]; noteFull() };
#ifndef GATE_BY_FIRST
  index = 1;
  do
  :: index < CONSUMERS ->
     d_step {
       if
#ifdef GATE_BY_LAST_READ
       :: true -> slowest = cursor[index]
#else
       :: IS_BEHIND(cursor[index], slowest) -> slowest = cursor[index]
       :: else
#endif
       fi;
       noteFull();
       index++
     }
  :: else -> break
  od;
  index = 0
#endif
}

inline noteFull() {
  other = 0;
  do
  :: other < CONSUMERS ->
     if
     :: SUB(tail, cursor[other]) >= CAPACITY -> wasFull = true
     :: else
     fi;
     other++
  :: else -> break
  od;
  other = 0
}

inline publish(position, element) {
#ifdef PUBLISH_EARLY
  sequence[SLOT(position)] = ADD(position, 1);
#endif
  d_step {
    assert(readers[SLOT(position)] == 0);
    assert(item[SLOT(position)] == 0 && echo[SLOT(position)] == 0);
    item[SLOT(position)] = element
  };
  echo[SLOT(position)] = element;
  remaining[SLOT(position)] = CONSUMERS;
#ifndef PUBLISH_EARLY
  sequence[SLOT(position)] = ADD(position, 1)
#endif
}

proctype producer(byte firstElement) {
  byte number = 0;
  byte known; /* the tail as last read */
  byte bound; /* the gate as last read */
  byte slowest, index, other;
  byte count;
  bool wasFull; /* ghost: full at some moment since the tail was first read */

  do
  :: number < EACH ->
     d_step { known = tail; wasFull = false };
     do
     :: bound = gate;
        count = (EACH - number < RUN -> EACH - number : RUN);
        if
        :: ROOM(bound, known) < count ->
           readSlowest();
           gate = slowest;
           d_step { bound = slowest; slowest = 0 }
        :: else
        fi;
        if
        :: ROOM(bound, known) <= 0 -> assert(wasFull); goto refused
        :: else
        fi;
        count = (ROOM(bound, known) < count -> ROOM(bound, known) : count);
#ifdef CLAIM_BY_STORE
        tail = ADD(known, count);
        d_step {
#else
        atomic {
          if
          :: tail != known -> known = tail; goto again
          :: else
          fi;
          tail = ADD(known, count);
#endif
          index = 0;
          do
          :: index < count -> order[claims] = firstElement + number + index; claims++; index++
          :: else -> index = 0; break
          od
        };
        break;
again:
        skip
     od;
     /* Last to first, as offer(contentsOf:). */
     index = count;
     do
     :: index > 0 ->
        index--;
        publish(ADD(known, index), firstElement + number + index)
     :: else -> break
     od;
     number = number + count;
refused:
     skip;
     d_step { known = 0; bound = 0; count = 0; wasFull = false }
  :: else -> break
  od
}

proctype consumer(byte me) {
  byte position = FIRST;
  byte seen = 0;
  byte element, left;

  do
  :: seen < TOTAL ->
     if
#ifdef READ_CLAIMED
     :: tail != position
#else
     :: sequence[SLOT(position)] == ADD(position, 1)
#endif
     :: else ->
        /* The batch ends: store the cursor, and continue when the next element is published. */
        cursor[me] = position;
#ifdef READ_CLAIMED
        tail != position
#else
        sequence[SLOT(position)] == ADD(position, 1)
#endif
     fi;
#ifdef SHOW_EARLY
     cursor[me] = ADD(position, 1);
#endif
     atomic { readers[SLOT(position)]++; element = item[SLOT(position)] };
     d_step {
       assert(element != 0 && element == order[seen]);
       assert(echo[SLOT(position)] == element);
       assert(!freed[element]);
       readers[SLOT(position)]--
     };
     left = remaining[SLOT(position)];
     if
     :: left != 1 ->
#ifdef LEAVE_BY_STORE
        left--;
        remaining[SLOT(position)] = left
#else
        d_step { remaining[SLOT(position)]--; left = remaining[SLOT(position)] }
#endif
     :: else -> left = 0
     fi;
     if
     :: left == 0 ->
        d_step {
          assert(item[SLOT(position)] == element && !freed[element]);
          freed[element] = true;
          echo[SLOT(position)] = 0
        };
        item[SLOT(position)] = 0
     :: else
     fi;
     d_step { element = 0; left = 0; position = ADD(position, 1); seen++ };
     /* In a long batch the cursor is stored now and then. */
     if
     :: cursor[me] = position
     :: true
     fi
  :: else -> break
  od;
  cursor[me] = position;
  d_step {
    finished++;
    if
    :: finished == CONSUMERS ->
       left = 1;
       do
       :: left <= TOTAL -> assert(freed[left]); left++
       :: else -> break
       od;
       left = 0;
       do
       :: left < CAPACITY -> assert(item[left] == 0); left++
       :: else -> break
       od
    :: else
    fi
  }
}

init {
  byte index = 0;
  atomic {
    do
    :: index < CAPACITY ->
       sequence[SLOT(ADD(FIRST, index))] = SUB(ADD(FIRST, index + 1), CAPACITY);
       index++
    :: else -> break
    od;
    index = 0;
    do
    :: index < CONSUMERS -> cursor[index] = FIRST; index++
    :: else -> break
    od;
    index = 0;
    do
    :: index < CONSUMERS -> run consumer(index); index++
    :: else -> break
    od;
    index = 0;
    do
    :: index < PRODUCERS -> run producer(1 + index * EACH); index++
    :: else -> break
    od
  }
}
