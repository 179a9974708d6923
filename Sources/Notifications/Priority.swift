// The urgency of a notification.

/// The urgency of a notification, in rising order.
///
/// The store saves the raw value.
package enum Priority: UInt8, Sendable, CaseIterable {
  case low = 0
  case normal = 1
  case high = 2
  case urgent = 3

  package init?(name: String) {
    switch name {
    case "low": self = .low
    case "normal": self = .normal
    case "high": self = .high
    case "urgent": self = .urgent
    default: return nil
    }
  }

  /// The priority's name on the wire.
  package var name: String {
    switch self {
    case .low: "low"
    case .normal: "normal"
    case .high: "high"
    case .urgent: "urgent"
    }
  }
}
