// Certificates and versions of TLS, with OpenSSL's own test server.

import Channels
import Glibc
import Reactor
import Testing

/// A program that runs until this object is deinitialised.
private final class Program {
  private let process: pid_t
  private let output: Int32

  private var hasEnded = false

  /// Starts a program of the PATH.
  init(_ arguments: [String]) throws {
    var pipe: [Int32] = [-1, -1]
    try #require(Glibc.pipe(&pipe) == 0)
    for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var pointers = arguments.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process: pid_t = 0
    let result = posix_spawnp(&process, arguments[0], &actions, nil, &pointers, environ)
    close(pipe[1])
    output = pipe[0]
    self.process = process
    try #require(result == 0, "cannot start \(arguments[0])")
  }

  deinit {
    if !hasEnded {
      kill(process, SIGKILL)
      waitForExit()
    }
    close(output)
  }

  /// Reads its output until a line is accepted; nil if the output ends.
  func line(where isAccepted: (Substring) -> Bool) -> Substring? {
    var text = ""
    var byte: UInt8 = 0
    while read(output, &byte, 1) == 1 {
      guard byte == UInt8(ascii: "\n") else {
        text.unicodeScalars.append(Unicode.Scalar(byte))
        continue
      }
      if isAccepted(text[...]) { return text[...] }
      text = ""
    }
    return nil
  }

  func waitForExit() {
    waitpid(process, nil, 0)
    hasEnded = true
  }
}

/// A folder with a certificate for 127.0.0.1 and `receiver.example`, which signs itself.
private final class Certificate {
  private let folder: String
  private var key: String { "\(folder)/key.pem" }
  var path: String { "\(folder)/certificate.pem" }

  init() throws {
    var template =
      Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/tls-XXXXXX".utf8)
      .map { CChar(bitPattern: $0) } + [0]
    folder = String(cString: try #require(mkdtemp(&template)))
    let program = try Program(
      [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", key, "-out", path, "-subj", "/CN=receiver", "-days", "2",
        "-addext", "subjectAltName=IP:127.0.0.1,DNS:receiver.example",
      ])
    program.waitForExit()
    try #require(access(path, R_OK) == 0, "openssl made no certificate")
  }

  deinit {
    for file in [key, path] { unlink(file) }
    rmdir(folder)
  }

  /// Starts a server with the certificate and these options; returns its port.
  func serve(_ options: [String] = []) throws -> (Program, port: UInt16) {
    let server = try Program(
      [
        "openssl", "s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", path, "-www",
      ] + options)
    let line = try #require(server.line { $0.hasPrefix("ACCEPT") }, "openssl does not listen")
    return (server, try #require(line.split(separator: ":").last.flatMap { UInt16($0) }))
  }
}

@Suite("Outgoing requests over TLS")
struct TLSTests {
  /// The outcome of a GET, without the answer's body.
  private func outcome(
    _ host: String, _ port: UInt16, authorities: String?
  ) throws -> OutgoingOutcome {
    let client = try OutgoingHTTP(
      policy: AddressPolicy(allowsPrivateDestinations: true), kernel: .real,
      authorities: authorities, lookup: { _ in [PeerAddress("127.0.0.1")!] })
    let request = try OutgoingRequest(
      .get, Destination("https://\(host):\(port)/"), keptBodyBytes: 0)
    try #require(client.start(request, id: 1))
    while true {
      guard let result = client.wait(milliseconds: 1_000).first else { continue }
      guard case .answered(let answer) = result.outcome else { return result.outcome }
      return .answered(OutgoingAnswer(status: answer.status))
    }
  }

  @Test("a certificate of a known authority for the host is accepted, and no other")
  func certificates() throws {
    let certificate = try Certificate()
    let (server, port) = try certificate.serve()
    defer { withExtendedLifetime(server) {} }
    let answer = OutgoingOutcome.answered(OutgoingAnswer(status: 200))
    let path = certificate.path
    #expect(try outcome("127.0.0.1", port, authorities: path) == answer)
    #expect(try outcome("receiver.example", port, authorities: path) == answer)
    let refused = OutgoingOutcome.failed(.certificateRefused)
    #expect(try outcome("127.0.0.1", port, authorities: nil) == refused)
    #expect(try outcome("other.example", port, authorities: path) == refused)
    #expect(try outcome("127.0.0.2", port, authorities: path) == .failed(.connectFailed))
  }

  @Test(
    "TLS 1.2 and 1.3 are spoken, and no older version",
    arguments: [("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)])
  func versions(option: String, isAccepted: Bool) throws {
    let certificate = try Certificate()
    let (server, port) = try certificate.serve([option, "-cipher", "ALL:@SECLEVEL=0"])
    defer { withExtendedLifetime(server) {} }
    let outcome = try outcome("127.0.0.1", port, authorities: certificate.path)
    #expect(
      outcome
        == (isAccepted ? .answered(OutgoingAnswer(status: 200)) : .failed(.tlsFailed)))
  }
}
