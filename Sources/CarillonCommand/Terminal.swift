// Standard output, standard error and standard input.

internal import Glibc
internal import Reactor

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
    guard !BlockingFile.write(text, to: descriptor) else { return }
    // The reader of the output has gone: as for any filter, there is no work left.
    if descriptor == STDOUT_FILENO { exit(0) }
  }
}

/// Ends the process.
func endProcess(_ status: Int32) -> Never { exit(status) }
