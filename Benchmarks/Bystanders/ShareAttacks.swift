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
  private static let userStart = AttackTools.userStart
  /// Accounts of the attack on rooms, and connections and rooms of each: the default limits.
  private static let accounts = 40
  private static let connectionsOfAccount = 20
  private static let roomsOfConnection = 128
  /// Messages of a connection in a round, and the time between rounds: below its rate of messages.
  private static let joinsOfRound = 10
  private static let roundMilliseconds = 250
  private static let requestConnections = 8
  private static let roomMembers = 20
  private static let togglesPerSecond = 18_000

  private let tools: AttackTools

  init(_ tools: AttackTools) { self.tools = tools }

  /// Runs the attack, which is one of these.
  func run() throws {
    switch tools.order.attack {
    case .takenRooms: try takeRooms()
    case .requestFlood: try floodRequests()
    case .typingToggles: try toggleTyping()
    default: throw BenchmarkError("\(tools.order.attack.rawValue) has another attacker")
    }
  }

  private static func join(_ room: String) -> [UInt8] {
    AttackTools.frame(#"{"type":"join_room","data":{"room":"\#(room)"}}"#)
  }

  // MARK: Rooms

  /// Opens as many rooms as the server grants, while an honest user opens one in each round.
  ///
  /// `sent` counts the attempts, `ended` the rooms that the honest user was refused.
  private func takeRooms() throws {
    let honest = try tools.open(user: Self.userStart - 1, client: 1)
    tools.progress.isReady = true
    tools.report()
    var sockets: [HostileSocket] = []
    var joined: [Int] = []
    var round = 0
    while !tools.isOver {
      round += 1
      // Below the rate of connections of each address.
      if sockets.count < Self.accounts * Self.connectionsOfAccount {
        for account in 0..<Self.accounts {
          sockets.append(try tools.open(user: Self.userStart + account, client: 10 + account))
          joined.append(0)
        }
      }
      for index in sockets.indices where joined[index] < Self.roomsOfConnection {
        let numbers = joined[index]..<min(joined[index] + Self.joinsOfRound, Self.roomsOfConnection)
        let frames = numbers.flatMap { Self.join("taken-\(index)-\($0)") }
        guard tools.send(frames, to: sockets[index]) else { continue }
        joined[index] = numbers.upperBound
        tools.progress.sent += numbers.count
      }
      for socket in sockets { _ = socket.receive() }
      try openHonestRoom(round, honest)
      tools.report()
      if Signals.wait(timeoutMilliseconds: Int32(Self.roundMilliseconds)) != nil { return }
    }
  }

  private func openHonestRoom(_ round: Int, _ honest: HostileSocket) throws {
    let room = "honest-\(round)"
    guard tools.send(Self.join(room), to: honest) else { return }
    var text = ""
    while !text.contains("too_many_rooms"), !text.contains("room_joined") {
      guard let bytes = honest.receive() else { throw BenchmarkError("the honest user is cut") }
      text += String(decoding: bytes, as: UTF8.self)
      if bytes.isEmpty, Signals.wait(timeoutMilliseconds: 1) != nil { return }
    }
    if text.contains("too_many_rooms") { tools.progress.ended += 1 }
    _ = tools.send(
      AttackTools.frame(#"{"type":"leave_room","data":{"room":"\#(room)"}}"#), to: honest)
  }

  // MARK: Requests

  /// Pipelines requests of one user as fast as the server answers them.
  private func floodRequests() throws {
    let fields = [tools.token(of: Self.userStart), AttackTools.forwarding(9)]
    try tools.pipeline(
      "/api/v1/notifications?limit=200", fields, connections: Self.requestConnections)
  }

  // MARK: Typing

  /// Toggles the typing of one member of a room; the others read.
  ///
  /// `ended` counts the others that the server has cut.
  private func toggleTyping() throws {
    var others: [HostileSocket] = []
    for number in 0..<Self.roomMembers {
      others.append(
        try tools.open(user: Self.userStart + number, client: nil, rooms: "&rooms=toggled"))
    }
    let toggler = try tools.open(user: Self.userStart - 1, client: nil, rooms: "&rooms=toggled")
    let toggles = [true, false].map {
      AttackTools.frame(
        #"{"type":"typing_indicator","data":{"room":"toggled","is_typing":\#($0)}}"#)
    }
    let step = toggles[0] + toggles[1]
    tools.progress.isReady = true
    let start = Kernel.real.monotonicNanoseconds
    while !tools.isOver {
      let elapsed = Kernel.real.monotonicNanoseconds &- start
      let due = Int(Double(elapsed) / 1e9 * Double(Self.togglesPerSecond)) - tools.progress.sent
      if due >= 2 {
        let frames = Array(repeatElement(step, count: min(due / 2, 1_000)).joined())
        guard tools.send(frames, to: toggler) else {
          throw BenchmarkError("the toggling user is cut")
        }
        tools.progress.sent += frames.count / step.count * 2
      }
      _ = toggler.receive()
      let before = others.count
      others.removeAll { $0.receive() == nil }
      tools.progress.ended += before - others.count
      tools.report()
      if Signals.wait(timeoutMilliseconds: 5) != nil { return }
    }
  }
}
