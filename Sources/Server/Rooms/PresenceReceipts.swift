// The connections that have been notified of the latest presence updates.

internal import Delivery

/// For each of the latest presence updates, the slots that were notified of it.
///
/// One update goes to several rooms, and a connection may be in more than one of them. Only the
/// latest updates are remembered, which covers the updates in flight at one time; a duplicate is
/// harmless.
struct PresenceReceipts {
  static let updateCountLimit = 8

  private var latest: [(updateID: UInt64, notified: SlotSet)] = []

  /// Returns the members without this update so far, and records that they get it now.
  mutating func missing(_ updateID: UInt64, among members: [UInt32]) -> [UInt32] {
    var notified = latest.first { $0.updateID == updateID }?.notified ?? SlotSet()
    let missing = members.filter { notified.insert($0) }
    latest.removeAll { $0.updateID == updateID }
    if latest.count == PresenceReceipts.updateCountLimit { latest.removeFirst() }
    latest.append((updateID, notified))
    return missing
  }
}
