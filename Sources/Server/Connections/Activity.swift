// The current activity of a connection. At most one is in progress; each has its own state.
//
// A message that arrives in fragments may do so during another activity, which then keeps it.
//
// Invariant: only a connection in the state `.http` has a request, and only one in the state
// `.session` has any of the others. An ended connection is idle.

/// What a connection does at the moment, and the state of it.
///
/// Eight bytes, because each case holds one reference.
enum Activity {
  case idle
  /// A request is being received or answered.
  case request(Exchange)
  /// A message arrives in fragments.
  case fragments(MessageAssembly)
  /// The session resumes or catches up: missed notifications are sent before live ones.
  case replay(Replay)
  /// A page of the inbox is being read for the client.
  case fetch(Fetch)
  /// Upgraded without a token: the session has no user and is in no group until a message brings
  /// one.
  case authentication(PendingAuthentication)
  /// An Engine.IO session may upgrade to this WebSocket.
  case probe(EngineProbe)

  var isIdle: Bool { if case .idle = self { true } else { false } }

  var exchange: Exchange? { if case .request(let exchange) = self { exchange } else { nil } }

  var replay: Replay? { if case .replay(let replay) = self { replay } else { nil } }

  var isReplay: Bool { if case .replay = self { true } else { false } }

  var fetch: Fetch? { if case .fetch(let fetch) = self { fetch } else { nil } }

  var authentication: PendingAuthentication? {
    if case .authentication(let pending) = self { pending } else { nil }
  }

  var awaitsToken: Bool { if case .authentication = self { true } else { false } }

  var isProbe: Bool { if case .probe = self { true } else { false } }

  var probe: EngineProbe? { if case .probe(let probe) = self { probe } else { nil } }

  /// The message that arrives in fragments, if there is one.
  ///
  /// Set it only for a session.
  var assembly: MessageAssembly? {
    get {
      switch self {
      case .idle, .request: nil
      case .fragments(let assembly): assembly
      case .replay(let replay): replay.assembly
      case .fetch(let fetch): fetch.assembly
      case .authentication(let pending): pending.assembly
      case .probe(let probe): probe.assembly
      }
    }
    set {
      switch self {
      case .idle, .fragments: self = newValue.map { .fragments($0) } ?? .idle
      case .request: assertionFailure("a request has no message")
      case .replay(let replay): replay.assembly = newValue
      case .fetch(let fetch): fetch.assembly = newValue
      case .authentication(let pending): pending.assembly = newValue
      case .probe(let probe): probe.assembly = newValue
      }
    }
  }
}
