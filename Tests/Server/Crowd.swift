// Sockets that exist only in the fixture's kernel: any number of them, without descriptors.
//
// A process may open a limited number of files, and each connection over loopback takes two. The
// table of system calls serves these sockets itself: `recv` returns the bytes that the peer sent,
// sent bytes are kept or counted, and readiness is level-triggered like epoll's.

import CReactor
import Glibc
import Testing
import Tokens
import Wire

@testable import Server

/// One socket of the crowd, as seen from the peer's end.
final class VirtualSocket {
  let descriptor: Int32
  private weak var crowd: Crowd?
  /// The server's end.
  var connection = ConnectionView()
  /// Bytes that the peer sent; the server has not read those from `readCount` on.
  private var said: [UInt8] = []
  private var readCount = 0
  /// Bytes that came and were not taken yet.
  var received: [UInt8] = []
  /// Bytes that came in all.
  private(set) var receivedCount = 0
  /// Whether received bytes are kept, or only counted.
  var keeps = true
  /// Bytes that the socket still takes; nil is no limit.
  var room: Int?
  /// Bytes added to `room` once the server has set TCP_NOTSENT_LOWAT to queue a burst.
  var burstRoom = 0
  /// Milliseconds since the peer's program last read, while there were bytes to read.
  var sleptMilliseconds: UInt32 = 0
  /// Milliseconds since the peer last took bytes that the kernel holds for it.
  var millisecondsSinceProgress = UInt32.max
  /// Whether the server has ended its side, or closed the connection.
  fileprivate(set) var isEnded = false
  /// The data that the server's epoll set holds for the socket, and the events it waits for.
  fileprivate var mark: UInt64?
  fileprivate var interest: UInt32 = 0

  fileprivate init(_ descriptor: Int32, _ crowd: Crowd) {
    self.descriptor = descriptor
    self.crowd = crowd
  }

  /// Bytes that the server has not read.
  var unreadCount: Int { said.count - readCount }

  func send(_ bytes: [UInt8]) {
    if readCount == said.count {
      said = bytes
      readCount = 0
    } else {
      said += bytes
    }
    crowd?.mayBeReady(self)
  }

  func send(_ text: String) { send(Array(text.utf8)) }

  /// Sends a masked text message.
  func say(_ text: String) {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 0x1234_5678, into: &frame)
    send(frame)
  }

  /// Takes the whole frames that have come.
  func frames() throws -> [String] { try received.takeFrames() }

  /// Takes `byteCount` more bytes; nil takes all bytes from now on.
  func open(for byteCount: Int? = nil) {
    room = byteCount
    crowd?.mayBeReady(self)
  }

  func receive(into bytes: UnsafeMutableRawPointer, _ limit: Int) -> Int {
    guard unreadCount > 0 else { return Int(-EAGAIN) }
    let count = min(limit, unreadCount)
    said.withUnsafeBytes { source in
      bytes.copyMemory(from: source.baseAddress! + readCount, byteCount: count)
    }
    readCount += count
    return count
  }

  func take(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = min(bytes.count, room ?? .max)
    guard count > 0 else { return Int(-EAGAIN) }
    if let room { self.room = room - count }
    if keeps { received += bytes.prefix(count) }
    receivedCount += count
    return count
  }

  func take(_ message: msghdr) -> Int {
    var total = 0
    for index in 0..<Int(message.msg_iovlen) {
      let piece = message.msg_iov[index]
      let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
      let taken = take(bytes)
      guard taken > 0 else { return total > 0 ? total : taken }
      total += taken
      if taken < bytes.count { break }
    }
    return total
  }

  /// Adds the burst room once the server has set TCP_NOTSENT_LOWAT.
  fileprivate func limitUnsent() {
    room = room.map { $0 + burstRoom }
    burstRoom = 0
  }

  /// Writes the TCP_INFO of a socket with a closed window.
  ///
  /// The offsets are those of `tcp_info` in the kernel's interface.
  fileprivate func describe(into bytes: UnsafeMutableRawPointer, _ length: inout socklen_t) -> Int32
  {
    guard length >= 232 else { return -EINVAL }
    memset(bytes, 0, Int(length))
    bytes.storeBytes(of: sleptMilliseconds, toByteOffset: 44, as: UInt32.self)
    bytes.storeBytes(of: millisecondsSinceProgress, toByteOffset: 56, as: UInt32.self)
    bytes.storeBytes(of: 1, toByteOffset: 144, as: UInt32.self)
    return 0
  }

  fileprivate var readiness: UInt32 {
    var ready: UInt32 = 0
    if unreadCount > 0 { ready |= EPOLLIN.rawValue }
    if room != 0 { ready |= EPOLLOUT.rawValue }
    return ready & interest
  }
}

/// The sockets of a test and their part of the server's kernel.
final class Crowd {
  /// Larger than any descriptor of the real kernel.
  private static let firstDescriptor: Int32 = 1 << 24
  /// The epoll data of the listener: see `ShardView.listenerSlot`.
  private static let listenerMark = UInt64(UInt32.max)

  private var sockets: [VirtualSocket] = []
  /// Connections made that the server has not accepted.
  private var arrivals = 0
  /// Sockets that may be ready, each once or more.
  private var candidates: [Int32] = []

  subscript(descriptor: Int32) -> VirtualSocket? {
    guard descriptor >= Self.firstDescriptor else { return nil }
    return sockets[Int(descriptor - Self.firstDescriptor)]
  }

  var isReady: Bool {
    arrivals > 0 || candidates.contains { self[$0].map { $0.readiness != 0 } ?? false }
  }

  /// Adds a socket that connects.
  func arrive() -> VirtualSocket {
    let socket = VirtualSocket(Self.firstDescriptor + Int32(sockets.count), self)
    sockets.append(socket)
    arrivals += 1
    return socket
  }

  fileprivate func mayBeReady(_ socket: VirtualSocket) {
    if socket.readiness != 0 { candidates.append(socket.descriptor) }
  }

  private func accept() -> Int32 {
    guard arrivals > 0 else { return -EAGAIN }
    arrivals -= 1
    return sockets[sockets.count - 1 - arrivals].descriptor
  }

  /// Adds the ready sockets after the first `count` events and returns the new number of events.
  func fill(
    _ events: UnsafeMutablePointer<epoll_event>, from count: Int32, to capacity: Int32
  ) -> Int32 {
    var filled = Int(count)
    if arrivals > 0, filled < capacity {
      events[filled] = epoll_event(
        events: EPOLLIN.rawValue, data: epoll_data_t(u64: Self.listenerMark))
      filled += 1
    }
    // Each once, in the order of becoming ready; a socket that stays ready goes to the end.
    var isTaken = Set<Int32>()
    var later: [Int32] = []
    var again: [Int32] = []
    for descriptor in candidates {
      guard let socket = self[descriptor], let mark = socket.mark, socket.readiness != 0,
        isTaken.insert(descriptor).inserted
      else { continue }
      guard filled < capacity else {
        later.append(descriptor)
        continue
      }
      events[filled] = epoll_event(events: socket.readiness, data: epoll_data_t(u64: mark))
      filled += 1
      again.append(descriptor)
    }
    candidates = later + again
    return Int32(filled)
  }

  private func control(_ operation: Int32, _ descriptor: Int32, _ event: epoll_event?) {
    guard let socket = self[descriptor] else { return }
    socket.mark = operation == EPOLL_CTL_DEL ? nil : event?.data.u64
    socket.interest = event?.events ?? 0
    mayBeReady(socket)
  }

  private func end(_ descriptor: Int32, isClosed: Bool) {
    guard let socket = self[descriptor] else { return }
    socket.isEnded = true
    if isClosed { socket.mark = nil }
  }

  /// Writes an address of this machine, which the quotas' defaults do not count.
  private static func writeLoopback(to address: UnsafeMutablePointer<sockaddr>) -> socklen_t {
    var loopback = sockaddr_in()
    loopback.sin_family = sa_family_t(AF_INET)
    loopback.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    withUnsafeMutablePointer(to: &loopback) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address.pointee = $0.pointee }
    }
    return socklen_t(MemoryLayout<sockaddr_in>.size)
  }

  /// Lets the crowd handle its own descriptors in all calls but reads, sends and waits.
  static func install(in table: UnsafeMutablePointer<cl_kernel>) {
    table.pointee.accept4 = { context, listener, address, length, flags in
      let script = KernelScript.of(context)
      if script.failingAccepts > 0 {
        script.failingAccepts -= 1
        return -EMFILE
      }
      let real = cl_kernel_real().pointee
      let descriptor = real.accept4(context, listener, address, length, flags)
      if descriptor >= 0, let kept = KernelScript.of(context).keptDescriptor {
        KernelScript.of(context).keptDescriptor = nil
        // This also closes the socket that had the number, and so removes it from epoll.
        dup2(descriptor, kept)
        _ = real.close(context, descriptor)
        return kept
      }
      guard descriptor == -EAGAIN else { return descriptor }
      let virtual = KernelScript.of(context).crowd.accept()
      guard virtual >= 0, let address else { return virtual }
      length?.pointee = Crowd.writeLoopback(to: address)
      return virtual
    }
    table.pointee.setsockopt = { context, descriptor, level, name, value, length in
      if let socket = KernelScript.of(context).crowd[descriptor] {
        if name == TCP_NOTSENT_LOWAT { socket.limitUnsent() }
        return 0
      }
      return cl_kernel_real().pointee.setsockopt(context, descriptor, level, name, value, length)
    }
    table.pointee.getsockopt = { context, descriptor, level, name, value, length in
      guard let socket = KernelScript.of(context).crowd[descriptor] else {
        let real = cl_kernel_real().pointee
        let result = real.getsockopt(context, descriptor, level, name, value, length)
        // The fixture's clock is not that of the real kernel: no peer has taken bytes lately.
        if name == TCP_INFO { value.storeBytes(of: .max, toByteOffset: 56, as: UInt32.self) }
        return result
      }
      return name == TCP_INFO ? socket.describe(into: value, &length.pointee) : 0
    }
    table.pointee.shutdown = { context, descriptor, how in
      let crowd = KernelScript.of(context).crowd
      guard crowd[descriptor] != nil else {
        return cl_kernel_real().pointee.shutdown(context, descriptor, how)
      }
      crowd.end(descriptor, isClosed: false)
      return 0
    }
    table.pointee.close = { context, descriptor in
      let crowd = KernelScript.of(context).crowd
      guard crowd[descriptor] != nil else {
        if KernelScript.of(context).keptDescriptor == descriptor {
          return Glibc.shutdown(descriptor, Int32(SHUT_RDWR))
        }
        return cl_kernel_real().pointee.close(context, descriptor)
      }
      crowd.end(descriptor, isClosed: true)
      return 0
    }
    table.pointee.epoll_ctl = { context, epoll, operation, descriptor, event in
      let crowd = KernelScript.of(context).crowd
      guard crowd[descriptor] != nil else {
        return cl_kernel_real().pointee.epoll_ctl(context, epoll, operation, descriptor, event)
      }
      crowd.control(operation, descriptor, event?.pointee)
      return 0
    }
  }
}

extension ShardFixture {
  /// A socket of the crowd that the shard has accepted.
  func arrive() throws -> VirtualSocket {
    let before = core.metrics[0].value(.accepted)
    let socket = script.crowd.arrive()
    try turn(until: { core.metrics[0].value(.accepted) == before + 1 })
    socket.connection = try #require(shard.connection(onDescriptor: socket.descriptor))
    return socket
  }

  /// An open session of `user` in the crowd, after its upgrade answer.
  func arrive(
    _ user: String, path: String = "/api/v1/ws/notifications", query: String = "",
    seconds: Int64 = 86_400
  ) throws -> VirtualSocket {
    let socket = try arrive()
    socket.send(Self.request(path + query, token: Self.token(user, seconds: seconds)))
    try turn(until: { socket.received.headEnd != nil })
    socket.received.removeFirst(try #require(socket.received.headEnd))
    return socket
  }

  /// The request that opens `target`: a stream or a poll by its name, else a WebSocket.
  static func request(_ target: String, token: String) -> String {
    let path = target.prefix { $0 != "?" }
    if path.hasSuffix("/events") || path.hasSuffix("/poll") {
      return "GET \(target) HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \(token)\r\n\r\n"
    }
    return "GET \(target) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      + "Authorization: Bearer \(token)\r\n\r\n"
  }
}
