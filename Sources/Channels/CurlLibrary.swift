// The start of libcurl.
//
// A server without channels never loads it; see Sources/CCurl/include/CCurl.h for the cost.

internal import CCurl
internal import Cryptography

/// libcurl, loaded and initialized once in the process.
package struct CurlLibrary: Sendable {
  /// libcurl cannot be used.
  package struct Failure: Error, CustomStringConvertible {
    package let description: String
  }

  /// Its version, as `7.88.1`.
  package let version: String

  private static let result: Result<CurlLibrary, Failure> = start()

  /// Loads libcurl at the first call, and returns the same result at each further one.
  ///
  /// Any thread may call it; the first call takes some milliseconds.
  package static func load() throws(Failure) -> CurlLibrary { try result.get() }

  private static func start() -> Result<CurlLibrary, Failure> {
    // libcurl starts OpenSSL too, with a cleanup at exit that other threads would run into.
    OpenSSL.start()
    guard cu_load() == 0 else {
      // SAFETY: a text that ends with NUL, valid until the next call, and there is none.
      let reason = unsafe String(cString: cu_load_error())
      return .failure(Failure(description: "cannot load libcurl (package libcurl4): \(reason)"))
    }
    // SAFETY: a constant text of the library that ends with NUL.
    return .success(CurlLibrary(version: unsafe String(cString: cu_version())))
  }
}
