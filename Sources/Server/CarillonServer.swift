// A server: builds shards, store and ring, and starts, drains and stops them.

internal import Broadcast
internal import Notifications
package import Reactor
internal import Storage

/// Why a server could not start.
package enum ServerError: Error, CustomStringConvertible {
  case system(SystemError)
  case store(path: String, reason: String)
  /// Listening on the numeric address failed.
  case listen(host: String, port: UInt16, SystemError)

  package var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .store(let path, let reason): "cannot open the store in \(path): \(reason)"
    case .listen(let host, let port, let error):
      "cannot listen on \(host.contains(":") ? "[\(host)]" : host):\(port): \(error.message)"
    }
  }
}

/// A running server.
package final class CarillonServer: Sendable {
  /// The version of this build.
  package static let version = "0.1.0"

  let core: ServerCore
  private let threads: [Thread]
  /// The port that the server listens on.
  package let port: UInt16
  /// The absolute path of the store's directory; `:memory:` for a temporary store.
  package let dataPath: String

  /// Opens the store, listens, and starts the shards.
  package convenience init(_ configuration: Configuration) throws(ServerError) {
    try self.init(configuration, kernel: .real)
  }

  /// The same over another kernel, which tests script.
  init(_ configuration: Configuration, kernel: Kernel) throws(ServerError) {
    let listeners = try CarillonServer.listen(configuration, kernel)
    port = listeners[0][0].port
    var pollers: [Poller] = []
    do throws(SystemError) {
      for _ in 0..<configuration.shardCount { pollers.append(try Poller(kernel: kernel)) }
    } catch {
      throw .system(error)
    }
    let parkers = pollers.map { poller in
      let waker = poller.waker
      return Parker(wake: { waker.wake() })
    }
    let ring = BroadcastRing<Event>(
      capacity: configuration.limits.ringCapacity, parkers: parkers)
    let store = try CarillonServer.open(configuration, ring, kernel)
    dataPath = store.path
    core = ServerCore(
      configuration: configuration, kernel: kernel, ring: ring, parkers: parkers,
      mailboxes: parkers.map { Mailbox<ShardMessage>(capacity: .max, parker: $0) }, store: store,
      log: Log(level: configuration.logLevel))
    threads = try CarillonServer.startShards(core, pollers, listeners)
  }

  /// Opens every shard's listeners, one for each address, all on the port of the first one.
  private static func listen(
    _ configuration: Configuration, _ kernel: Kernel
  ) throws(ServerError) -> [[Listener]] {
    var listeners = [[Listener]](repeating: [], count: configuration.shardCount)
    for host in [configuration.host] + configuration.furtherHosts {
      for shard in listeners.indices {
        let port = listeners[0].first?.port ?? configuration.port
        do throws(SystemError) {
          listeners[shard].append(
            try Listener(kernel: kernel, host: host, port: port, isFurther: shard > 0))
        } catch {
          for listener in listeners.joined() { kernel.close(listener.fd) }
          throw .listen(host: host, port: port, error)
        }
      }
    }
    return listeners
  }

  private static func open(
    _ configuration: Configuration, _ ring: BroadcastRing<Event>, _ kernel: Kernel
  ) throws(ServerError) -> SQLiteStore {
    do throws(StoreError) {
      return try SQLiteStore(
        StoreConfiguration(path: configuration.dataPath), kernel: kernel
      ) { events in
        var rest = events[...]
        while !rest.isEmpty {
          rest = rest.dropFirst(ring.offer(contentsOf: rest))
          // Committed events must be published. The shards never wait for this thread, so the ring
          // always drains.
          if !rest.isEmpty { kernel.pause() }
        }
      }
    } catch {
      throw .store(path: configuration.dataPath, reason: "\(error)")
    }
  }

  private static func startShards(
    _ core: ServerCore, _ pollers: [Poller], _ listeners: [[Listener]]
  ) throws(ServerError) -> [Thread] {
    var threads: [Thread] = []
    for index in pollers.indices {
      let poller = pollers[index]
      let listeners = listeners[index]
      do throws(SystemError) {
        threads.append(
          try Thread(
            name: "shard-\(index)", processor: core.configuration.pinsShards ? index : nil
          ) {
            do throws(SystemError) {
              try Shard(index: index, core: core, poller: poller, listeners: listeners).run()
            } catch {
              // A shard cannot run without its epoll: crash, so the server is restarted as a whole.
              core.log.write(.error, at: core.kernel.wallMilliseconds, "shard \(index): \(error)")
              fatalError("shard \(index) failed: \(error)")
            }
          })
      } catch {
        throw .system(error)
      }
    }
    return threads
  }

  /// Drains the connections, completes the accepted work, and ends the threads.
  ///
  /// Returns when this is done, or at the latest shortly after the configured drain timeout.
  package func stop() {
    for mailbox in core.mailboxes { mailbox.append(.drain) }
    let kernel = core.kernel
    let limit = core.configuration.limits.drainTimeoutMilliseconds + 2_000
    let end = kernel.monotonicMilliseconds + limit
    while core.metrics.total(.draining) < core.mailboxes.count
      || core.metrics.total(.connections) > 0,
      kernel.monotonicMilliseconds < end
    {
      kernel.pause()
    }
    // The shards keep draining the ring while the store closes: it may still publish events.
    core.store.close()
    for mailbox in core.mailboxes { mailbox.append(.stop) }
    for thread in threads { thread.join() }
    answerLateQueries()
  }

  /// Stops the server on a separate thread and calls `done` there.
  package func stopInBackground(_ done: @escaping @Sendable () -> Void) {
    do throws(SystemError) {
      _ = try Thread(name: "stop") {
        self.stop()
        done()
      }
    } catch {
      // Without a thread, stop on the caller's, which blocks meanwhile.
      stop()
      done()
    }
  }

  /// Writes a line to the server's log, if its level is enabled.
  package func log(_ level: LogLevel, _ message: String) {
    core.log.write(level, at: core.kernel.wallMilliseconds, message)
  }

  /// Number of open sessions, as last published by the shards.
  package var sessionCount: Int { core.metrics.total(.sessions) }
}
