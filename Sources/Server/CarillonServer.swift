// A server: shards, store and ring put together, started, drained and ended.

internal import Broadcast
internal import Notifications
package import Reactor
internal import Storage

/// Why a server could not start.
package enum ServerError: Error, CustomStringConvertible {
  case system(SystemError)
  case store(path: String, reason: String)
  /// The numeric address cannot be listened on.
  case listen(host: String, port: UInt16, SystemError)

  package var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .store(let path, let reason): "the store in \(path) cannot be opened: \(reason)"
    case .listen(let host, let port, let error):
      "cannot listen on \(host) port \(port): \(error)"
    }
  }
}

/// A running server.
package final class CarillonServer: Sendable {
  let core: ServerCore
  private let threads: [Thread]
  /// The port it listens on.
  package let port: UInt16

  /// Opens the store, listens, and starts the shards.
  package convenience init(_ configuration: Configuration) throws(ServerError) {
    try self.init(configuration, kernel: .real)
  }

  /// The same over another kernel, which a test has scripted.
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
    core = ServerCore(
      configuration: configuration, kernel: kernel, ring: ring, parkers: parkers,
      mailboxes: parkers.map { Mailbox<ShardMessage>(capacity: .max, parker: $0) }, store: store,
      log: Log(level: configuration.logLevel))
    threads = try CarillonServer.startShards(core, pollers, listeners)
  }

  /// Every shard's listeners, one for each address and all on the first one's port.
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
          // What is committed must be told. The shards never wait for this thread, so the ring
          // empties whatever else happens.
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
              // A shard without its epoll is no shard: better to be restarted than half alive.
              core.log.write(.error, at: core.kernel.wallMilliseconds, "shard \(index): \(error)")
              fatalError("shard \(index) cannot go on: \(error)")
            }
          })
      } catch {
        throw .system(error)
      }
    }
    return threads
  }

  /// Sends everybody away in order, finishes what was accepted, and ends the threads.
  ///
  /// Returns once that is done, and at the latest a little after the configured drain time.
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
    // The shards go on draining the ring while the store finishes: it may have events to tell.
    core.store.close()
    for mailbox in core.mailboxes { mailbox.append(.stop) }
    for thread in threads { thread.join() }
    answerLateQueries()
  }

  /// Stops on a thread of its own and calls `done` there.
  package func stopInBackground(_ done: @escaping @Sendable () -> Void) {
    do throws(SystemError) {
      _ = try Thread(name: "stop") {
        self.stop()
        done()
      }
    } catch {
      // Without a thread to wait on it, stopping holds up the caller, and is still done.
      stop()
      done()
    }
  }

  /// Open sessions at this moment, or a moment ago.
  package var sessionCount: Int { core.metrics.total(.sessions) }
}
