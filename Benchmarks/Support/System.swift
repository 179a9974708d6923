// The driver's access to the operating system: files of /proc, processors, directories.

internal import Glibc
internal import Reactor

/// A failed step of a benchmark.
package struct BenchmarkError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// The closure of a pinned thread, and its error.
private final class PinnedWork: @unchecked Sendable {
  // Unchecked: the starter joins the thread, so only one thread at a time uses it.
  private let body: () throws -> Void
  private(set) var failure: (any Error)?

  init(_ body: @escaping () throws -> Void) { self.body = body }

  func run() {
    do { try body() } catch { failure = error }
  }
}

/// The driver's access to the operating system.
package enum System {
  /// The text of a small file; nil when it cannot be read.
  package static func read(_ path: String) -> String? { BlockingFile.read(path) }

  package static func write(_ text: String, to path: String) throws {
    guard BlockingFile.write(text, to: path) else { throw BenchmarkError("cannot write \(path)") }
  }

  /// The names in a directory, except those that begin with a dot.
  package static func names(in path: String) -> [String] {
    guard let directory = unsafe opendir(path) else { return [] }
    defer { unsafe closedir(directory) }
    var names: [String] = []
    while let entry = unsafe readdir(directory) {
      // SAFETY: the kernel ends each name with a zero, and the entry lives until the next readdir.
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { characters in
          unsafe String(cString: characters)
        }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  /// The processor time of all threads of a process (an id, or `self`), and their waiting time.
  ///
  /// Both in nanoseconds; the waiting time is for a processor used by other threads.
  package static func processorNanoseconds(
    ofProcess process: String
  ) -> (taken: UInt64, waited: UInt64) {
    let tasks = "/proc/\(process)/task"
    return names(in: tasks).reduce((0, 0)) { sum, task in
      let fields = (read("\(tasks)/\(task)/schedstat") ?? "").split(separator: " ")
      guard fields.count > 1 else { return sum }
      return (sum.0 + (UInt64(fields[0]) ?? 0), sum.1 + (UInt64(fields[1]) ?? 0))
    }
  }

  /// The path of this program.
  package static func productPath() -> String {
    var text = [CChar](repeating: 0, count: 4_096)
    // SAFETY: `text` is writable for its count, and one byte is left for the ending zero.
    let count = unsafe readlink("/proc/self/exe", &text, text.count - 1)
    return String(decoding: text.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The directory of this program, where SwiftPM puts the other products too.
  package static func productDirectory() -> String {
    let path = productPath()
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }

  /// The names and values that describe the machine in a report.
  package static var description: [(String, String)] {
    let cpuinfo = read("/proc/cpuinfo") ?? ""
    let model = cpuinfo.split(separator: "\n").first { $0.hasPrefix("model name") }
    let kernel = read("/proc/sys/kernel/osrelease") ?? ""
    return [
      ("processor", model.map { String($0.drop { $0 != ":" }.dropFirst(2)) } ?? "unknown"),
      ("processors", "\(processorCount)"),
      ("kernel", kernel.split(separator: "\n").first.map(String.init) ?? "unknown"),
    ]
  }

  /// Processors that the driver may use.
  ///
  /// It is first read on the main thread, which is not pinned.
  package static let processorCount = ProcessResources.processorCount
  /// The processors of a server under measurement and of its load client; nil with one processor.
  package static var serverProcessor: Int? { processorCount > 1 ? 0 : nil }
  private static var clientProcessor: Int? { processorCount > 1 ? 1 : nil }

  /// Runs `body` on the load client's processor.
  package static func onClientProcessor<Result>(_ body: @escaping () throws -> Result) throws
    -> Result
  {
    var result: Result?
    try run(onProcessor: clientProcessor) { result = try body() }
    guard let result else { throw BenchmarkError("the thread ran nothing") }
    return result
  }

  /// Runs `body` on a thread pinned to one processor, and waits for its end.
  ///
  /// Processors are numbered among those that this thread may use, so call it on the main thread. A
  /// process that the pinned thread starts inherits the processor. With nil, `body` runs on this
  /// thread.
  package static func run(onProcessor processor: Int?, _ body: @escaping () throws -> Void) throws {
    guard let processor else { return try body() }
    let work = PinnedWork(body)
    try Thread(name: "pinned", processor: processor) { work.run() }.join()
    if let failure = work.failure { throw failure }
  }

  /// Sleeps between two checks of a condition; throws when a signal arrives.
  package static func pause(milliseconds: Int) throws {
    guard Signals.wait(timeoutMilliseconds: Int32(milliseconds)) == nil else {
      throw BenchmarkError("interrupted")
    }
  }

  /// Polls until `condition` holds; false when the time is up.
  package static func wait(seconds: Double, until condition: () throws -> Bool) throws -> Bool {
    var left = Int(seconds * 50)
    while try !condition() {
      guard left > 0 else { return false }
      left -= 1
      try pause(milliseconds: 20)
    }
    return true
  }

  /// A loopback port on which no socket listens.
  package static func freePort() throws -> UInt16 {
    let listener = try Listener(kernel: .real, host: "127.0.0.1", port: 0)
    Kernel.real.close(listener.fd)
    return listener.port
  }
}
