// Things that become due after one and the same time: a queue, because whoever comes later is due
// later.

/// What is due when, soonest first.
///
/// For one constant delay alone: deadlines must not fall from one entry to the next. An entry is
/// not taken back; whoever takes it out looks whether it still means something.
///
/// Invariant: deadlines rise or stay; entries before `first` were taken.
package struct DeadlineQueue<Element: Sendable>: Sendable {
  private var entries: [(at: UInt64, element: Element)] = []
  private var first = 0

  package init() {}

  package var count: Int { entries.count - first }

  /// When the first entry is due; nil when there is none.
  package var next: UInt64? { first < entries.count ? entries[first].at : nil }

  /// Puts `element` at the end, due at `at` or, where the last one is due later, with it.
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
