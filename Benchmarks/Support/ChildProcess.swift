// A child process under measurement: started on its own processor, observed through /proc, and
// stopped by its id.

package import Glibc
package import LoadClient

/// A process that this one started.
///
/// The process is stopped at the latest when this object goes away.
package final class ChildProcess {
  package let processID: pid_t
  private let inputDescriptor: Int32
  private var isRunning = true

  /// Starts a program on one processor and writes its output to a file.
  ///
  /// Its standard input is a pipe that stays open as long as this object, so a child that exits at
  /// end of input does not outlive the driver, even when the driver is killed.
  package init(
    _ arguments: [String], environment: [String: String] = [:], processor: Int?, output: String
  ) throws {
    var pipeEnds: [Int32] = [0, 0]
    // SAFETY: pipe writes two descriptors into an array of two.
    guard unsafe pipe(&pipeEnds) == 0 else { throw BenchmarkError("no pipe") }
    let (input, kept) = (pipeEnds[0], pipeEnds[1])
    // Children that are started later must not inherit either end.
    for end in pipeEnds { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { _ = close(input) }
    var started: pid_t?
    try System.run(onProcessor: processor) {
      started = Self.spawn(arguments, environment: environment, input: input, output: output)
    }
    guard let started else {
      _ = close(kept)
      throw BenchmarkError("cannot start \(arguments[0])")
    }
    processID = started
    inputDescriptor = kept
  }

  deinit {
    stop()
    _ = close(inputDescriptor)
  }

  /// Nanoseconds of processor time of all threads, system calls included.
  package func processorNanoseconds() -> UInt64 {
    System.processorNanoseconds(ofProcess: "\(processID)").taken
  }

  /// Nanoseconds that all threads have waited for a processor used by other threads.
  package func waitedNanoseconds() -> UInt64 {
    System.processorNanoseconds(ofProcess: "\(processID)").waited
  }

  /// Resident memory in bytes, as the kernel counts it for the process: without socket buffers.
  package func residentByteCount() -> Int {
    let status = System.read("/proc/\(processID)/status") ?? ""
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }) else {
      return 0
    }
    return (Int(line.filter(\.isNumber)) ?? 0) * 1_024
  }

  /// The number of open files.
  package func fileCount() -> Int { System.names(in: "/proc/\(processID)/fd").count }

  /// Whether the process is running.
  package func isAlive() -> Bool {
    guard isRunning else { return false }
    var status: Int32 = 0
    // SAFETY: `status` is writable; the process is a child that has not been reaped.
    if unsafe waitpid(processID, &status, WNOHANG) != 0 { isRunning = false }
    return isRunning
  }

  /// Sends SIGTERM, and SIGKILL after 15 seconds, and waits for the end of the process.
  package func stop() {
    guard isAlive() else { return }
    _ = kill(processID, SIGTERM)
    // A signal to this process ends the wait early, and the child is killed at once.
    let hasEnded = (try? System.wait(seconds: 15) { !self.isAlive() }) ?? false
    guard !hasEnded, isRunning else { return }
    _ = kill(processID, SIGKILL)
    var status: Int32 = 0
    // SAFETY: `status` is writable; the process is a child that has not been reaped.
    _ = unsafe waitpid(processID, &status, 0)
    isRunning = false
  }

  /// Polls /readyz until it succeeds.
  package func waitUntilReady(_ server: ServerURL) throws {
    let isReady = try System.wait(seconds: 30) {
      guard self.isAlive() else { throw BenchmarkError("the server ended before it was ready") }
      // The server does not listen yet: not ready.
      guard let connection = try? HTTPConnection(to: server, timeoutMilliseconds: 1_000),
        let answer = try? connection.perform(HTTPRequest("GET", "/readyz"))
      else { return false }
      return answer.isSuccess
    }
    guard isReady else { throw BenchmarkError("the server was not ready within 30 s") }
  }

  private static func spawn(
    _ arguments: [String], environment: [String: String], input: Int32, output: String
  ) -> pid_t? {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    // SAFETY: both are initialised before use and destroyed once.
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    unsafe posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    unsafe posix_spawn_file_actions_addopen(
      &actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    unsafe posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    // The driver blocks the signals that end it; its children must not inherit that.
    var noSignals = sigset_t()
    unsafe sigemptyset(&noSignals)
    unsafe posix_spawnattr_setsigmask(&attributes, &noSignals)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var variables = environment.map { "\($0.key)=\($0.value)" }
    variables.append("PATH=/usr/bin:/bin")
    var argumentPointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
    var variablePointers = unsafe variables.map { unsafe strdup($0) } + [nil]
    defer {
      let all = unsafe argumentPointers + variablePointers
      // SAFETY: each came from strdup above and is freed once; free(nil) does nothing.
      unsafe all.forEach { unsafe free($0) }
    }
    var started: pid_t = 0
    // SAFETY: both arrays end with nil, and everything they point to lives until after the call.
    let status = unsafe posix_spawn(
      &started, arguments[0], &actions, &attributes, &argumentPointers, &variablePointers)
    return status == 0 ? started : nil
  }
}
