// A user's notification counts by state.

/// A user's totals: absolute, never increments, with the version that orders them.
///
/// Invariant: `0 <= unseen <= unread <= total`, and `byPriority` adds up to `unread`. (Reading a
/// notification also marks it seen, so every unseen notification is unread.)
package struct Counts: Sendable, Equatable {
  /// Unread notifications by priority.
  package struct ByPriority: Sendable, Equatable {
    package var low: Int
    package var normal: Int
    package var high: Int
    package var urgent: Int

    package init(low: Int = 0, normal: Int = 0, high: Int = 0, urgent: Int = 0) {
      self.low = low
      self.normal = normal
      self.high = high
      self.urgent = urgent
    }

    package subscript(priority: Priority) -> Int {
      get {
        switch priority {
        case .low: low
        case .normal: normal
        case .high: high
        case .urgent: urgent
        }
      }
      set {
        switch priority {
        case .low: low = newValue
        case .normal: normal = newValue
        case .high: high = newValue
        case .urgent: urgent = newValue
        }
      }
    }
  }

  package var total: Int
  package var unread: Int
  package var unseen: Int
  package var byPriority: ByPriority
  /// Offset of the commit that produced these numbers; 0 for a user without any notification so
  /// far.
  package var version: UInt64

  package init(
    total: Int = 0, unread: Int = 0, unseen: Int = 0, byPriority: ByPriority = ByPriority(),
    version: UInt64 = 0
  ) {
    self.total = total
    self.unread = unread
    self.unseen = unseen
    self.byPriority = byPriority
    self.version = version
  }
}
