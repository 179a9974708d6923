// The mailbox: answers and errands for one thread.
//
// Posters push onto a linked stack with one compare-and-swap; the reader takes the whole stack with
// one exchange and turns it round. Unlike a queue of linked nodes with a separate "next" to fill
// in, there is no moment in which a poster that was descheduled hides what others posted after it.
// A node whose address comes back (ABA) does no harm: a push only needs the head to be the head,
// and nothing but the taking of everything ever removes a node.

internal import Synchronization

/// Many posters, one reader, lock-free; first in, first out for each poster and over all.
///
/// Each message is one node on the heap, freed when it is handed over. `offer` is bounded by the
/// capacity; `append` is for what is bounded otherwise (an answer to a request that was admitted).
///
/// Invariant: `count` is at least the number of messages posted and not handed over.
@safe package final class Mailbox<Message: Sendable>: @unchecked Sendable {
  // Proof of Sendable: `head` and `waiting` are atomic; a node belongs to its poster until the push
  // and to the reader after the exchange that took it; `taken` is touched by the reader only.

  private let capacity: Int
  private let parker: Parker
  /// The newest message posted and not taken.
  private let head = unsafe Atomic<UnsafeMutablePointer<Node>?>(nil)
  /// Messages waiting, or about to be: counted up by posters, down by the reader.
  private let waiting = Atomic<Int>(0)
  /// What the reader has taken and not handed over, oldest first; touched by the reader only.
  private var taken: UnsafeMutablePointer<Node>?

  @unsafe private struct Node {
    var next: UnsafeMutablePointer<Node>?
    let message: Message
  }

  /// Makes an empty mailbox whose reader sleeps in `parker`.
  package init(capacity: Int, parker: Parker) {
    precondition(capacity > 0, "capacity \(capacity)")
    self.capacity = capacity
    self.parker = parker
    unsafe self.taken = nil
  }

  deinit {
    // acquiring: pairs with the push in `post`. Nobody else is there any more.
    unsafe Self.free(head.exchange(nil, ordering: .acquiring))
    unsafe Self.free(taken)
  }

  /// Posts a message unless `capacity` are waiting; false: refused.
  ///
  /// Any thread, also from within a drain's `body`.
  package func offer(_ message: Message) -> Bool {
    // relaxed: the count bounds and orders nothing; the exchange checks it.
    var current = waiting.load(ordering: .relaxed)
    while true {
      guard current < capacity else { return false }
      // relaxed: as above. Counted before it is posted, so the count never falls short.
      let (exchanged, original) = waiting.weakCompareExchange(
        expected: current, desired: current + 1, ordering: .relaxed)
      if exchanged { break }
      current = original
    }
    post(message)
    return true
  }

  /// Posts a message, however many are waiting.
  ///
  /// Any thread, also from within a drain's `body`. The caller bounds it otherwise.
  package func append(_ message: Message) {
    // relaxed: as in `offer`.
    waiting.add(1, ordering: .relaxed)
    post(message)
  }

  /// Hands up to `limit` messages to `body`, oldest first, and answers how many.
  ///
  /// The reader's thread only, one drain at a time.
  package func drain(limit: Int, _ body: (Message) -> Void) -> Int {
    precondition(limit >= 0, "limit \(limit)")
    var count = 0
    while count < limit {
      if unsafe taken == nil { takePosted() }
      // SAFETY: taken nodes belong to the reader, initialized; unlinked before it is freed, and
      // before `body` runs, which may post.
      guard let node = unsafe taken else { break }
      unsafe taken = node.pointee.next
      let message = unsafe node.pointee.message
      unsafe node.deinitialize(count: 1)
      unsafe node.deallocate()
      // relaxed: the place is free for another before `body` runs; orders nothing.
      waiting.subtract(1, ordering: .relaxed)
      body(message)
      count += 1
    }
    return count
  }

  /// Whether there is a message to hand over.
  ///
  /// The reader's thread only: the second look of `Parker.park`.
  package var hasWork: Bool {
    if unsafe taken != nil { return true }
    // sequentially consistent: step 4 of parking; pairs with the push in `post`.
    return unsafe head.load(ordering: .sequentiallyConsistent) != nil
  }

  /// How many messages are waiting; may be stale.
  package var count: Int {
    // relaxed: a number for metrics; a few messages early or late is all it can be off.
    waiting.load(ordering: .relaxed)
  }

  private func post(_ message: Message) {
    // SAFETY: fresh memory, initialized here; this poster's alone until the exchange succeeds, the
    // reader's from then on.
    let node = UnsafeMutablePointer<Node>.allocate(capacity: 1)
    unsafe node.initialize(to: Node(next: nil, message: message))
    // relaxed: only a guess for the exchange; the node it names is not looked into.
    var expected = unsafe head.load(ordering: .relaxed)
    while true {
      unsafe node.pointee.next = expected
      // sequentially consistent: as a release it pairs with the exchange in `takePosted`, which
      // then sees the node's content; as step 1 of parking it pairs with the load in `hasWork`. The
      // nodes further down were released by pushes of which this one continues the release
      // sequence. relaxed on failure: the next guess.
      let (exchanged, original) = unsafe head.weakCompareExchange(
        expected: expected, desired: node,
        successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed)
      if exchanged { break }
      unsafe expected = original
    }
    parker.unpark()
  }

  /// Takes all that is posted and turns it round, oldest first.
  private func takePosted() {
    // relaxed: saves the exchange when there is nothing; the reader looks again before it sleeps.
    guard unsafe head.load(ordering: .relaxed) != nil else { return }
    // acquiring: pairs with the push in `post`.
    var newest = unsafe head.exchange(nil, ordering: .acquiring)
    // SAFETY: the exchange made the whole chain this thread's own.
    while let node = unsafe newest {
      unsafe newest = node.pointee.next
      unsafe node.pointee.next = taken
      unsafe taken = node
    }
  }

  private static func free(_ chain: UnsafeMutablePointer<Node>?) {
    // SAFETY: called by `deinit` only, alone with the chain; every node in it is initialized.
    var rest = unsafe chain
    while let node = unsafe rest {
      unsafe rest = node.pointee.next
      unsafe node.deinitialize(count: 1)
      unsafe node.deallocate()
    }
  }
}
