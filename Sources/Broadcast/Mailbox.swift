// The mailbox: messages (requests and answers) for one thread.
//
// Posters push onto a linked stack with one compare-and-swap; the reader takes the whole stack with
// one exchange and reverses it. A queue of linked nodes fills in "next" separately, so a
// descheduled poster hides the messages posted after its own; here there is no such moment. A
// reused node address (ABA) does no harm: a push only needs its "next" to be the current head, and
// nodes are only ever removed all at once.

internal import Synchronization

/// Many posters, one reader, lock-free; first in, first out for each poster and over all.
///
/// Each message is one node on the heap, freed when it is handed over. `offer` is bounded by the
/// capacity; `append` is for messages that are bounded otherwise (an answer to an admitted
/// request).
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
  /// Messages the reader has taken and not handed over, oldest first; touched by the reader only.
  private var taken: UnsafeMutablePointer<Node>?

  @unsafe private struct Node {
    var next: UnsafeMutablePointer<Node>?
    let message: Message
  }

  /// Makes an empty mailbox; its reader parks in `parker`.
  package init(capacity: Int, parker: Parker) {
    precondition(capacity > 0, "capacity \(capacity)")
    self.capacity = capacity
    self.parker = parker
    unsafe self.taken = nil
  }

  deinit {
    // acquiring: pairs with the push in `post`. No other thread has a reference any more.
    unsafe Self.free(head.exchange(nil, ordering: .acquiring))
    unsafe Self.free(taken)
  }

  /// Posts a message unless `capacity` are waiting, or `limit`; false if it is refused.
  ///
  /// Any thread, also from within a drain's `body`. With a limit, a kind of message leaves a part
  /// of the mailbox to others.
  package func offer(_ message: Message, within limit: Int = .max) -> Bool {
    let capacity = min(capacity, limit)
    // relaxed: the count only bounds the mailbox and orders nothing; the exchange checks it.
    var current = waiting.load(ordering: .relaxed)
    while true {
      guard current < capacity else { return false }
      // relaxed: as above. Counted before it is posted, so the count is never too low.
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

  /// Hands up to `limit` messages to `body`, oldest first; returns how many.
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
      // relaxed: orders nothing. Before `body`, so that `body` may post a message in its place.
      waiting.subtract(1, ordering: .relaxed)
      body(message)
      count += 1
    }
    return count
  }

  /// Whether there is a message to hand over.
  ///
  /// The reader's thread only: this is the re-check in `Parker.park`.
  package var hasWork: Bool {
    if unsafe taken != nil { return true }
    // sequentially consistent: step 4 of parking; pairs with the push in `post`.
    return unsafe head.load(ordering: .sequentiallyConsistent) != nil
  }

  /// How many messages are waiting; may be stale.
  package var count: Int {
    // relaxed: a number for metrics; it may be off by a few messages that are just being posted or
    // taken.
    waiting.load(ordering: .relaxed)
  }

  private func post(_ message: Message) {
    // SAFETY: fresh memory, initialized here; owned by this poster until the exchange succeeds, by
    // the reader from then on.
    let node = UnsafeMutablePointer<Node>.allocate(capacity: 1)
    unsafe node.initialize(to: Node(next: nil, message: message))
    // relaxed: only a guess for the exchange; the node it points to is not read.
    var expected = unsafe head.load(ordering: .relaxed)
    while true {
      unsafe node.pointee.next = expected
      // sequentially consistent: as a release it pairs with the exchange in `takePosted`, which
      // then sees the node's content; as step 1 of parking it pairs with the load in `hasWork`. The
      // nodes further down were released by earlier pushes, and this one continues their release
      // sequence. relaxed on failure: it only gives the next guess.
      let (exchanged, original) = unsafe head.weakCompareExchange(
        expected: expected, desired: node,
        successOrdering: .sequentiallyConsistent, failureOrdering: .relaxed)
      if exchanged { break }
      unsafe expected = original
    }
    parker.unpark()
  }

  /// Takes every posted message and reverses the chain to oldest first.
  private func takePosted() {
    // relaxed: saves the exchange when there is no message; the reader checks again before it
    // parks.
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
    // SAFETY: called by `deinit` only, so no other thread has the chain; every node in it is
    // initialized.
    var rest = unsafe chain
    while let node = unsafe rest {
      unsafe rest = node.pointee.next
      unsafe node.deinitialize(count: 1)
      unsafe node.deallocate()
    }
  }
}
