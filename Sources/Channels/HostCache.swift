// The addresses of names that were resolved a short time ago.

internal import Reactor

/// Addresses by name, each for a time, of a bounded number of names.
///
/// Invariant: `entries` has at most `capacity` names.
struct HostCache {
  private struct Entry {
    let addresses: [PeerAddress]
    /// Monotonic milliseconds.
    let end: UInt64
  }

  private let capacity: Int
  private let lifetimeMilliseconds: UInt64
  private let failureLifetimeMilliseconds: UInt64
  private var entries: [String: Entry] = [:]

  init(capacity: Int, lifetimeMilliseconds: UInt64, failureLifetimeMilliseconds: UInt64) {
    precondition(capacity > 0, "capacity \(capacity)")
    self.capacity = capacity
    self.lifetimeMilliseconds = lifetimeMilliseconds
    self.failureLifetimeMilliseconds = failureLifetimeMilliseconds
  }

  var count: Int { entries.count }

  /// The addresses of a name, none if it does not resolve; nil if that is not known.
  func addresses(of name: String, now: UInt64) -> [PeerAddress]? {
    // guard: cached-names-end
    guard let entry = entries[name], now < entry.end else { return nil }
    return entry.addresses
  }

  /// Keeps the addresses of a name.
  mutating func insert(_ addresses: [PeerAddress], for name: String, now: UInt64) {
    // guard: cached-names-bounded
    if entries.count >= capacity, entries[name] == nil { makeRoom(now: now) }
    let lifetime = addresses.isEmpty ? failureLifetimeMilliseconds : lifetimeMilliseconds
    entries[name] = Entry(addresses: addresses, end: now &+ lifetime)
    assert(entries.count <= capacity)
  }

  /// Removes the entries that have ended; if there are none, the one that ends first.
  private mutating func makeRoom(now: UInt64) {
    entries = entries.filter { now < $0.value.end }
    guard entries.count >= capacity,
      let first = entries.min(by: { $0.value.end < $1.value.end })?.key
    else { return }
    entries[first] = nil
  }
}
