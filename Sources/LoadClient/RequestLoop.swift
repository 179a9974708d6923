// Closed-loop HTTP load: each connection sends its next request when it receives an answer.

internal import Reactor

/// The result of a request loop.
package struct RequestReport: Sendable {
  package var seconds = 0.0
  /// Requests answered with a 2xx.
  package var succeeded = 0
  /// The count of other answers per status.
  package var refused: [Int: Int] = [:]
  /// The sum of the `units` closure over the 2xx answers.
  package var units = 0
  /// The time from writing a request to its answer.
  package var latency = LatencyHistogram()
  /// The body of the first answer with another status than 2xx, which states the reason.
  package var firstRefusal: [UInt8] = []

  package var unitsPerSecond: Double { seconds > 0 ? Double(units) / seconds : 0 }
}

/// Keeps a number of keep-alive connections busy with one request each.
///
/// Confined to one thread.
package final class RequestLoop {
  private struct Slot {
    let socket: Socket
    var reader = AnswerReader()
    var outgoing: [UInt8] = []
    var sent = 0
    var startedAt: UInt64 = 0
    var isConnected = false
    var isIdle = true
  }

  private let server: ServerURL
  private let poller: Poller
  private let request: (Int) -> HTTPRequest
  private let units: (HTTPAnswer) -> Int
  private var slots: [Slot] = []
  private var scratch: [UInt8] = []
  private var issued = 0
  private var isEnding = false
  private var report = RequestReport()

  /// Sends requests for a time, then waits for the outstanding answers.
  ///
  /// `request` makes the n-th request, counted over all connections.
  ///
  /// `units` returns the number of units in an answer: 1, or the successful entries of a batch.
  package static func run(
    server: ServerURL, connections: Int, milliseconds: Int, stallMilliseconds: Int = 10_000,
    units: @escaping (HTTPAnswer) -> Int = { _ in 1 }, request: @escaping (Int) -> HTTPRequest
  ) throws(ClientError) -> RequestReport {
    let loop = try RequestLoop(
      server: server, connections: connections, units: units, request: request)
    defer { loop.close() }
    return try loop.run(milliseconds: milliseconds, stallMilliseconds: stallMilliseconds)
  }

  private init(
    server: ServerURL, connections: Int, units: @escaping (HTTPAnswer) -> Int,
    request: @escaping (Int) -> HTTPRequest
  ) throws(ClientError) {
    self.server = server
    self.units = units
    self.request = request
    poller = try Poller.forSockets()
    for index in 0..<connections {
      let socket = try Socket(connectingTo: server)
      slots.append(Slot(socket: socket))
      try poller.add(socket, slot: UInt32(index), forWriting: true)
    }
  }

  private func close() {
    for slot in slots { slot.socket.close() }
  }

  private func run(
    milliseconds: Int, stallMilliseconds: Int
  ) throws(ClientError) -> RequestReport {
    let start = Kernel.real.monotonicNanoseconds
    let deadline = start &+ UInt64(clamping: milliseconds) &* 1_000_000
    var lastMove = start
    while !(isEnding && slots.allSatisfy { $0.isIdle }) {
      let count = try poller.wait(milliseconds: 100)
      for position in 0..<count { try handle(poller.event(position)) }
      let now = Kernel.real.monotonicNanoseconds
      if now >= deadline { isEnding = true }
      if count > 0 { lastMove = now }
      guard now &- lastMove <= UInt64(stallMilliseconds) &* 1_000_000 else {
        throw .timedOut("waiting for answers")
      }
    }
    report.seconds = Double(Kernel.real.monotonicNanoseconds &- start) / 1e9
    return report
  }

  private func handle(_ event: PollEvent) throws(ClientError) {
    let index = Int(event.slot)
    if !slots[index].isConnected {
      try slots[index].socket.checkConnected()
      slots[index].isConnected = true
      try poller.modify(slots[index].socket, slot: event.slot, forWriting: false)
      try ask(index)
      return
    }
    if event.isWritable { try send(index) }
    guard event.isReadable else { return }
    switch slots[index].reader.receive(from: slots[index].socket, scratch: &scratch) {
    case .bytes: break
    case .wouldBlock: return
    case .closed: throw .closedByServer
    case .failed(let code): throw .broken(code: code)
    }
    while let answer = try slots[index].reader.next() {
      report.latency.record(Kernel.real.monotonicNanoseconds &- slots[index].startedAt)
      if answer.isSuccess {
        report.succeeded += 1
        report.units += units(answer)
      } else {
        if report.refused.isEmpty { report.firstRefusal = answer.body }
        report.refused[answer.status, default: 0] += 1
      }
      slots[index].isIdle = true
      try ask(index)
    }
  }

  private func ask(_ index: Int) throws(ClientError) {
    guard !isEnding else { return }
    slots[index].outgoing.removeAll(keepingCapacity: true)
    request(issued).write(to: server, into: &slots[index].outgoing)
    issued += 1
    slots[index].sent = 0
    slots[index].isIdle = false
    slots[index].startedAt = Kernel.real.monotonicNanoseconds
    try send(index)
  }

  private func send(_ index: Int) throws(ClientError) {
    let wasWaiting = slots[index].sent > 0
    while slots[index].sent < slots[index].outgoing.count {
      switch slots[index].socket.send(slots[index].outgoing, from: slots[index].sent) {
      case .bytes(let count): slots[index].sent += count
      case .wouldBlock:
        try poller.modify(slots[index].socket, slot: UInt32(index), forWriting: true)
        return
      case .closed: throw .closedByServer
      case .failed(let code): throw .broken(code: code)
      }
    }
    if wasWaiting {
      try poller.modify(slots[index].socket, slot: UInt32(index), forWriting: false)
    }
  }
}
