// Starts servers under measurement, with the secrets that authenticate their clients.

internal import Glibc
package import LoadClient
internal import Reactor
internal import Tokens

/// The random secrets of this run, shared by the driver and the servers that it starts.
package struct Credentials: Sendable {
  private let secret: String
  private let apiKey: String

  package init() {
    secret = Self.hexadecimal(byteCount: 32)
    apiKey = Self.hexadecimal(byteCount: 24)
  }

  private init(secret: String, apiKey: String) {
    self.secret = secret
    self.apiKey = apiKey
  }

  /// The secrets in the environment of an attacker's process; nil when they are not set.
  package static var inherited: Credentials? {
    guard let secret = Environment.value(of: "JWT_SECRET"),
      let apiKey = Environment.value(of: "CARILLON_API_KEY")
    else { return nil }
    return Credentials(secret: secret, apiKey: apiKey)
  }

  /// The environment of a server that accepts these secrets.
  package var environment: [String: String] { ["JWT_SECRET": secret, "CARILLON_API_KEY": apiKey] }
  package var publisher: [HTTPField] { [.apiKey(apiKey)] }

  /// The token of the n-th user, valid for two hours; the user's id has at least `idByteCount`.
  package func token(user number: Int, idByteCount: Int = 0) -> String {
    let now = Kernel.real.wallMilliseconds / 1_000
    return TokenSigner.sign(
      userID: Self.userID(number, byteCount: idByteCount), scopes: [], issuedAtSeconds: now,
      expiresAtSeconds: now + 7_200, secret: Array(secret.utf8))
  }

  /// The id of the n-th user, filled up with zeros to `byteCount`, or to five digits.
  package static func userID(_ number: Int, byteCount: Int = 0) -> String {
    let (prefix, digits) = ("bench-", String(number))
    let digitCount = max(5, byteCount - prefix.utf8.count)
    return prefix + String(repeating: "0", count: max(0, digitCount - digits.count)) + digits
  }

  private static func hexadecimal(byteCount: Int) -> String {
    Kernel.real.randomBytes(count: byteCount).reduce(into: "") { text, byte in
      text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
  }
}

/// A server that is ready, and its URL.
package struct RunningServer {
  package let process: ChildProcess
  package let url: ServerURL

  /// Starts Carillon with this many shards, pinned to `processor` or (nil) unpinned.
  ///
  /// With `fileLimit` it may open only so many files.
  package static func carillon(
    at path: String, _ credentials: Credentials, data: String, shards: Int = 1,
    processor: Int? = System.serverProcessor, fileLimit: Int? = nil,
    arguments more: [String] = [], name: String
  ) throws -> RunningServer {
    let port = try System.freePort()
    let limiting = fileLimit.map {
      ["/bin/sh", "-c", "ulimit -n \($0) && exec \"$0\" \"$@\""]
    }
    let arguments =
      (limiting ?? []) + [
        path, "serve", "--host", "127.0.0.1", "--port", "\(port)", "--shards", "\(shards)",
        "--data", data,
      ] + more
    return try start(
      arguments, environment: credentials.environment, port: port, processor: processor,
      name: name)
  }

  /// Starts any program that answers /readyz on `port`.
  ///
  /// Its output goes to a log file with this name, next to the benchmark's executable.
  package static func start(
    _ arguments: [String], environment: [String: String], port: UInt16, processor: Int?,
    name: String
  ) throws -> RunningServer {
    let output = System.productPath() + "-\(name).log"
    let process = try ChildProcess(
      arguments, environment: environment, processor: processor, output: output)
    let url = ServerURL(numericHost: "127.0.0.1", port: port)
    do {
      try process.waitUntilReady(url)
    } catch {
      process.stop()
      throw BenchmarkError("\(arguments[0]): \(error); see \(output)")
    }
    return RunningServer(process: process, url: url)
  }
}
