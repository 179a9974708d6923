// The Socket.IO state of an Engine.IO session: the namespaces that its client is connected to, the
// packet with attachments still to come, and the acknowledgements that the server awaits.

internal import Notifications
internal import Wire

/// A client's connection to one namespace.
///
/// The small fields come last, together in one word: most sessions have one of these.
struct SocketIOSocket {
  /// The id for recovery, from which the socket's id is derived.
  var recovery: RecoveryID
  /// The offset of the last notification sent to a client that gets cursors, or of its start.
  var position: UInt64 = 0
  /// The position that the client wants to resume from, until it is greeted.
  var resumption: SocketIOResumption?
  /// The slot of the user's session, once there is one.
  var slot: UInt32?
  /// Whether the client's CONNECT has been accepted.
  var isConnected = false
  private let namespaceNumber: UInt8
  /// Index into the application's namespaces.
  var namespace: Int { Int(namespaceNumber) }

  /// Makes the connection to a namespace, which `EnginePath` bounds to one byte.
  init(namespace: Int, recovery: RecoveryID) {
    namespaceNumber = UInt8(namespace)
    self.recovery = recovery
  }
}

/// The recovery data that a returning client sends.
///
/// An object, because only a client that is connecting has one.
final class SocketIOResumption {
  /// The `pid` that the client was given.
  let text: String
  let recovery: RecoveryID
  /// The client's claimed position in the store's history.
  let cursor: Cursor
  /// Whether the client also passed `since`.
  let hasSince: Bool

  init(text: String, recovery: RecoveryID, cursor: Cursor, hasSince: Bool) {
    self.text = text
    self.recovery = recovery
    self.cursor = cursor
    self.hasSince = hasSince
  }
}

/// An Engine.IO session that carries Socket.IO.
///
/// The small fields come first, where they fill the space after those of `EngineSession`.
final class SocketIOSession: EngineSession {
  /// Whether the session's own slot has ever been given to a namespace.
  var hasGivenSlot = false
  /// At most one per namespace.
  var sockets: [SocketIOSocket] = []
  /// The packet that still waits for attachments, if any.
  var assembly: PendingAssembly?
  /// Acknowledgements that the client still has to send.
  var acknowledgements: PendingAcknowledgements?
  /// An object, because few sessions have one.
  private var sinceOfQuery: SinceText?

  /// `since` in the query of its first request, for clients that did not put it into CONNECT.
  var since: String? {
    get { sinceOfQuery?.text }
    set { sinceOfQuery = newValue.map(SinceText.init) }
  }

  private final class SinceText {
    let text: String

    init(_ text: String) { self.text = text }
  }

  /// The text, or another one that is no cursor either if it is longer than any cursor.
  ///
  /// The session keeps it for as long as it lives.
  static func bounded(since text: String) -> String {
    // guard: since-bytes-bounded
    text.utf8.count <= sinceBytesLimit ? text : "too long"
  }

  /// Bytes of a `since` that a session keeps.
  static let sinceBytesLimit = 64

  /// Index in `sockets` of that namespace's socket.
  func index(ofNamespace namespace: Int) -> Int? {
    sockets.firstIndex { $0.namespace == namespace }
  }

  /// Index in `sockets` of the socket with its user session at `slot`.
  func index(atSlot slot: UInt32) -> Int? {
    sockets.firstIndex { $0.slot == slot }
  }

  /// Keeps the offset of the last notification sent to the user session at `slot`.
  func keepPosition(_ offset: UInt64, at slot: UInt32) {
    if let index = index(atSlot: slot) { sockets[index].position = offset }
  }

  // MARK: Called by Engine.IO

  override var furtherSlots: [UInt32] {
    sockets.compactMap(\.slot).filter { $0 != slot }
  }

  override var nextDeadline: UInt64 {
    min(acknowledgements?.firstEnd ?? .max, assembly?.endsAt ?? .max)
  }

  override func forget(_ slot: UInt32) {
    if let index = index(atSlot: slot) { sockets[index].slot = nil }
  }
}

/// A packet that waits for its attachments.
final class PendingAssembly {
  /// Time in which all attachments must arrive.
  static let timeoutMilliseconds: UInt64 = 10_000

  var assembly: SocketIOAssembly
  let endsAt: UInt64

  init(_ assembly: SocketIOAssembly, endsAt: UInt64) {
    self.assembly = assembly
    self.endsAt = endsAt
  }
}

/// Acknowledgements that one client still has to send, and delays that an application waits for.
final class PendingAcknowledgements {
  /// Limit on the entries at once.
  static let countLimit = 1_024

  struct Entry {
    /// Nil for a delay, which no acknowledgement ends.
    let id: UInt64?
    let namespace: Int
    let endsAt: UInt64
    let completion: (SocketIOReply?) -> Void
  }

  /// In the order of the requests.
  private(set) var entries: [Entry] = []
  private var lastID: UInt64 = 0
  /// The earliest deadline of an entry; `.max` without entries.
  private(set) var firstEnd = UInt64.max

  /// Adds an awaited acknowledgement and returns its id; nil at the limit.
  func insert(
    namespace: Int, endsAt: UInt64, _ completion: @escaping (SocketIOReply?) -> Void
  ) -> UInt64? {
    // guard: pending-acknowledgements
    guard entries.count < PendingAcknowledgements.countLimit else { return nil }
    lastID += 1
    append(Entry(id: lastID, namespace: namespace, endsAt: endsAt, completion: completion))
    return lastID
  }

  /// Adds a delay; false at the limit.
  func insertDelay(namespace: Int, endsAt: UInt64, _ completion: @escaping () -> Void) -> Bool {
    guard entries.count < PendingAcknowledgements.countLimit else { return false }
    append(Entry(id: nil, namespace: namespace, endsAt: endsAt) { _ in completion() })
    return true
  }

  private func append(_ entry: Entry) {
    entries.append(entry)
    firstEnd = min(firstEnd, entry.endsAt)
  }

  /// Removes and returns the entry of that id, if it is awaited in that namespace.
  func remove(_ id: UInt64, namespace: Int) -> Entry? {
    guard let index = entries.firstIndex(where: { $0.id == id && $0.namespace == namespace }) else {
      return nil
    }
    defer { setFirstEnd() }
    return entries.remove(at: index)
  }

  /// Removes and returns the entries that have ended.
  func removeEnded(at now: UInt64) -> [Entry] {
    guard firstEnd <= now else { return [] }
    let ended = entries.filter { $0.endsAt <= now }
    entries.removeAll { $0.endsAt <= now }
    setFirstEnd()
    return ended
  }

  /// Removes the entries of a namespace, or all, and returns the awaited acknowledgements of them.
  func removeAll(ofNamespace namespace: Int?) -> [Entry] {
    let ended = entries.filter { namespace == nil || $0.namespace == namespace }
    entries.removeAll { namespace == nil || $0.namespace == namespace }
    setFirstEnd()
    return ended.filter { $0.id != nil }
  }

  private func setFirstEnd() {
    firstEnd = entries.reduce(.max) { min($0, $1.endsAt) }
  }
}
