// The thread that fetches the set of keys of JWT_JWKS_URL and gives it to the shards.
//
// A shard never waits for it: it verifies tokens with the keys that it has. An unknown key makes
// this thread fetch earlier, and the client's next attempt finds the new key. While the source is
// down, or sends a set without a usable key, the last set stays in use.

internal import Broadcast
internal import Channels
internal import Reactor
internal import Tokens

/// The source of a set of public keys.
package struct KeySource: Sendable {
  /// The URL of the set, as `DownloadURL` accepts it.
  package let url: String
  /// A file of certificates in PEM that the server of the set is checked with; nil: the system's.
  package let authorities: String?

  /// Nil for a URL that is not https, or http to this machine.
  package init?(url: String, authorities: String? = nil) {
    guard DownloadURL(url) != nil else { return nil }
    self.url = url
    self.authorities = authorities
  }
}

/// Fetches a set of keys again and again, on a thread of its own.
final class KeySetRefresher: @unchecked Sendable {
  // Unchecked: all properties but `thread` are constant and Sendable. `thread` is touched by
  // `start` and `stop` alone, each called once by the owner, the second after the first returned.

  /// The time for which a server that starts waits for the first set.
  static let startMilliseconds: UInt64 = 10_000
  /// The time for one fetch.
  static let fetchMilliseconds: UInt64 = 10_000

  private struct State {
    var isStopping = false
    var hasUnknownKey = false
    /// Whether a set is there.
    var hasKeys = false
  }

  private let url: DownloadURL
  private let core: ServerCore
  private let http: OutgoingHTTP
  private let state = Guarded(State())
  private var thread: Thread?

  /// Throws the reason why libcurl cannot be used.
  init(_ source: KeySource, _ core: ServerCore) throws {
    guard let url = DownloadURL(source.url) else { preconditionFailure("an unchecked URL") }
    self.url = url
    self.core = core
    http = try OutgoingHTTP(
      policy: url.policy, kernel: core.kernel, authorities: source.authorities)
  }

  /// Starts the thread and waits for the first set, for a bounded time.
  ///
  /// The server starts without it after that time, and refuses the tokens of its keys until then.
  func start() throws(SystemError) {
    thread = try Thread(name: "keys") { self.run() }
    core.unknownKeyReporter.withLock { reporter in
      reporter = { [weak self] in self?.reportUnknownKey() }
    }
    let end = core.kernel.monotonicMilliseconds + KeySetRefresher.startMilliseconds
    while !state.withLock({ $0.hasKeys }) {
      guard core.kernel.monotonicMilliseconds < end else {
        return log(.warning, "no set of keys so far: its tokens are refused until one is there")
      }
      core.kernel.pause()
    }
  }

  /// Ends the thread; a fetch that is under way is given up.
  func stop() {
    state.withLock { $0.isStopping = true }
    http.wake()
    thread?.join()
    thread = nil
  }

  /// Any thread may call it.
  private func reportUnknownKey() {
    let isFirst = state.withLock { state in
      defer { state.hasUnknownKey = true }
      return !state.hasUnknownKey
    }
    if isFirst { http.wake() }
  }

  private func run() {
    var schedule = KeySetSchedule(at: core.kernel.monotonicMilliseconds)
    while !state.withLock({ $0.isStopping }) {
      let hasUnknownKey = state.withLock { state in
        defer { state.hasUnknownKey = false }
        return state.hasUnknownKey
      }
      if hasUnknownKey { schedule.noteUnknownKey() }
      let wait = schedule.wait(at: core.kernel.monotonicMilliseconds)
      if wait == 0 {
        fetch(&schedule)
      } else {
        _ = http.wait(milliseconds: Int32(clamping: wait))
      }
    }
  }

  private func fetch(_ schedule: inout KeySetSchedule) {
    schedule.begin(at: core.kernel.monotonicMilliseconds)
    guard let outcome = get() else { return }
    let answer: OutgoingAnswer
    switch outcome {
    case .failed(let failure): return fail(failure.rawValue, &schedule)
    case .answered(let found): answer = found
    }
    // guard: key-set-status
    guard answer.status == 200 else {
      return fail("the answer has the status \(answer.status)", &schedule)
    }
    // guard: download-bytes
    guard answer.isBodyComplete else {
      return fail("the answer is incomplete or too long", &schedule)
    }
    do throws(KeyFault) {
      let set = try KeyDocument.parseSet(answer.body)
      schedule.succeed(
        at: core.kernel.monotonicMilliseconds, maxAgeSeconds: answer.maxAgeSeconds)
      publish(set.keys, skipped: set.skipped)
    } catch {
      fail(error.text, &schedule)
    }
  }

  /// The answer of the source, or the reason why there is none; nil when the server stops.
  private func get() -> OutgoingOutcome? {
    let request: OutgoingRequest
    do throws(OutgoingRequestError) {
      request = try OutgoingRequest(
        .get, url.destination, timeoutMilliseconds: KeySetRefresher.fetchMilliseconds,
        keptBodyBytes: KeyDocument.bytesLimit)
    } catch {
      return .failed(.unavailable)
    }
    guard http.start(request, id: 1) else { return .failed(.unavailable) }
    while !state.withLock({ $0.isStopping }) {
      if let result = http.wait(milliseconds: 1_000).first { return result.outcome }
    }
    http.cancel(1)
    return nil
  }

  private func fail(_ reason: String, _ schedule: inout KeySetSchedule) {
    schedule.fail(at: core.kernel.monotonicMilliseconds)
    let count = core.fetchedKeys.withLock { $0.count }
    log(.warning, "cannot fetch the set of keys, \(count) keys stay in use: \(reason)")
    core.mailboxes[0].append(.keysNotFetched)
  }

  private func publish(_ keys: [VerificationKey], skipped: [KeyFault]) {
    let before = core.fetchedKeys.withLock { known in
      defer { known = keys }
      return known.count
    }
    state.withLock { $0.hasKeys = true }
    for mailbox in core.mailboxes { mailbox.append(.keysChanged) }
    guard keys.count != before else { return }
    let rest =
      skipped.first.map { "; \(skipped.count) skipped, the first because \($0.text)" } ?? ""
    log(.info, "the set of keys has \(keys.count) that verify tokens" + rest)
  }

  private func log(_ level: LogLevel, _ message: String) {
    core.log.write(level, at: core.kernel.wallMilliseconds, "JWT_JWKS_URL: " + message)
  }
}
