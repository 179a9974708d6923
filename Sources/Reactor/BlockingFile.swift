// Small files and standard streams, for programs that may block: commands and benchmarks.

internal import CReactor
internal import Glibc

/// Reads and writes whole files with blocking calls.
///
/// Never call it on a shard's thread.
package enum BlockingFile {
  /// The text of a file; nil when it cannot be read, or has more than `bytesLimit` bytes.
  package static func read(_ path: String, bytesLimit: Int = .max) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { _ = close(descriptor) }
    var text: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      // SAFETY: `piece` is writable for its count.
      let count = unsafe Glibc.read(descriptor, &piece, piece.count)
      if count == 0 { return String(decoding: text, as: UTF8.self) }
      if count < 0 && errno != EINTR { return nil }
      text.append(contentsOf: piece[..<max(0, count)])
      // guard: file-bytes
      guard text.count <= bytesLimit else { return nil }
    }
  }

  /// The bytes of a regular file; nil when it cannot be read, or has more than `limit`.
  package static func read(_ path: String, limit: Int) -> [UInt8]? {
    // Opening a pipe without a writer would wait for one.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { _ = close(descriptor) }
    var status = stat()
    // SAFETY: one structure, live for the call.
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      return nil
    }
    var bytes = [UInt8](repeating: 0, count: limit + 1)
    var count = 0
    while count <= limit {
      // SAFETY: the array is live for the call, and has room for the rest of its count.
      let more = unsafe bytes.withUnsafeMutableBytes { bytes in
        unsafe Glibc.read(descriptor, bytes.baseAddress! + count, bytes.count - count)
      }
      if more == 0 { return Array(bytes[..<count]) }
      if more < 0 && errno != EINTR { return nil }
      count += max(0, more)
    }
    return nil
  }

  /// The names in a directory, at most `limit` and in no order; empty when it cannot be read.
  package static func names(in path: String, limit: Int) -> [String] {
    // SAFETY: the path is live for the call.
    guard let directory = unsafe opendir(path) else { return [] }
    // SAFETY: `directory` is open until here, and only this call has it.
    defer { unsafe closedir(directory) }
    var names: [String] = []
    // SAFETY: an entry is valid until the next call for the same directory. Its name ends with a
    // zero byte within the entry.
    while names.count < limit, let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names
  }

  /// Waits for bytes of an open file, pipe or terminal and reads up to `limit` of them.
  ///
  /// Returns an empty array at the end.
  package static func read(
    from descriptor: Int32, limit: Int
  ) throws(SystemError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: limit)
    while true {
      // SAFETY: `bytes` is writable for its count.
      let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
      if count >= 0 { return Array(bytes[..<count]) }
      switch errno {
      // A descriptor that another program made nonblocking.
      case EAGAIN: _ = isReadable(descriptor, timeoutMilliseconds: -1)
      case EINTR: break
      default: throw SystemError(call: "read", code: errno)
      }
    }
  }

  /// Whether a read returns at once, with bytes, the end or an error.
  ///
  /// Waits up to a time (-1: without limit) for it.
  package static func isReadable(_ descriptor: Int32, timeoutMilliseconds: Int32 = 0) -> Bool {
    var watched = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one structure, live for the call.
    return unsafe poll(&watched, 1, timeoutMilliseconds) > 0
  }

  /// Creates a file with this text or replaces its contents; false on an error.
  package static func write(_ text: String, to path: String) -> Bool {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return false }
    defer { _ = close(descriptor) }
    do throws(SystemError) {
      try write(text, to: descriptor)
      return true
    } catch {
      return false
    }
  }

  /// Writes the whole text.
  package static func write(_ text: String, to descriptor: Int32) throws(SystemError) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      // SAFETY: the slice is live and of that count for the call.
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
      if count < 0 && errno != EINTR { throw SystemError(call: "write", code: errno) }
      rest = rest.dropFirst(max(0, count))
    }
  }
}
