// What can be said of random bytes without waiting for chance to fail.

import Cryptography
import Testing

@Suite("secure randomness")
struct SecureRandomTests {
  @Test("as many bytes come as were asked for", arguments: [0, 1, 16, 32, 4_096])
  func counts(count: Int) {
    #expect(SecureRandom.bytes(count: count).count == count)
  }

  @Test("no two draws of 16 bytes are equal in 10,000")
  func distinct() {
    let draws = Set((0..<10_000).map { _ in SecureRandom.bytes(count: 16) })
    #expect(draws.count == 10_000)
  }

  @Test("every bit of every place is set about half the time")
  func bits() {
    let drawCount = 4_096
    var setCounts = [Int](repeating: 0, count: 128)
    for _ in 0..<drawCount {
      for (index, byte) in SecureRandom.bytes(count: 16).enumerated() {
        for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { setCounts[index * 8 + bit] += 1 }
      }
    }
    // The standard deviation is 32: ten of them are a chance of one in 10^21 for all bits together.
    for (index, setCount) in setCounts.enumerated() {
      #expect(abs(setCount - drawCount / 2) < 320, "bit \(index): \(setCount)")
    }
  }

  @Test("a negative count is a programming error")
  func negative() async {
    await #expect(processExitsWith: .failure) { _ = SecureRandom.bytes(count: -1) }
  }
}
