// A server: builds shards, store and ring, and starts, drains and stops them.

internal import Broadcast
internal import Channels
internal import Notifications
package import Reactor
internal import Storage

/// Why a server could not start.
package enum ServerError: Error, CustomStringConvertible {
  case system(SystemError)
  /// `code` is the errno of a failed system call; nil for other reasons.
  case store(path: String, reason: String, code: Int32?)
  /// Listening on the numeric address failed.
  case listen(host: String, port: UInt16, SystemError)
  /// The source of keys cannot be used.
  case keySource(reason: String)

  package var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .store(let path, let reason, _): "cannot open the store in \(path): \(reason)"
    case .listen(let host, let port, let error):
      "cannot listen on \(host.contains(":") ? "[\(host)]" : host):\(port): \(error.message)"
    case .keySource(let reason): "JWT_JWKS_URL: \(reason)"
    }
  }
}

/// A running server.
package final class CarillonServer: Sendable {
  /// The version of this build.
  package static let version = "0.1.0"

  let core: ServerCore
  private let threads: [Thread]
  private let keys: KeySetRefresher?
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
    let sockets = try CarillonServer.openSockets(for: listeners, configuration, kernel)
    let parkers = sockets.map { sockets in
      let waker = sockets.poller.waker
      return Parker(wake: { waker.wake() })
    }
    let ring = BroadcastRing<Event>(
      capacity: configuration.limits.ringCapacity, parkers: parkers)
    let log = Log(level: configuration.logLevel)
    let timeZones = TimeZoneFiles.table(in: configuration.timeZonePath)
    let store = try CarillonServer.open(configuration, ring, kernel, log, timeZones)
    if timeZones.count == 0 {
      // guard: missing-zones-reported
      log.write(.warning, at: kernel.wallMilliseconds, TimeZoneFiles.absence)
    }
    dataPath = store.path
    let mailboxes = parkers.map { Mailbox<ShardMessage>(capacity: .max, parker: $0) }
    let webhooks = try CarillonServer.startWebhooks(store, configuration, kernel, log, mailboxes)
    core = ServerCore(
      configuration: configuration, kernel: kernel, ring: ring, parkers: parkers,
      mailboxes: mailboxes, store: store, webhooks: webhooks, log: log,
      otherFileCount: ProcessResources.openFileCount, timeZones: timeZones)
    keys = try CarillonServer.startKeys(core)
    do throws(ServerError) {
      threads = try CarillonServer.startShards(core, sockets)
    } catch {
      keys?.stop()
      throw error
    }
  }

  /// Starts the thread that fetches keys, if there is a source of them.
  ///
  /// Before the shards, so that the first request finds the keys if the source answers.
  private static func startKeys(_ core: ServerCore) throws(ServerError) -> KeySetRefresher? {
    guard let source = core.configuration.keySource else { return nil }
    do {
      let keys = try KeySetRefresher(source, core)
      try keys.start()
      return keys
    } catch {
      core.webhooks?.stop()
      core.store.close()
      throw .keySource(reason: "\(error)")
    }
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

  /// Opens the sockets of all shards, or closes all listeners and throws.
  private static func openSockets(
    for listeners: [[Listener]], _ configuration: Configuration, _ kernel: Kernel
  ) throws(ServerError) -> [ShardSockets] {
    var sockets: [ShardSockets] = []
    do throws(SystemError) {
      for own in listeners {
        sockets.append(try ShardSockets(own, kernel: kernel, limits: configuration.limits))
      }
    } catch {
      // Those of the shard that failed are closed.
      for listener in listeners.dropFirst(sockets.count + 1).joined() { kernel.close(listener.fd) }
      throw .system(error)
    }
    return sockets
  }

  private static func open(
    _ configuration: Configuration, _ ring: BroadcastRing<Event>, _ kernel: Kernel, _ log: Log,
    _ timeZones: TimeZoneTable
  ) throws(ServerError) -> SQLiteStore {
    do throws(StoreError) {
      return try SQLiteStore(
        StoreConfiguration(path: configuration.dataPath, timeZones: timeZones), kernel: kernel,
        report: { $0.write(to: log, at: kernel.wallMilliseconds) }
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
      throw .store(path: configuration.dataPath, reason: "\(error)", code: error.systemCode)
    }
  }

  /// Starts the thread that sends webhooks, or closes the store and throws.
  private static func startWebhooks(
    _ store: SQLiteStore, _ configuration: Configuration, _ kernel: Kernel, _ log: Log,
    _ mailboxes: [Mailbox<ShardMessage>]
  ) throws(ServerError) -> WebhookSender {
    do throws(SystemError) {
      return try WebhookSender(
        WebhookContext(
          store: store, kernel: kernel, schedule: configuration.webhookRetries,
          policy: configuration.addressPolicy, userAgent: "Carillon/\(version)"
        ) { notice in
          switch notice {
          case .types(let types):
            for mailbox in mailboxes { mailbox.append(.webhookTypes(types)) }
          case .error(let text):
            log.write(.error, at: kernel.wallMilliseconds, text)
          }
        })
    } catch {
      store.close()
      throw .system(error)
    }
  }

  /// Starts the threads of all shards, or none.
  private static func startShards(
    _ core: ServerCore, _ sockets: [ShardSockets]
  ) throws(ServerError) -> [Thread] {
    // Nil until all threads have started: before that no shard accepts a connection.
    let mayRun = Guarded<Bool?>(nil)
    var threads: [Thread] = []
    do throws(SystemError) {
      for (index, sockets) in sockets.enumerated() {
        // The shard alone keeps its sockets, because a drain closes the listeners.
        let sockets = Guarded<ShardSockets?>(sockets)
        threads.append(
          try Thread(
            name: "shard-\(index)", processor: core.configuration.pinsShards ? index : nil
          ) {
            guard awaitStart(mayRun, core.kernel),
              let shard = makeShard(index, core, takingFrom: sockets)
            else { return }
            do throws(SystemError) {
              try shard.run()
            } catch {
              // A shard cannot run without its epoll: crash, so the server is restarted as a whole.
              core.log.write(.error, at: core.kernel.wallMilliseconds, "shard \(index): \(error)")
              fatalError("shard \(index) failed: \(error)")
            }
          })
      }
    } catch {
      mayRun.withLock { $0 = false }
      for thread in threads { thread.join() }
      core.webhooks?.stop()
      core.store.close()
      throw .system(error)
    }
    mayRun.withLock { $0 = true }
    return threads
  }

  /// A shard with the sockets in `holder`, which loses them.
  private static func makeShard(
    _ index: Int, _ core: ServerCore, takingFrom holder: Guarded<ShardSockets?>
  ) -> Shard? {
    let sockets = holder.withLock { sockets in
      defer { sockets = nil }
      return sockets
    }
    return sockets.map { Shard(index: index, core: core, sockets: $0) }
  }

  /// Waits until all threads have started; false if one could not.
  private static func awaitStart(_ mayRun: Guarded<Bool?>, _ kernel: Kernel) -> Bool {
    while true {
      if let mayRun = mayRun.withLock({ $0 }) { return mayRun }
      kernel.pause()
    }
  }

  /// Drains the connections, completes the accepted work, and ends the threads.
  ///
  /// Returns when this is done, or at the latest shortly after the configured drain timeout.
  package func stop() {
    for mailbox in core.mailboxes { mailbox.append(.drain) }
    keys?.stop()
    let kernel = core.kernel
    let limit = core.configuration.limits.drainTimeoutMilliseconds + Drain.stopMilliseconds
    let end = kernel.monotonicMilliseconds + limit
    while core.metrics.total(.draining) < core.mailboxes.count
      || core.metrics.total(.connections) > 0,
      kernel.monotonicMilliseconds < end
    {
      kernel.pause()
    }
    // Its results go to the store, so it ends first.
    core.webhooks?.stop()
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
