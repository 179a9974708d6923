// Standard output, standard error and standard input.

internal import Glibc
internal import Reactor

/// Reads and writes the standard streams.
enum Terminal {
  /// Prints data on standard output.
  static func print(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }
  /// Prints a message on standard error.
  static func say(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// Replaces the current line on standard error.
  static func sayOver(_ line: String) { write("\r\u{1B}[K" + line, to: STDERR_FILENO) }

  /// Whether standard error is a terminal and NO_COLOR is not set; an empty value sets nothing.
  static var hasColour: Bool {
    Environment.value(of: "NO_COLOR")?.isEmpty != false && isatty(STDERR_FILENO) == 1
  }

  /// `text`, in bold if `hasColour`.
  static func bold(_ text: String) -> String { hasColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  /// The next line of standard input without its newline; nil at the end.
  static func readInputLine() -> String? { Swift.readLine(strippingNewline: true) }

  private static func write(_ text: String, to descriptor: Int32) {
    guard !BlockingFile.write(text, to: descriptor) else { return }
    // The reader of the output has closed the pipe: exit, as any filter does.
    if descriptor == STDOUT_FILENO { exit(0) }
  }
}

/// Ends the process.
func endProcess(_ status: Int32) -> Never { exit(status) }
