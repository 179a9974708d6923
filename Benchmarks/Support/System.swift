// What the driver asks of the operating system: files of /proc, processors, directories.

internal import Glibc
internal import Reactor

/// A step of the benchmark that could not be taken.
package struct BenchmarkError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// What a pinned thread runs, and how it failed.
private final class PinnedWork: @unchecked Sendable {
  // Unchecked: the starter waits until the thread has ended, so only one thread at a time has it.
  private let body: () throws -> Void
  private(set) var failure: (any Error)?

  init(_ body: @escaping () throws -> Void) { self.body = body }

  func run() {
    do { try body() } catch { failure = error }
  }
}

/// What the driver asks of the operating system.
package enum System {
  /// A small file, whole; nil when it cannot be read.
  package static func read(_ path: String) -> String? { BlockingFile.read(path) }

  package static func write(_ text: String, to path: String) throws {
    guard BlockingFile.write(text, to: path) else { throw BenchmarkError("cannot write \(path)") }
  }

  /// The names in a directory, without those that begin with a dot.
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

  /// Nanoseconds that all threads of a process (an id, or `self`) have had a processor, and those
  /// that they have waited for one while others had it.
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

  /// The directory that this program lies in, where SwiftPM puts the others too.
  package static func productDirectory() -> String {
    let path = productPath()
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }

  /// The machine, for a report: names and values.
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
  /// First asked on the main thread, which is not pinned.
  package static let processorCount = ProcessResources.processorCount
  /// Where a server under measurement runs, and where its load client does: nil when they share
  /// the only one.
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

  /// Runs `body` on a thread that keeps to one processor, and waits for its end.
  ///
  /// Processors are numbered among those that this thread may use, so this is for the main thread.
  /// A process that the thread starts inherits the processor. Without one, it runs here.
  package static func run(onProcessor processor: Int?, _ body: @escaping () throws -> Void) throws {
    guard let processor else { return try body() }
    let work = PinnedWork(body)
    try Thread(name: "pinned", processor: processor) { work.run() }.join()
    if let failure = work.failure { throw failure }
  }

  /// Waits a moment between two looks at a condition, or until someone wants the program to end.
  package static func pause(milliseconds: Int) throws {
    guard Signals.wait(timeoutMilliseconds: Int32(milliseconds)) == nil else {
      throw BenchmarkError("interrupted")
    }
  }

  /// Looks until `condition` holds; false when it did not within the time.
  package static func wait(seconds: Double, until condition: () throws -> Bool) throws -> Bool {
    var left = Int(seconds * 50)
    while try !condition() {
      guard left > 0 else { return false }
      left -= 1
      try pause(milliseconds: 20)
    }
    return true
  }

  /// A port of loopback that nothing listens on now.
  package static func freePort() throws -> UInt16 {
    let listener = try Listener(kernel: .real, host: "127.0.0.1", port: 0)
    Kernel.real.close(listener.fd)
    return listener.port
  }
}
