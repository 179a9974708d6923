// A shard's API keys, the event streams that they have opened, and the times of their use.
//
//     a request with a key ─▶ this shard, once a minute for a key ─ keyUsed ─▶ first shard ─▶ store
//
// The time of a use has the precision of a minute. It is written later and on no path of a request:
// the first shard collects the times of all shards, and the store writes each at most once a
// minute for a key.

internal import Broadcast
internal import Delivery
internal import Notifications

/// The API keys of one shard.
///
/// Invariant: only the first shard has uses to write. Each stream belongs to a use of a key in
/// `ring`, or its connection has ended.
final class APIKeys: ShardComponent {
  /// The precision of a use's time.
  static let useMilliseconds: Int64 = 60_000
  /// Time between two commands that write uses.
  static let writeMilliseconds: UInt64 = 1_000

  let context: ShardContext
  private var ring: KeyRing
  /// The minutes of the latest use on this shard, by key.
  private var seen: [APIKeyID: Int64] = [:]
  /// The minutes that were given to the store, by key.
  private var written: [APIKeyID: Int64] = [:]
  /// The minutes that the store has not got yet.
  private var unwritten: [APIKeyID: Int64] = [:]
  private var writeAt: UInt64 = 0
  /// The streams that keys have opened.
  private var streams: [ConnectionID: APIKeyUse] = [:]

  init(_ context: ShardContext) {
    self.context = context
    ring = context.core.firstKeys
  }

  /// Whether the server has no key, not even one that has ended.
  var isEmpty: Bool { ring.isEmpty }

  /// The key with that id, with the changes that were answered.
  subscript(id: APIKeyID) -> APIKey? { ring[id] }

  /// Finds the key with a secret of that text, and notes its use.
  func use(_ text: String) throws(KeyRefusal) -> APIKeyUse {
    do throws(KeyRefusal) {
      let use = try ring.find(text, at: wall)
      note(use.id)
      return use
    } catch {
      switch error {
      case .unknown: metrics.add(.keysRefusedUnknown)
      case .expired: metrics.add(.keysRefusedExpired)
      case .revoked: metrics.add(.keysRefusedRevoked)
      }
      throw error
    }
  }

  /// When the use of a key ends, in milliseconds since 1970; nil if it has ended.
  func end(of use: APIKeyUse) -> Int64? {
    guard let end = ring.end(of: use), end > wall else { return nil }
    return end
  }

  // MARK: Changes

  /// Replaces the keys; returns the streams of keys, each with the new end of its use.
  func replace(_ ring: KeyRing) -> [(id: ConnectionID, end: Int64?)] {
    self.ring = ring
    seen = seen.filter { ring[$0.key] != nil }
    written = written.filter { ring[$0.key] != nil }
    // guard: uses-of-known-keys-only
    unwritten = unwritten.filter { ring[$0.key] != nil }
    forgetEndedStreams()
    return streams.map { ($0.key, end(of: $0.value)) }
  }

  /// Notes that a key has opened the stream at `slot`.
  func addStream(at slot: UInt32, of use: APIKeyUse) {
    forgetEndedStreams()
    streams[table.id(of: slot)] = use
  }

  private func forgetEndedStreams() {
    streams = streams.filter { table.holds($0.key) }
  }

  // MARK: Uses

  private func note(_ id: APIKeyID) {
    let minute = wall - wall % Self.useMilliseconds
    // guard: key-use-once-a-minute
    guard seen[id] != minute else { return }
    seen[id] = minute
    core.mailboxes[0].append(.keyUsed(id, at: minute))
  }

  /// Takes the time of a use on some shard, on the first shard.
  func take(useOf id: APIKeyID, at minute: Int64) {
    guard ring[id] != nil, minute > written[id] ?? .min else { return }
    unwritten[id] = minute
  }

  /// Gives the store the uses that it has not got; during the drain it takes no more commands.
  func writeUses(isDraining: Bool) {
    guard !unwritten.isEmpty, now >= writeAt, !isDraining, core.store.failure == nil else { return }
    writeAt = now + Self.writeMilliseconds
    // If the queue is full, a turn after the pause tries again. A failed write is not repeated: the
    // next minute's follows.
    guard core.store.submit(.apiKeys(.noteUses(unwritten)), reply: { _ in }) else { return }
    written.merge(unwritten) { $1 }
    unwritten = [:]
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(index == 0 || unwritten.isEmpty && written.isEmpty)
    for (id, minute) in unwritten { assert(minute > written[id] ?? .min) }
  }
}

/// Counts the shards that have taken a message, on any thread.
///
/// Invariant: `done` is called once, by the last of the calls of `arrive`.
final class Arrivals: Sendable {
  private let missingCount: Guarded<Int>
  private let done: @Sendable () -> Void

  init(of count: Int, done: @escaping @Sendable () -> Void) {
    missingCount = Guarded(count)
    self.done = done
  }

  func arrive() {
    let isLast = missingCount.withLock { count in
      count -= 1
      return count == 0
    }
    if isLast { done() }
  }
}
