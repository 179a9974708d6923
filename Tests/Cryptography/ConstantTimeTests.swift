// Comparison of secrets, and its duration (case 52).

import Cryptography
import Glibc
import Testing

@Suite("comparison of secrets")
struct ConstantTimeTests {
  @Test("values are equal exactly when every byte is", arguments: [0, 1, 2, 31, 32, 33, 64, 200])
  func everyPosition(count: Int) {
    let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    #expect(ConstantTime.areEqual(value, value.map { $0 }))
    for index in 0..<count {
      for bit in 0..<8 {
        var other = value
        other[index] ^= 1 << UInt8(bit)
        #expect(!ConstantTime.areEqual(value, other), "byte \(index), bit \(bit)")
      }
    }
  }

  @Test("a value is not equal to a longer one that begins with it, nor to a shorter one")
  func lengths() {
    let value = [UInt8](repeating: 0, count: 32)
    #expect(!ConstantTime.areEqual(value, value + [0]))
    #expect(!ConstantTime.areEqual(value + [0], value))
    #expect(!ConstantTime.areEqual(value, []))
    #expect(!ConstantTime.areEqual([], value))
  }

  // Case 52. It measures nanoseconds, so it needs an idle machine and runs on request only.
  @Test(
    "the duration does not depend on the number of equal leading bytes",
    .enabled(
      if: getenv("CARILLON_TIMING").map { String(cString: $0) } == "1",
      "set CARILLON_TIMING=1 on a quiet machine"))
  func timing() {
    var generator = SystemRandomNumberGenerator()
    let secret = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
    // With 31 both guesses are the same: that result is the noise of the measurement.
    for prefix in [0, 1, 2, 4, 8, 15, 16, 24, 30, 31] {
      var guesses = [secret, secret]
      guesses[0][prefix] ^= 0x01
      guesses[1][31] ^= 0x01
      let t = Welch.t(of: guesses, sampleCount: 1_000_000) { ConstantTime.areEqual(secret, $0) }
      print("equal prefix of \(prefix) bytes: t = \(t)")
      #expect(abs(t) < 4.5, "equal prefix of \(prefix) bytes")
    }
  }
}

/// Welch's t-test of two inputs to the same code, as in "dude, is my code constant time?".
private enum Welch {
  /// The difference of both inputs' mean times, in standard errors; interleaved at random.
  ///
  /// Both go through one buffer, filled without a branch before the clock starts, so that neither
  /// their addresses nor the branch predictor's guess of the draw affects the measurement.
  static func t(
    of inputs: [[UInt8]], sampleCount: Int, _ body: ([UInt8]) -> Bool
  ) -> Double {
    var random = SystemRandomNumberGenerator()
    var samples: [[Double]] = [[], []]
    var buffer = inputs[0]
    for _ in 0..<sampleCount * 2 {
      let choice = Int(random.next() & 1)
      for index in buffer.indices { buffer[index] = inputs[choice][index] }
      let start = now()
      // Several at a time, so that the clock's resolution is finer than the measured time.
      var equalCount = 0
      for _ in 0..<16 where body(buffer) { equalCount += 1 }
      let elapsed = Double(now() - start)
      precondition(equalCount == 0)
      samples[choice].append(elapsed)
    }
    // The scheduler causes the slowest tenth of all samples. One cut for both: a tenth of each
    // would make the means depend on the tails again, and t too large.
    let cut = (samples[0] + samples[1]).sorted()[sampleCount * 9 / 5]
    let (a, b) = (moments(samples[0].filter { $0 < cut }), moments(samples[1].filter { $0 < cut }))
    return (a.mean - b.mean) / (a.variance / a.count + b.variance / b.count).squareRoot()
  }

  /// Mean, variance and number of the samples.
  private static func moments(
    _ samples: [Double]
  ) -> (mean: Double, variance: Double, count: Double) {
    let count = Double(samples.count)
    let mean = samples.reduce(0, +) / count
    let variance = samples.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    return (mean, variance, count)
  }

  private static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
