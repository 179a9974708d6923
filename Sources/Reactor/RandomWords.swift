// Random words for ids that are made often: one system call gives many of them.

/// A source of random words for one thread, which reads them from the kernel in advance.
///
/// For ids that must be unique and hard to guess. Keys and secrets come from `Kernel.randomBytes`
/// and `Kernel.randomWords`, which keep no copy and read none in advance.
///
/// Invariant: the words from `next` on were never returned.
package struct RandomWords {
  /// Words that one system call reads.
  private static let count = 128

  private let kernel: Kernel
  private var words = [UInt64](repeating: 0, count: count)
  private var next = count

  package init(kernel: Kernel) { self.kernel = kernel }

  /// Returns two random words, the size of an id.
  package mutating func pair() -> (UInt64, UInt64) {
    if next == words.count {
      unsafe words.withUnsafeMutableBytes { unsafe kernel.fillRandomly($0) }
      next = 0
    }
    defer { next += 2 }
    return (words[next], words[next + 1])
  }
}
