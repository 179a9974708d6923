// Socket.IO over a session of Engine.IO: protocol version 5.
//
// A client connects to namespaces, one after the other, and sends events in them. A protocol
// violation ends the session, as in the reference: a packet for a namespace that the client is not
// in, a second CONNECT, a reserved event name, an attachment that is not due.

internal import Notifications
internal import Wire

extension SocketIOSessions {
  /// Handles a WebSocket message to an Engine.IO session.
  func receive(
    _ message: ClientMessage, for session: EngineSession
  ) throws(ProtocolViolation) {
    let packet =
      message.isText
      ? try EngineIOPacket.decode(text: message.bytes)
      : EngineIOPacket.decode(binary: message.bytes)
    try receive(packet, in: message.bytes, for: session)
  }

  /// Handles one packet of an Engine.IO session, which lies in `bytes`.
  ///
  /// Engine.IO handles its own packets, and the messages of a session that carries no Socket.IO.
  func receive(
    _ packet: EngineIOPacket, in bytes: [UInt8], for session: EngineSession
  ) throws(ProtocolViolation) {
    guard try engine.receive(packet, in: bytes, for: session),
      let session = table[session.slot].engineLink.socketIO
    else { return }
    try assemble(packet, in: bytes, for: session)
  }

  /// Adds an Engine.IO message to the Socket.IO message that it begins or continues.
  private func assemble(
    _ packet: EngineIOPacket, in bytes: [UInt8], for session: SocketIOSession
  ) throws(ProtocolViolation) {
    guard case .socketIO(let application) = core.configuration.engines[session.path].use else {
      return
    }
    let settings = core.configuration.engines[session.path].settings
    var assembly =
      session.assembly?.assembly
      ?? SocketIOAssembly(
        bytesLimit: SocketIOPacket.attachmentCountLimit * settings.messageBytesLimit)
    // Moved out of the session, so that there is one owner and nothing is copied.
    let endsAt = session.assembly?.endsAt ?? now + PendingAssembly.timeoutMilliseconds
    session.assembly = nil
    let message =
      packet.isBinary
      ? try assembly.accept(binary: try packet.binaryData(in: bytes))
      : try assembly.accept(text: bytes, in: packet.payload)
    if let message { return try take(message, for: session, of: application) }
    session.assembly = PendingAssembly(assembly, endsAt: endsAt)
    connections.scheduleTimer(session.slot)
  }

  private func take(
    _ message: SocketIOMessage, for session: SocketIOSession,
    of application: any SocketIOApplication
  ) throws(ProtocolViolation) {
    let packet = message.packet
    let namespace = application.namespaces.firstIndex(of: packet.namespace)
    guard let namespace, let index = session.index(ofNamespace: namespace) else {
      guard packet.type == .connect else { throw .notInNamespace }
      return connect(message, to: namespace, session, application)
    }
    let client = SocketIOClient(sockets: self, session: session, namespace: namespace)
    switch packet.type {
    case .connect, .connectError:
      throw .inNamespaceAlready
    case .disconnect:
      application.left(client)
      if !session.hasEnded { remove(client, notifiesClient: false) }
    case .event, .binaryEvent:
      guard session.sockets[index].isConnected else { return }
      guard let event = SocketIOEvent(message) else { throw .namelessEvent }
      application.received(event, from: client)
    case .acknowledgement, .binaryAcknowledgement:
      guard let id = packet.acknowledgementID,
        let entry = session.acknowledgements?.remove(id, namespace: namespace)
      else { return }
      connections.scheduleTimer(session.slot)
      entry.completion(SocketIOReply(message))
    }
  }

  private func connect(
    _ message: SocketIOMessage, to namespace: Int?, _ session: SocketIOSession,
    _ application: any SocketIOApplication
  ) {
    guard let namespace else {
      return write(to: session.slot) { frames in
        frames.packet {
          SocketIOPacket.appendConnectError(
            message: "Invalid namespace", namespace: message.packet.namespace, into: &$0)
        }
      }
    }
    session.sockets.append(
      SocketIOSocket(namespace: namespace, recovery: .random(from: kernel)))
    application.connect(
      SocketIOClient(sockets: self, session: session, namespace: namespace),
      payload: message.packet.data.map { Array(message.bytes[$0]) })
  }

  // MARK: Sending to clients

  /// The name of the client's namespace.
  func name(ofNamespaceOf client: SocketIOClient) -> String {
    guard case .socketIO(let application) = core.configuration.engines[client.session.path].use
    else { return SocketIOPacket.mainNamespace }
    return application.namespaces[client.namespace]
  }

  /// Accepts the client's CONNECT.
  func accept(_ client: SocketIOClient) {
    guard let index = client.session.index(ofNamespace: client.namespace) else { return }
    settleBeginning(of: client.session)
    client.session.sockets[index].isConnected = true
    let name = name(ofNamespaceOf: client)
    let id = client.session.sockets[index].recovery.socketID
    write(to: client.session.slot) { frames in
      frames.packet {
        SocketIOPacket.appendConnected(sessionID: id, namespace: name, into: &$0)
      }
    }
  }

  /// Answers the client's CONNECT with an error; `data` is JSON.
  func refuse(_ client: SocketIOClient, _ message: String, data: [UInt8]? = nil) {
    let name = name(ofNamespaceOf: client)
    client.session.sockets.removeAll { $0.namespace == client.namespace }
    write(to: client.session.slot) { frames in
      frames.packet {
        SocketIOPacket.appendConnectError(
          message: message, data: data, namespace: name, into: &$0)
      }
    }
  }

  /// Lifts the connect timeout, because the client has connected to a namespace.
  func settleBeginning(of session: SocketIOSession) {
    session.noteBeginning()
    connections.scheduleTimer(session.slot)
  }

  func emit(
    _ event: String, _ arguments: [[UInt8]], _ attachments: [[UInt8]], acknowledgementID: UInt64?,
    to client: SocketIOClient
  ) {
    let name = name(ofNamespaceOf: client)
    let count = attachments.isEmpty ? nil : attachments.count
    write(attachments, to: client) { packet in
      SocketIOPacket.appendEvent(
        event, namespace: name, acknowledgementID: acknowledgementID, attachmentCount: count,
        into: &packet
      ) { $0.appendArguments(arguments) }
    }
  }

  func acknowledge(
    _ id: UInt64, _ arguments: [[UInt8]], _ attachments: [[UInt8]], to client: SocketIOClient
  ) {
    let name = name(ofNamespaceOf: client)
    let count = attachments.isEmpty ? nil : attachments.count
    write(attachments, to: client) { packet in
      SocketIOPacket.appendAcknowledgement(
        id, namespace: name, attachmentCount: count, into: &packet
      ) { $0.appendArguments(arguments) }
    }
  }

  /// Writes a packet and its attachments, with nothing between them.
  private func write(
    _ attachments: [[UInt8]], to client: SocketIOClient, _ packet: (inout [UInt8]) -> Void
  ) {
    guard client.session.index(ofNamespace: client.namespace) != nil else { return }
    let usesBase64 = client.session.usesBase64
    write(to: client.session.slot) { frames in
      frames.packet(packet)
      for attachment in attachments { frames.binary(attachment, asText: usesBase64) }
    }
  }

  func ask(
    _ event: String, _ arguments: [[UInt8]], _ attachments: [[UInt8]], timeoutMilliseconds: UInt64,
    _ client: SocketIOClient, _ completion: @escaping (SocketIOReply?) -> Void
  ) {
    let session = client.session
    let id = pendingAcknowledgements(of: session).insert(
      namespace: client.namespace, endsAt: now + timeoutMilliseconds, completion)
    guard let id else { return completion(nil) }
    emit(event, arguments, attachments, acknowledgementID: id, to: client)
    guard !session.hasEnded else { return }
    connections.scheduleTimer(session.slot)
  }

  /// Calls `body` after a delay, unless the client leaves before; false at the limit.
  func delay(
    _ client: SocketIOClient, milliseconds: UInt64, _ body: @escaping () -> Void
  ) -> Bool {
    let session = client.session
    guard !session.hasEnded else { return false }
    let isTaken = pendingAcknowledgements(of: session).insertDelay(
      namespace: client.namespace, endsAt: now + milliseconds, body)
    connections.scheduleTimer(session.slot)
    return isTaken
  }

  private func pendingAcknowledgements(of session: SocketIOSession) -> PendingAcknowledgements {
    let pending = session.acknowledgements ?? PendingAcknowledgements()
    session.acknowledgements = pending
    return pending
  }

  /// Sends the application's keep-alive event in every connected namespace of the session.
  func keepAlive(_ session: SocketIOSession) {
    guard case .socketIO(let application) = core.configuration.engines[session.path].use,
      let event = application.keepAliveEvent
    else { return }
    for socket in session.sockets where socket.isConnected {
      guard !session.hasEnded else { return }
      emit(
        event, positionArguments(of: socket), [], acknowledgementID: nil,
        to: SocketIOClient(sockets: self, session: session, namespace: socket.namespace))
    }
  }

  /// Gives up overdue acknowledgements, and ends the session if attachments are overdue.
  func expireAcknowledgements(of session: SocketIOSession) {
    for entry in session.acknowledgements?.removeEnded(at: now) ?? [] { entry.completion(nil) }
    // guard: attachment-timeout
    if let pending = session.assembly, pending.endsAt <= now {
      metrics.add(.timedOut)
      engine.end(session, because: "attachments are missing")
    }
  }

  // MARK: Leaving

  /// Removes a client from a namespace.
  func remove(_ client: SocketIOClient, notifiesClient: Bool) {
    let session = client.session
    guard let index = session.index(ofNamespace: client.namespace) else { return }
    let socket = session.sockets.remove(at: index)
    if let slot = socket.slot { leaveNamespace(slot, session) }
    for entry in session.acknowledgements?.removeAll(ofNamespace: client.namespace) ?? [] {
      entry.completion(nil)
    }
    guard !session.hasEnded else { return }
    if notifiesClient {
      let name = name(ofNamespaceOf: client)
      write(to: session.slot) { frames in
        frames.packet { SocketIOPacket.appendDisconnect(namespace: name, into: &$0) }
      }
    }
    guard session.sockets.isEmpty, !session.hasEnded else { return }
    // Without a namespace the connect timeout applies again, as for a new client.
    let settings = core.configuration.engines[session.path].settings
    session.awaitBeginning(until: now + settings.connectTimeoutMilliseconds)
    connections.scheduleTimer(session.slot)
  }

  /// Ends the namespaces of a session that ends: drops their further slots and gives up awaited
  /// acknowledgements.
  func endSockets(of session: SocketIOSession) {
    let sockets = session.sockets
    session.sockets = []
    for socket in sockets {
      keepRooms(of: socket, session)
      if let slot = socket.slot, slot != session.slot { connections.drop(slot) }
    }
    for entry in session.acknowledgements?.removeAll(ofNamespace: nil) ?? [] {
      entry.completion(nil)
    }
  }

  /// Ends the namespace of the session at `slot` and notifies the client.
  ///
  /// False when there is none; then the caller ends the whole session.
  func disconnectNamespace(at slot: UInt32) -> Bool {
    guard let session = table[slot].engineLink.socketIO,
      let index = session.index(atSlot: slot)
    else { return false }
    let namespace = session.sockets[index].namespace
    remove(
      SocketIOClient(sockets: self, session: session, namespace: namespace), notifiesClient: true)
    return true
  }
}

// Violations by a packet that is well formed.
extension ProtocolViolation {
  fileprivate static let notInNamespace = ProtocolViolation(
    closeCode: 1002, reason: "not connected to the namespace")
  fileprivate static let inNamespaceAlready = ProtocolViolation(
    closeCode: 1002, reason: "connected to the namespace already")
  fileprivate static let namelessEvent = ProtocolViolation(
    closeCode: 1002, reason: "an event without a name")
}

extension FrameWriter {
  /// Writes one packet of Socket.IO, as a message of Engine.IO.
  mutating func packet(_ body: (inout [UInt8]) -> Void) {
    text { EngineIOPacket.append(.message, into: &$0, body) }
  }
}

extension [UInt8] {
  /// Appends JSON texts with commas between them.
  fileprivate mutating func appendArguments(_ arguments: [[UInt8]]) {
    for (index, argument) in arguments.enumerated() {
      if index > 0 { beginElement() }
      append(contentsOf: argument)
    }
  }
}

extension SocketIOMessage {
  /// The arguments of an event or an acknowledgement, each as JSON.
  fileprivate var arguments: [[UInt8]] { packet.arguments.map { Array(bytes[$0]) } }
}

extension SocketIOEvent {
  fileprivate init?(_ message: SocketIOMessage) {
    guard let name = message.packet.eventName else { return nil }
    self.init(
      name: name, arguments: message.arguments, attachments: message.attachments,
      acknowledgementID: message.packet.acknowledgementID)
  }
}

extension SocketIOReply {
  fileprivate init(_ message: SocketIOMessage) {
    self.init(arguments: message.arguments, attachments: message.attachments)
  }
}
