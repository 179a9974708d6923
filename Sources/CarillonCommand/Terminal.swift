// Standard output, standard error and standard input.

internal import Glibc
internal import Reactor

/// Reads and writes the standard streams.
enum Terminal {
  /// Makes a closed standard stream an error of its use; call it first.
  static func prepare() {
    StandardStreams.reserveClosed()
    Signals.ignoreBrokenPipes()
  }

  /// Prints data on standard output.
  ///
  /// When it is closed or full, the process ends with an error: lost data must not look like
  /// success.
  static func print(_ line: String) {
    do throws(SystemError) {
      try BlockingFile.write(line + "\n", to: STDOUT_FILENO)
    } catch {
      say("carillon: cannot write to standard output: \(error.message)")
      // guard: lost-output-is-an-error
      endProcess(1)
    }
  }

  /// Prints a message on standard error.
  static func say(_ line: String) { writeMessage(line + "\n") }

  /// Replaces the current line on standard error.
  static func sayOver(_ line: String) { writeMessage("\r\u{1B}[K" + line) }

  /// Whether standard error is a terminal and NO_COLOR is not set; an empty value sets nothing.
  static var hasColour: Bool {
    Environment.value(of: "NO_COLOR")?.isEmpty != false && isatty(STDERR_FILENO) == 1
  }

  /// `text`, in bold if `hasColour`.
  static func bold(_ text: String) -> String { hasColour ? "\u{1B}[1m\(text)\u{1B}[0m" : text }

  /// Whether standard input is a terminal.
  static var isInputTyped: Bool { isatty(STDIN_FILENO) == 1 }

  /// Waits for bytes of standard input; empty at its end.
  static func readInput(limit: Int) throws -> [UInt8] {
    do throws(SystemError) {
      return try BlockingFile.read(from: STDIN_FILENO, limit: limit)
    } catch {
      throw InputError(reason: error.message)
    }
  }

  /// Whether `readInput` returns at once.
  static var hasInput: Bool { BlockingFile.isReadable(STDIN_FILENO) }

  /// The next line of standard input without its newline; nil at the end.
  static func readInputLine() -> String? { Swift.readLine(strippingNewline: true) }

  private static func writeMessage(_ text: String) {
    do throws(SystemError) {
      try BlockingFile.write(text, to: STDERR_FILENO)
    } catch {
      // A failed write to standard error cannot be reported anywhere.
    }
  }
}

/// Standard input that cannot be read.
struct InputError: Error, CustomStringConvertible {
  let reason: String
  var description: String { "cannot read standard input: \(reason)" }
}

/// Ends the process.
func endProcess(_ status: Int32) -> Never { exit(status) }
