// The Socket.IO sessions of a shard.
//
//     SocketIOProtocol.swift    namespaces, events and acknowledgements
//     SocketIOUsers.swift       a user's session in a namespace, its rooms and its recovery

internal import Notifications
internal import Wire

/// Socket.IO on top of Engine.IO.
///
/// Invariant: the state of a session is in its `SocketIOSession`. A namespace with a user has a
/// slot: the session's own for the first one, and for each further one a slot without a socket.
final class SocketIOSessions: ShardComponent {
  let context: ShardContext
  let connections: Connections
  let admission: AdmissionControl
  let authenticator: Authenticator
  let users: Users
  let rooms: Rooms
  let life: SessionLife
  let reads: SessionReads
  let sessions: Sessions
  let engine: EngineSessions
  let drain: Drain

  init(
    _ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl,
    _ authenticator: Authenticator, _ users: Users, _ rooms: Rooms, _ life: SessionLife,
    _ reads: SessionReads, _ sessions: Sessions, _ engine: EngineSessions, _ drain: Drain
  ) {
    self.context = context
    self.connections = connections
    self.admission = admission
    self.authenticator = authenticator
    self.users = users
    self.rooms = rooms
    self.life = life
    self.reads = reads
    self.sessions = sessions
    self.engine = engine
    self.drain = drain
  }

  /// Traps in a debug build when a slot of a namespace does not belong to its session.
  func checkInvariants() {
    table.forEachSlot { slot in
      guard let session = table[slot].engineLink.socketIO, !session.hasEnded else { return }
      for socket in session.sockets {
        guard let own = socket.slot else { continue }
        assert(
          table[own].engineLink.socketIO === session, "\(own) is not the slot of its namespace")
      }
    }
  }
}

extension SocketIOSessions: EngineUser {
  func timerFired(_ session: EngineSession) {
    if let session = table[session.slot].engineLink.socketIO { expireAcknowledgements(of: session) }
  }

  func pinged(_ session: EngineSession) {
    if let session = table[session.slot].engineLink.socketIO { keepAlive(session) }
  }

  func ended(_ session: EngineSession) {
    if let session = table[session.slot].engineLink.socketIO { endSockets(of: session) }
  }
}
