// A random number generator with repeatable runs.
//
// The seed comes from the environment (CARILLON_SEED) or from the system. It is always printed, so
// that a failure of a random test can be reproduced.

internal import Glibc

/// A sequence of random numbers given by a seed: xorshift64*, with splitmix64 to spread the seed.
///
/// Not for secrets. Period 2^64 - 1, far more than any test draws.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  /// The seed that the sequence started from.
  package let seed: UInt64
  private var state: UInt64

  package init(seed: UInt64) {
    self.seed = seed
    // Splitmix64 turns neighbouring seeds, which are the easiest to type, into unrelated states.
    var mixed = seed &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    // Zero is the one state that xorshift never leaves.
    state = mixed == 0 ? 0x9E37_79B9_7F4A_7C15 : mixed
  }

  /// Takes the seed from `CARILLON_SEED`, else from the system, and prints it.
  ///
  /// - Parameter label: names the test in the printed line.
  /// - Returns: a generator with the seed.
  package static func announced(_ label: String = #function) -> SeededGenerator {
    var seed = UInt64.random(in: 1...UInt64.max)
    if let value = getenv("CARILLON_SEED") {
      let text = String(cString: value)
      guard let given = UInt64(text) else { preconditionFailure("CARILLON_SEED: \(text)") }
      seed = given
    }
    print("\(label): CARILLON_SEED=\(seed)")
    return SeededGenerator(seed: seed)
  }

  package mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }

  /// Draws `count` bytes.
  package mutating func bytes(count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 56) }
  }
}
