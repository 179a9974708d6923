// The pace at which typing is sent: at most one update of a member a second, and the latest state.
//
//     member       start  stop  start  stop            start
//     others       start │              stop │         start │
//                        └── 1 s ────────┘   └── 1 s ──┘
//
// An update opens a window of its member in its room. Changes within the window are not sent; if
// there were any, the others are sent the state at its end. A client that toggles as fast as it can
// costs the others of its room one message a second, and they always end with the state in which it
// stopped. It is sent also if they were sent the same before: most clients show a member as typing
// only until its message arrives. A member that leaves and returns keeps its window.

internal import Notifications

/// A user that is or was a member of a room.
struct RoomVisit: Hashable {
  let room: TextKey
  let user: TextKey

  init(_ room: RoomName, _ user: UserID) {
    self.room = TextKey(room)
    self.user = TextKey(user)
  }
}

/// The open windows of the rooms that one shard owns.
///
/// Invariant: each open window has exactly one entry in `ends`, and `count` is at most
/// `countLimit`. The others know the current state of a member without a window.
struct TypingPaces {
  /// The least time between two updates of a member.
  static let changeMilliseconds: UInt64 = 1_000
  /// The most windows of a shard; with this many, a further start of typing is not sent.
  static let countLimit = 65_536

  /// A window that ends.
  typealias Ended = (room: RoomName, user: UserID, hasChanged: Bool)

  private struct Entry: Sendable {
    let room: RoomName
    let user: UserID
  }

  private let countLimit: Int
  /// Whether the state has changed since it was sent, for each open window.
  private var windows: [RoomVisit: Bool] = [:]
  private var ends = DeadlineQueue<Entry>()

  init(countLimit: Int = TypingPaces.countLimit) { self.countLimit = countLimit }

  var count: Int { windows.count }
  /// When the next window ends; nil when none is open.
  var nextDeadline: UInt64? { ends.next }

  /// Whether the window of that member is open.
  func isOpen(_ visit: RoomVisit) -> Bool { windows[visit] != nil }

  /// Leaves a change to the end of the member's window; false if none is open.
  mutating func deferChange(of visit: RoomVisit) -> Bool {
    guard isOpen(visit) else { return false }
    windows[visit] = true
    return true
  }

  /// Whether there is room for a further window.
  var hasRoom: Bool { windows.count < countLimit }

  /// Opens a window with an update that is sent; at the limit there is none.
  mutating func open(_ room: RoomName, _ user: UserID, at now: UInt64) {
    guard hasRoom, windows.updateValue(false, forKey: RoomVisit(room, user)) == nil else { return }
    ends.append(Entry(room: room, user: user), at: now &+ Self.changeMilliseconds)
  }

  /// Closes the next window that ends by now; nil when there is none.
  mutating func takeEnded(at now: UInt64) -> Ended? {
    guard let entry = ends.takeFirst(dueAt: now),
      let hasChanged = windows.removeValue(forKey: RoomVisit(entry.room, entry.user))
    else { return nil }
    // Release the capacity after a flood.
    if windows.isEmpty { windows = [:] }
    return (entry.room, entry.user, hasChanged)
  }

  /// Traps in a debug build when the windows and their ends differ.
  func checkInvariants() {
    assert(windows.count == ends.count, "\(windows.count) windows have \(ends.count) ends")
    assert(windows.count <= countLimit)
  }
}
