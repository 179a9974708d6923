// The environment variables of this process.

internal import Glibc

/// Environment variables.
package enum Environment {
  /// The value of a variable; nil when it is not set.
  package static func value(of name: String) -> String? {
    // SAFETY: getenv's result is copied at once, and no code of ours changes the environment.
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }
}
