// What a bus may answer in place of doing what it was asked.

internal import Server

/// Why a bus did not do something.
public enum BusError: Error, Equatable, CustomStringConvertible {
  /// A value that can not be sent, stored or started with: which one, by the name that it has on
  /// the wire, and why.
  case invalid(field: String, reason: String)
  /// The bus has as much to do as it may hold: nothing was done, try again in a moment.
  case busy
  /// The store has failed to write: it takes nothing more until the bus is started anew.
  case readOnly(reason: String)
  /// The bus was stopped.
  case stopped
  /// The bus could not start: its port is taken, or its store cannot be opened.
  case cannotStart(reason: String)

  public var description: String {
    switch self {
    case .invalid(let field, let reason): "\(field): \(reason)"
    case .busy: "the bus is at its limit, try again"
    case .readOnly(let reason): "the store refuses writes until the bus is started anew: \(reason)"
    case .stopped: "the bus was stopped"
    case .cannotStart(let reason): "the bus cannot start: \(reason)"
    }
  }
}

extension BusError {
  /// What an unanswered question about connections is to a program.
  init(_ failure: ShardQueryFailure) {
    self =
      switch failure {
      case .busy, .late: .busy
      case .stopping: .stopped
      }
  }
}
