// The errors of a client of the server, with texts that a command can print.

internal import Reactor

/// A failure of a client's own connection, URL or conversation.
package enum ClientError: Error, Equatable, CustomStringConvertible {
  /// The text is not a URL that this client can use; the value is the reason.
  case badURL(String)
  /// A system call failed with this errno.
  case system(call: String, code: Int32)
  /// The connection to this host and port cannot be opened.
  case unreachable(address: String, code: Int32)
  /// An open connection broke with this errno.
  case broken(code: Int32)
  /// The server answered a request for an upgrade with this status.
  case upgradeRefused(status: Int)
  /// The server answered a request for an event stream with this status.
  case refused(status: Int)
  /// The server closed the connection.
  case closedByServer
  /// A wait ended without its event; the value names the wait.
  case timedOut(String)
  /// The user interrupted a wait; the value names it.
  case interrupted(String)
  /// The server sent something that its protocol does not allow.
  case malformed(String)

  package var description: String {
    switch self {
    case .badURL(let reason): "bad URL: \(reason)"
    case .system(let call, let code): "\(call) failed: \(SystemError.message(of: code))"
    case .unreachable(let address, let code):
      "cannot connect to \(address): \(SystemError.message(of: code))"
    case .broken(let code): "the connection to the server broke: \(SystemError.message(of: code))"
    case .upgradeRefused(let status): "the server refused the WebSocket upgrade with \(status)"
    case .refused(let status): "the server refused the event stream with \(status)"
    case .closedByServer: "the server closed the connection"
    case .timedOut(let what): "timed out: \(what)"
    case .interrupted(let what): "interrupted: \(what)"
    case .malformed(let what): "the server sent \(what)"
    }
  }
}

extension ClientError {
  init(_ error: SystemError) { self = .system(call: "\(error.call)", code: error.code) }
}
