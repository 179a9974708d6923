/* Parking: Sources/Broadcast/Parker.swift, step by step, for Spin.
 *
 * Producers publish and then read the flag; the consumer raises the flag and then reads the
 * published count. Spin interleaves single steps, as sequential consistency guarantees. The sleep
 * is an eventfd: a wake-up that precedes it is not lost.
 *
 * Checked: no reachable state in which the consumer sleeps although there is work and no producer
 * will wake it (Spin calls that an invalid end state), and at most one wake-up for each parking.
 *
 * Seeded bugs, each of which must be found (-D...):
 *   NO_SECOND_LOOK   the consumer sleeps without checking again
 *   FLAG_LATE        the consumer's read passes its store to the flag (a releasing store allows it)
 *   PUBLISH_LATE     the read of the flag passes the publishing store (likewise)
 *   NO_EXCHANGE      publishers read the flag and lower it in two steps: one wake-up too many
 */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define TOTAL (PRODUCERS * EACH)

byte published = 0;  /* the count that hasWork reads */
bool parked = false;
byte wakes = 0;      /* the eventfd's counter */
byte parkings = 0;   /* ghosts: how often the flag was raised, and how often taken to wake */
byte taken = 0;

inline unpark() {
#ifdef NO_EXCHANGE
  if
  :: parked -> parked = false; taken++; wakes++; assert(taken <= parkings)
  :: else
  fi
#else
  if
  :: parked ->
     atomic { found = parked; parked = false };
     if
     :: found -> taken++; assert(taken <= parkings); wakes++
     :: else
     fi
  :: else
  fi
#endif
}

active [PRODUCERS] proctype producer() {
  byte number = 0;
  bool found;
  do
  :: number < EACH ->
#ifdef PUBLISH_LATE
     found = parked;
     published++;
     if
     :: found -> parked = false; wakes++
     :: else
     fi;
#else
     published++;
     unpark();
#endif
     number++
  :: else -> break
  od
}

active proctype consumer() {
  byte seen = 0;
  do
  :: seen == TOTAL -> break
  :: seen < TOTAL && published > seen -> seen++
  :: seen < TOTAL && published == seen ->
#ifdef FLAG_LATE
     if
     :: published > seen -> goto again
     :: else
     fi;
     atomic { parked = true; parkings++ };
#else
     atomic { parked = true; parkings++ };
#ifndef NO_SECOND_LOOK
     if
     :: published > seen ->
        parked = false;
        goto again
     :: else
     fi;
#endif
#endif
     wakes > 0; /* blocked until the eventfd counts */
     wakes = 0;
     parked = false;
again:
     skip
  od
}
