// What a session of Engine.IO has beside when Socket.IO is spoken over it: the namespaces that its
// client is connected to, the packet whose attachments are still to come, and the acknowledgements
// that are awaited.

internal import Notifications
internal import Wire

/// A client's connection to one namespace.
struct SocketIOSocket {
  /// Which of the application's namespaces.
  let namespace: Int
  /// What it is recovered by, and its id is made of.
  var recovery: RecoveryID
  /// The place that its user's session has, once it has one.
  var slot: UInt32?
  /// Where the client says it was: what it has is sent from there on.
  var resumption: SocketIOResumption?
  /// Whether the client has been told that it is connected.
  var isConnected = false
}

/// What a client that was here before says of itself.
struct SocketIOResumption {
  /// The text by which it was told to recover.
  let text: String
  let recovery: RecoveryID
  /// Where it was in the store's history, as it says.
  let cursor: String
}

/// A session over which Socket.IO is spoken.
final class SocketIOSession: EngineSession {
  /// One for each namespace at most.
  var sockets: [SocketIOSocket] = []
  /// A packet that waits for its attachments, until then.
  var assembly: PendingAssembly?
  /// What the server has asked and the client has not answered.
  var acknowledgements: PendingAcknowledgements?
  /// Whether a namespace has, or has had, the session's own place.
  var hasGivenSlot = false

  /// Where the socket of that namespace is among the sockets.
  func index(ofNamespace namespace: Int) -> Int? {
    sockets.firstIndex { $0.namespace == namespace }
  }

  /// Where the socket whose session has `slot` is among the sockets.
  func index(atSlot slot: UInt32) -> Int? {
    sockets.firstIndex { $0.slot == slot }
  }
}

/// A packet that waits for its attachments.
final class PendingAssembly {
  /// Time that a client has to bring them.
  static let timeoutMilliseconds: UInt64 = 10_000

  var assembly: SocketIOAssembly
  let endsAt: UInt64

  init(_ assembly: SocketIOAssembly, endsAt: UInt64) {
    self.assembly = assembly
    self.endsAt = endsAt
  }
}

/// Acknowledgements that one client owes.
final class PendingAcknowledgements {
  /// As many may be awaited at once.
  static let countLimit = 1_024

  struct Entry {
    let id: UInt64
    let namespace: Int
    let endsAt: UInt64
    let completion: (SocketIOReply?) -> Void
  }

  /// In the order in which they were asked for.
  private(set) var entries: [Entry] = []
  private var lastID: UInt64 = 0
  /// When the first of them is given up.
  private(set) var firstEnd = UInt64.max

  /// Notes that an acknowledgement is awaited, and says its id; nil when there are too many.
  func insert(
    namespace: Int, endsAt: UInt64, _ completion: @escaping (SocketIOReply?) -> Void
  ) -> UInt64? {
    // guard: pending-acknowledgements
    guard entries.count < PendingAcknowledgements.countLimit else { return nil }
    lastID += 1
    entries.append(
      Entry(id: lastID, namespace: namespace, endsAt: endsAt, completion: completion))
    firstEnd = min(firstEnd, endsAt)
    return lastID
  }

  /// Takes the one of that id, if it is awaited in that namespace.
  func remove(_ id: UInt64, namespace: Int) -> Entry? {
    guard let index = entries.firstIndex(where: { $0.id == id && $0.namespace == namespace }) else {
      return nil
    }
    defer { setFirstEnd() }
    return entries.remove(at: index)
  }

  /// Takes those that nobody answered in time.
  func removeEnded(at now: UInt64) -> [Entry] {
    guard firstEnd <= now else { return [] }
    let ended = entries.filter { $0.endsAt <= now }
    entries.removeAll { $0.endsAt <= now }
    setFirstEnd()
    return ended
  }

  /// Takes those of a namespace, or of all.
  func removeAll(ofNamespace namespace: Int?) -> [Entry] {
    let ended = entries.filter { namespace == nil || $0.namespace == namespace }
    entries.removeAll { namespace == nil || $0.namespace == namespace }
    setFirstEnd()
    return ended
  }

  private func setFirstEnd() {
    firstEnd = entries.reduce(.max) { min($0, $1.endsAt) }
  }
}
