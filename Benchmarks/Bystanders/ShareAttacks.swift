// Attacks of users that stay within all limits of one connection, and use as much as they can of
// those that all users share: rooms, requests, and the messages of a room.
//
// They come from other machines, as a trusted proxy says, because a default limit does not count
// this one's clients; only the typing is local, so that no rate of messages slows it down.

internal import BenchmarkSupport
internal import LoadClient
internal import Reactor
internal import Wire

/// The code of the attacker's process for these attacks.
final class ShareAttacker {
  private static let path = "/ws/connect"
  private static let userStart = 50_000
  /// Accounts of the attack on rooms, and connections and rooms of each: the default limits.
  private static let accounts = 40
  private static let connectionsOfAccount = 20
  private static let roomsOfConnection = 128
  /// Messages of a connection in a round, and the time between rounds: below its rate of messages.
  private static let joinsOfRound = 10
  private static let roundMilliseconds = 250
  private static let requestConnections = 8
  private static let requestsOfWrite = 100
  private static let roomMembers = 20
  private static let togglesPerSecond = 18_000

  private let order: AttackOrder
  private let credentials: Credentials
  private let server: ServerURL
  private let end: UInt64
  private var progress = AttackProgress()

  init(_ order: AttackOrder, _ credentials: Credentials) {
    self.order = order
    self.credentials = credentials
    server = ServerURL(numericHost: "127.0.0.1", port: order.port)
    // Until the driver stops it.
    end = Kernel.real.monotonicNanoseconds &+ UInt64(order.milliseconds) * 1_000_000 &* 4
  }

  /// Runs the attack; false for one of the others.
  func run() throws -> Bool {
    switch order.attack {
    case .takenRooms: try takeRooms()
    case .requestFlood: try floodRequests()
    case .typingToggles: try toggleTyping()
    default: return false
    }
    return true
  }

  private var isOver: Bool {
    Kernel.real.monotonicNanoseconds >= end || Signals.wait(timeoutMilliseconds: 0) != nil
  }

  private func report() { show(progress.line) }

  private func open(user: Int, client: Int?, rooms: String = "") throws -> HostileSocket {
    let socket = try HostileSocket(port: order.port, receiveBytes: nil)
    try socket.upgrade(
      "\(Self.path)?token=\(credentials.token(user: user))\(rooms)", on: server,
      fields: client.map { [Self.forwarding($0)] } ?? [])
    progress.begun += 1
    return socket
  }

  /// The field of a proxy whose client has that number.
  private static func forwarding(_ client: Int) -> HTTPField {
    HTTPField("X-Forwarded-For", "10.\(client >> 16 & 255).\(client >> 8 & 255).\(client & 255)")
  }

  private static func frame(_ text: String) -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(
      .text, payload: Array(text.utf8), maskingKey: 0x1234_5678, into: &frame)
    return frame
  }

  private static func join(_ room: String) -> [UInt8] {
    frame(#"{"type":"join_room","data":{"room":"\#(room)"}}"#)
  }

  /// Sends all bytes; false when the server has ended the connection.
  private func send(_ bytes: [UInt8], to socket: HostileSocket) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let count = socket.send(rest) else { return false }
      rest = rest.dropFirst(count)
      if count == 0, isOver { return false }
    }
    return true
  }

  // MARK: Rooms

  /// Opens as many rooms as the server grants, while an honest user opens one in each round.
  ///
  /// `sent` counts the attempts, `ended` the rooms that the honest user was refused.
  private func takeRooms() throws {
    let honest = try open(user: Self.userStart - 1, client: 1)
    progress.isReady = true
    report()
    var sockets: [HostileSocket] = []
    var joined: [Int] = []
    var round = 0
    while !isOver {
      round += 1
      // Below the rate of connections of each address.
      if sockets.count < Self.accounts * Self.connectionsOfAccount {
        for account in 0..<Self.accounts {
          sockets.append(try open(user: Self.userStart + account, client: 10 + account))
          joined.append(0)
        }
      }
      for index in sockets.indices where joined[index] < Self.roomsOfConnection {
        let numbers = joined[index]..<min(joined[index] + Self.joinsOfRound, Self.roomsOfConnection)
        let frames = numbers.flatMap { Self.join("taken-\(index)-\($0)") }
        guard send(frames, to: sockets[index]) else { continue }
        joined[index] = numbers.upperBound
        progress.sent += numbers.count
      }
      for socket in sockets { _ = socket.receive() }
      try openHonestRoom(round, honest)
      report()
      if Signals.wait(timeoutMilliseconds: Int32(Self.roundMilliseconds)) != nil { return }
    }
  }

  private func openHonestRoom(_ round: Int, _ honest: HostileSocket) throws {
    let room = "honest-\(round)"
    guard send(Self.join(room), to: honest) else { return }
    var text = ""
    while !text.contains("too_many_rooms"), !text.contains("room_joined") {
      guard let bytes = honest.receive() else { throw BenchmarkError("the honest user is cut") }
      text += String(decoding: bytes, as: UTF8.self)
      if bytes.isEmpty, Signals.wait(timeoutMilliseconds: 1) != nil { return }
    }
    if text.contains("too_many_rooms") { progress.ended += 1 }
    _ = send(
      Self.frame(#"{"type":"leave_room","data":{"room":"\#(room)"}}"#), to: honest)
  }

  // MARK: Requests

  /// Pipelines requests of one user as fast as the server answers them.
  private func floodRequests() throws {
    var request: [UInt8] = []
    HTTPRequest(
      "GET", "/api/v1/notifications?limit=200",
      fields: [.bearer(credentials.token(user: Self.userStart)), Self.forwarding(9)]
    ).write(to: server, into: &request)
    let write = Array(repeatElement(request, count: Self.requestsOfWrite).joined())
    var sockets: [HostileSocket] = []
    for _ in 0..<Self.requestConnections {
      sockets.append(try HostileSocket(port: order.port, receiveBytes: nil))
    }
    progress.begun = sockets.count
    progress.isReady = true
    var nextReport: UInt64 = 0
    while !isOver {
      for index in sockets.indices {
        if socket(sockets[index], takes: write) {
          progress.sent += Self.requestsOfWrite
        } else {
          progress.ended += 1
          sockets[index] = try HostileSocket(port: order.port, receiveBytes: nil)
        }
      }
      let now = Kernel.real.monotonicNanoseconds
      guard now >= nextReport else { continue }
      nextReport = now &+ 50_000_000
      report()
    }
  }

  /// Sends the requests while it reads the answers; false when the server has ended the connection.
  private func socket(_ socket: HostileSocket, takes bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard socket.receive() != nil, let count = socket.send(rest, waits: false) else {
        return false
      }
      rest = rest.dropFirst(count)
      if count == 0, Signals.wait(timeoutMilliseconds: 1) != nil { return true }
    }
    return true
  }

  // MARK: Typing

  /// Toggles the typing of one member of a room; the others read.
  ///
  /// `ended` counts the others that the server has cut.
  private func toggleTyping() throws {
    var others: [HostileSocket] = []
    for number in 0..<Self.roomMembers {
      others.append(
        try open(user: Self.userStart + number, client: nil, rooms: "&rooms=toggled"))
    }
    let toggler = try open(user: Self.userStart - 1, client: nil, rooms: "&rooms=toggled")
    let toggles = [true, false].map {
      Self.frame(#"{"type":"typing_indicator","data":{"room":"toggled","is_typing":\#($0)}}"#)
    }
    let step = toggles[0] + toggles[1]
    progress.isReady = true
    let start = Kernel.real.monotonicNanoseconds
    while !isOver {
      let elapsed = Kernel.real.monotonicNanoseconds &- start
      let due = Int(Double(elapsed) / 1e9 * Double(Self.togglesPerSecond)) - progress.sent
      if due >= 2 {
        let frames = Array(repeatElement(step, count: min(due / 2, 1_000)).joined())
        guard send(frames, to: toggler) else { throw BenchmarkError("the toggling user is cut") }
        progress.sent += frames.count / step.count * 2
      }
      _ = toggler.receive()
      let before = others.count
      others.removeAll { $0.receive() == nil }
      progress.ended += before - others.count
      report()
      if Signals.wait(timeoutMilliseconds: 5) != nil { return }
    }
  }
}
