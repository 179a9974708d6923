/* Events after their messages: the bounded drain of Sources/Broadcast/BroadcastRing.swift (`end`),
 * with the mailbox of Sources/Broadcast/Mailbox.swift, step by step, for Spin.
 *
 * EACH times a producer posts a message and then offers an element that must not come before it.
 * A turn of the consumer reads the end of the ring, hands over as many messages as were counted,
 * and then the elements before the end. While it hands over messages it may need room in a full
 * ring: then it sets elements aside, which stay before those of the ring. The ring has room for all
 * elements: ring.pml checks how its slots are used again.
 *
 * Checked, for every interleaving: no element is handed over before its message; elements are
 * handed over in the order of the ring, each once; every process ends, so the consumer does not
 * sleep while there is work.
 *
 * Seeded bugs, each of which must be found (-D...):
 *   END_LATE      the end is read after the messages (a relaxed load of the tail allows it)
 *   NO_END        all published elements are handed over
 *   OFFER_EARLY   the tail is moved before the message is posted (a relaxed exchange allows it)
 *   COUNT_LATE    a message is counted after it was posted
 *   DELIVER_FULL  the elements are handed over when room is needed
 *   ASIDE_WHOLE   the elements that were set aside are handed over whatever the end
 *   SLEEP_ON_END  the consumer sleeps when it has handed over all elements before the end
 */

#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef EACH
#define EACH 2
#endif
#define TOTAL (PRODUCERS * EACH)

byte counted = 0;         /* the mailbox's count of waiting messages */
byte message[TOTAL];      /* the posted messages, by their numbers from 1; 0 is none yet */
byte posted = 0;
byte tail = 0;
byte element[TOTAL];      /* the published elements, by their messages' numbers; 0 is none yet */
bool received[TOTAL + 1]; /* ghost: the messages that were handed over */

inline post(number) {
#ifndef COUNT_LATE
  counted++;
#endif
  d_step { message[posted] = number; posted++ };
#ifdef COUNT_LATE
  counted++
#endif
}

inline claim() {
  d_step { position = tail; tail++ }
}

proctype producer(byte first) {
  byte number = first;
  byte position;
  do
  :: number < first + EACH ->
#ifdef OFFER_EARLY
     claim();
     post(number);
#else
     post(number);
     claim();
#endif
     element[position] = number;
     number++
  :: else -> break
  od
}

/* Hands over the element at `next`; the elements set aside are a prefix of the ring's rest. */
inline deliver() {
  d_step {
    assert(element[next] != 0);
    assert(received[element[next]]);
    next++;
    if
    :: aside > 0 -> aside--
    :: else
    fi
  }
}

active proctype consumer() {
  byte taken = 0; /* messages handed over */
  byte next = 0;  /* the next element to hand over */
  byte aside = 0; /* elements from `next` on that were set aside */
  byte end, share;
  do
  :: next == TOTAL -> break
  :: else ->
#ifndef END_LATE
     end = tail;
#endif
     share = counted;
     do
     :: share > 0 && taken < posted ->
        d_step { received[message[taken]] = true; taken++; counted--; share-- };
        /* A message may cause events that need room. */
        do
        :: next + aside < TOTAL && element[next + aside] != 0 ->
#ifdef DELIVER_FULL
           deliver()
#else
           aside++
#endif
        :: break
        od
     :: else -> break
     od;
#ifdef END_LATE
     end = tail;
#endif
     do
#ifdef NO_END
     :: next < TOTAL && element[next] != 0 -> deliver()
#elif defined(ASIDE_WHOLE)
     :: next < TOTAL && element[next] != 0 && (next < end || aside > 0) -> deliver()
#else
     :: next < end && element[next] != 0 -> deliver()
#endif
     :: else -> break
     od;
     /* With events set aside the shard does not wait. Else parking.pml: it sleeps until a message
      * or an element is published. */
     atomic { end = 0; share = 0 };
     if
     :: next == TOTAL
#ifdef SLEEP_ON_END
     :: taken < posted
#else
     :: aside > 0
     :: taken < posted
     :: next < TOTAL && element[next] != 0
#endif
     fi
  od
}

init {
  byte index = 0;
  atomic {
    do
    :: index < PRODUCERS -> run producer(1 + index * EACH); index++
    :: else -> break
    od
  }
}
