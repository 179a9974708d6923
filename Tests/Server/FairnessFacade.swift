// A shard's fairness for tests: the memory of pages, and the reads of the store.

@testable import Server

extension ShardView {
  /// Bytes of pages, reserved or being sent.
  var pageByteCount: Int { shard.pages.byteCount }
  /// Reads of the store in flight, and the askers that wait for others.
  var storeReads: (inFlight: Int, waiting: Int) { shard.storeReads.counts }
}

extension ConnectionView {
  /// Whether its request waits for an answer.
  var hasPendingAnswer: Bool { holder?.table[slot].activity.exchange?.pending != nil }
}
