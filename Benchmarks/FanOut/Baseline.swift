// The floor: the least that a correct server must do, which Carillon is compared with.

internal import BenchmarkSupport
internal import LoadClient

extension RunningServer {
  /// The floor, with frames of a size.
  static func floor(_ options: Options, frameByteCount: Int, name: String) throws -> RunningServer {
    let port = try System.freePort()
    let arguments = [options.floor, "--port", "\(port)", "--frame", "\(frameByteCount)"]
    return try start(
      arguments, environment: [:], port: port, processor: System.serverProcessor, name: name)
  }

  /// Tells a floor how many messages one send shall carry.
  func configureBaseline(_ target: Options.Target, window: Int) throws {
    let path = target == .joined ? "/floor/joined/\(window)" : "/floor/separate/1"
    let answer = try HTTPConnection(to: url).perform(HTTPRequest("POST", path))
    guard answer.isSuccess else { throw BenchmarkError("the floor refused \(path)") }
  }
}
