// A failed system call, with the C library's text for its errno.

internal import Glibc

/// A system call that failed for a reason outside this program.
package struct SystemError: Error, CustomStringConvertible {
  /// The call's name.
  package let call: StaticString
  /// Its errno, positive.
  package let code: Int32

  package init(call: StaticString, code: Int32) {
    self.call = call
    self.code = code
  }

  package var description: String { "\(call) failed: \(message)" }

  /// The C library's text for its errno.
  package var message: String { Self.message(of: code) }

  /// The C library's text for an errno; any thread may call it.
  package static func message(of code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    // SAFETY: `text` is writable for its count, and strerror_r ends the text with a zero.
    // guard: errno-as-text
    guard unsafe strerror_r(code, &text, text.count) == 0 else { return "errno \(code)" }
    let written = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    return written.isEmpty ? "errno \(code)" : String(decoding: written, as: UTF8.self)
  }

  /// Throws when `result` is a negated errno, else returns it.
  static func check(_ result: Int32, _ call: StaticString) throws(SystemError) -> Int32 {
    guard result >= 0 else { throw SystemError(call: call, code: -result) }
    return result
  }
}
