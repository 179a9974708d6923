// Starting what is measured: Carillon, or the floor.

internal import Glibc
internal import LoadClient
internal import Tokens

/// The secrets of this run: random, known to the driver and to the servers that it starts.
struct Credentials {
  let secret = Self.hexadecimal(byteCount: 32)
  let apiKey = Self.hexadecimal(byteCount: 24)

  var environment: [String: String] { ["JWT_SECRET": secret, "CARILLON_API_KEY": apiKey] }
  var publisher: [HTTPField] { [.apiKey(apiKey)] }

  /// The token of the n-th user, good for two hours.
  func token(user number: Int) -> String {
    let now = Int64(time(nil))
    return TokenSigner.sign(
      userID: Self.userID(number), scopes: [], issuedAtSeconds: now,
      expiresAtSeconds: now + 7_200, secret: Array(secret.utf8))
  }

  static func userID(_ number: Int) -> String {
    let digits = String(number)
    return "bench-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  private static func hexadecimal(byteCount: Int) -> String {
    Host.randomBytes(count: byteCount).reduce(into: "") { text, byte in
      text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
  }
}

/// A server that stands ready, and how it is reached.
struct RunningServer {
  let process: ChildProcess
  let url: ServerURL

  /// Carillon, with one shard.
  static func carillon(
    _ options: Options, _ credentials: Credentials, data: String, name: String
  ) throws -> RunningServer {
    let port = try System.freePort()
    let arguments = [
      options.server, "serve", "--host", "127.0.0.1", "--port", "\(port)", "--shards", "1",
      "--data", data,
    ]
    return try start(arguments, environment: credentials.environment, port: port, name: name)
  }

  /// The floor, with frames of a size.
  static func floor(_ options: Options, frameByteCount: Int, name: String) throws -> RunningServer {
    let port = try System.freePort()
    let arguments = [options.floor, "--port", "\(port)", "--frame", "\(frameByteCount)"]
    return try start(arguments, environment: [:], port: port, name: name)
  }

  private static func start(
    _ arguments: [String], environment: [String: String], port: UInt16, name: String
  ) throws -> RunningServer {
    let output = System.productDirectory() + "/FanOut-\(name).log"
    let process = try ChildProcess(
      arguments, environment: environment, processor: System.serverProcessor,
      output: output)
    let url = ServerURL(numericHost: "127.0.0.1", port: port)
    do {
      try process.waitUntilReady(url)
    } catch {
      process.stop()
      throw BenchmarkError("\(arguments[0]): \(error); see \(output)")
    }
    return RunningServer(process: process, url: url)
  }

  /// Tells a floor how many messages one send shall carry.
  func configureFloor(_ target: Options.Target, window: Int) throws {
    let path = target == .joined ? "/floor/joined/\(window)" : "/floor/separate/1"
    let answer = try HTTPConnection(to: url).perform(HTTPRequest("POST", path))
    guard answer.isSuccess else { throw BenchmarkError("the floor refused \(path)") }
  }
}
