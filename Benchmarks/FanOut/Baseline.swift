// Starts the baseline, a bare C program with which Carillon is compared.

internal import BenchmarkSupport
internal import LoadClient

extension RunningServer {
  /// The baseline, with frames of this size.
  static func baseline(
    _ options: Options, frameByteCount: Int, name: String
  ) throws -> RunningServer {
    let port = try System.freePort()
    let arguments = [options.baseline, "--port", "\(port)", "--frame", "\(frameByteCount)"]
    return try start(
      arguments, environment: [:], port: port, processor: System.serverProcessor, name: name)
  }

  /// Sets the number of messages per send of a baseline.
  func configureBaseline(_ target: Options.Target, window: Int) throws {
    let path = target == .joined ? "/baseline/joined/\(window)" : "/baseline/separate/1"
    let answer = try HTTPConnection(to: url).perform(HTTPRequest("POST", path))
    guard answer.isSuccess else { throw BenchmarkError("the baseline rejected \(path)") }
  }
}
