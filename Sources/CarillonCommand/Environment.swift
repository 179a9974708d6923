// The process's surroundings: environment variables, standard output and error, standard input.

internal import Glibc

/// Environment variables.
enum Environment {
  /// The value of a variable; nil when it is not set.
  static func value(of name: String) -> String? {
    // SAFETY: getenv's result is read at once, and nothing here changes the environment.
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}

/// What goes out and comes in.
enum Terminal {
  /// Data, on standard output.
  static func print(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }
  /// Talk, on standard error.
  static func say(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// Talk that takes the place of what was said before on the same line.
  static func sayOver(_ line: String) { write("\r\u{1B}[K" + line, to: STDERR_FILENO) }

  /// Whether colour is wanted on standard error.
  static var hasColour: Bool {
    Environment.value(of: "NO_COLOR") == nil && isatty(STDERR_FILENO) == 1
  }

  /// `text`, bold where colour is wanted.
  static func bold(_ text: String) -> String { hasColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  /// The next line of standard input without its end; nil at the end.
  static func readInputLine() -> String? { Swift.readLine(strippingNewline: true) }

  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      // SAFETY: the slice is live and of that count for the call.
      let count = unsafe rest.withUnsafeBytes { bytes in
        unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
      }
      if count < 0 && errno != EINTR {
        // Whoever read this has gone: as with any filter, there is nobody left to work for.
        if descriptor == STDOUT_FILENO { exit(0) }
        return
      }
      if count > 0 { rest = rest.dropFirst(count) }
    }
  }
}

/// The kernel's small files.
enum ProcFile {
  /// The text of a file of at most 4 KiB, without the line end; nil when it cannot be read.
  static func read(_ path: String) -> String? {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    // SAFETY: the array is live and of that count for the call.
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
    }
    guard count >= 0 else { return nil }
    let text = String(decoding: bytes[..<count], as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }
}

/// Ends the process.
func endProcess(_ status: Int32) -> Never { exit(status) }
