// A bus in the test's own process, and clients that connect to it over loopback.

import Glibc
import LoadClient
import Testing
import Wire

@testable import Carillon

/// A bus on a free port, with a store in memory.
func startBus(_ change: (inout BusConfiguration) -> Void = { _ in }) throws -> NotificationBus {
  var configuration = BusConfiguration(
    dataPath: ":memory:", tokenSecret: BusConfiguration.makeSecret())
  configuration.port = 0
  change(&configuration)
  return try NotificationBus.start(configuration)
}

/// A client of one user: in the `event` dialect, after its greeting, or in `typed`, which has none.
final class Listener {
  let client: WebSocketClient

  init(_ user: String, at bus: NotificationBus, since: String? = nil) throws {
    let server = ServerURL(numericHost: "127.0.0.1", port: bus.port)
    client = try WebSocketClient(
      to: server,
      target: "/api/v1/ws/notifications" + (since.map { "?since=\($0)" } ?? ""),
      fields: [.bearer(try bus.makeToken(for: user))])
    #expect(try next().contains("connection:established"))
  }

  init(typed user: String, at bus: NotificationBus, rooms: [String] = []) throws {
    client = try WebSocketClient(
      to: ServerURL(numericHost: "127.0.0.1", port: bus.port), target: "/ws/connect",
      fields: [.bearer(try bus.makeToken(for: user, rooms: rooms))])
  }

  /// The next message, except inbox statistics and the presence of other users.
  func next() throws -> String {
    while true {
      switch try client.receive(timeoutMilliseconds: 20_000) {
      case .text(let text) where text.contains(#""event":"stats:updated""#): continue
      case .text(let text) where text.contains(#""type":"presence_update""#): continue
      case .text(let text): return text
      case let other: return "\(String(describing: other))"
      }
    }
  }

  /// The server's close code, after skipping all messages before it.
  func closeCode() throws -> UInt16? {
    while let message = try client.receive(timeoutMilliseconds: 20_000) {
      if case .closed(let code, _) = message { return code }
    }
    return nil
  }
}

/// Waits until `condition` holds; false when it does not within 20 seconds.
func comesTrue(_ condition: () async throws -> Bool) async rethrows -> Bool {
  let clock = ContinuousClock()
  let end = clock.now + .seconds(20)
  while clock.now < end {
    if try await condition() { return true }
    await Task.yield()
  }
  return false
}

/// The field of the thrown `BusError.invalid`; nil when nothing is thrown.
func refusedField(_ body: () async throws -> Void) async -> String? {
  do {
    try await body()
    return nil
  } catch BusError.invalid(let field, _) {
    return field
  } catch {
    return "\(error)"
  }
}

/// A directory that is deleted after the test.
final class TemporaryDirectory {
  let path: String

  init() {
    var template = Array("/tmp/carillon-test-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template)!)
  }

  deinit {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        unlink(path + "/" + name)
      }
      closedir(directory)
    }
    rmdir(path)
  }
}

extension NotificationBus {
  /// The number of open subscriptions to events.
  var subscriptionCount: Int { subscriptions.count }
}
