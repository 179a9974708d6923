// The errors of a bus.

internal import Notifications
internal import Server

/// The reason for which a bus failed to do something.
public enum BusError: Error, Equatable, CustomStringConvertible {
  /// An invalid value in a message, a notification or the configuration: its field, by the name
  /// on the wire, and the reason.
  case invalid(field: String, reason: String)
  /// The secret has fewer bytes than the digest of its algorithm, the minimum of RFC 7518.
  ///
  /// Any client that has a token can search for a short secret.
  case shortSecret(byteCount: Int, minimum: Int)
  /// A queue of the bus is full: nothing was done; retry shortly.
  case busy
  /// The store cannot write just now, because another process holds a lock on it or memory is
  /// short: nothing was done; retry shortly.
  case unavailable(reason: String)
  /// A write of the store has failed: it accepts no more writes until the bus is restarted.
  case readOnly(reason: String)
  /// Whether the notification or the change was stored is unknown: its commit failed, or has not
  /// ended in time.
  case outcomeUnknown(reason: String)
  /// The store cannot be read just now.
  case unreadable(reason: String)
  /// The bus was stopped.
  case stopped
  /// The bus could not start: its port is in use, or its store cannot be opened.
  case cannotStart(reason: String)

  /// The error in words, with the field and the reason.
  public var description: String {
    switch self {
    case .invalid(let field, let reason): "\(field): \(reason)"
    case .shortSecret(let byteCount, let minimum):
      "tokenSecret: has \(byteCount) bytes and needs at least \(minimum), "
        + "as BusConfiguration.makeSecret() makes it"
    case .busy: "a queue of the bus is full; retry shortly"
    case .unavailable(let reason): "the store cannot write just now, nothing was done: \(reason)"
    case .readOnly(let reason): "the store rejects writes until the bus is restarted: \(reason)"
    case .outcomeUnknown(let reason): "stored or not, which the store does not know: \(reason)"
    case .unreadable(let reason): "the store cannot be read: \(reason)"
    case .stopped: "the bus was stopped"
    case .cannotStart(let reason): "the bus cannot start: \(reason)"
    }
  }
}

extension BusError {
  /// The error for the outcome of a command; nil if the command was carried out.
  init?(_ outcome: StoreOutcome) {
    switch outcome {
    case .unavailable(let reason): self = .unavailable(reason: reason)
    case .readOnly(let reason): self = .readOnly(reason: reason)
    case .unknown(let reason): self = .outcomeUnknown(reason: reason)
    // The program's publishes have no idempotency key, so these are changes under way.
    case .refused: self = .busy
    case .published, .repeated, .unknownKey, .conflict, .changed, .saved, .expired, .outbox,
      .apiKeys:
      return nil
    }
  }

  /// The error for a shard query that failed.
  init(_ failure: ShardQueryFailure) {
    self =
      switch failure {
      case .busy, .late: .busy
      case .stopping: .stopped
      }
  }
}
