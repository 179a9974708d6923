// Deadlines with one constant delay.
//
// A plain queue is enough: with a constant delay, a later entry is never due earlier.

/// Elements with a deadline, soonest first.
///
/// Use one queue per constant delay: deadlines must not decrease from one entry to the next.
/// Entries cannot be cancelled; the caller checks whether an entry still applies when it takes it.
///
/// Invariant: deadlines never decrease; entries before `first` were taken.
package struct DeadlineQueue<Element: Sendable>: Sendable {
  private var entries: [(at: UInt64, element: Element)] = []
  private var first = 0

  package init() {}

  package var count: Int { entries.count - first }

  /// Deadline of the first entry; nil when the queue is empty.
  package var next: UInt64? { first < entries.count ? entries[first].at : nil }

  /// Appends `element`, due at `at` or at the last entry's deadline, whichever is later.
  package mutating func append(_ element: Element, at: UInt64) {
    entries.append((max(at, entries.last?.at ?? 0), element))
  }

  /// Takes the first entry, if it is due.
  package mutating func takeFirst(dueAt now: UInt64) -> Element? {
    guard first < entries.count, entries[first].at <= now else { return nil }
    let element = entries[first].element
    first += 1
    if first == entries.count {
      entries = []
      first = 0
    } else if first >= 64, first > entries.count / 2 {
      entries.removeFirst(first)
      first = 0
    }
    return element
  }
}
