// Clocks and random numbers come from the table, and the real table's random bytes are uniform.

import Reactor
import Testing

@Suite("Kernel: clocks and random numbers")
struct KernelTests {
  @Test func `the clocks come from the table`() {
    let script = ScriptedKernel()
    script.nanoseconds = 1_234_567_890
    #expect(script.kernel.monotonicNanoseconds == 1_234_567_890)
    #expect(script.kernel.monotonicMilliseconds == 1_234)
    #expect(script.kernel.wallMilliseconds == 86_400_000 + 1_234)
    withExtendedLifetime(script) {}
  }

  @Test func `random bytes and words come from the table, so a run can be repeated`() {
    let script = ScriptedKernel()
    #expect(script.kernel.randomBytes(count: 3) == [0, 1, 2])
    let words = script.kernel.randomWords()
    #expect(words == (0x0a09_0807_0605_0403, 0x1211_100f_0e0d_0c0b))
    #expect(script.kernel.randomBytes(count: 1) == [19])
    withExtendedLifetime(script) {}
  }

  @Test func `random words for ids are read in advance, and each is used once`() {
    let script = ScriptedKernel()
    var words = RandomWords(kernel: script.kernel)
    #expect(words.pair() == (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908))
    // Those of 64 pairs are taken at once.
    #expect(script.kernel.randomBytes(count: 1) == [0])
    #expect(words.pair() == (0x1716_1514_1312_1110, 0x1f1e_1d1c_1b1a_1918))
    for _ in 2..<64 { _ = words.pair() }
    // The script has given one byte in between, so everything is one further from here on.
    #expect(words.pair() == (0x0807_0605_0403_0201, 0x100f_0e0d_0c0b_0a09))
    withExtendedLifetime(script) {}
  }

  @Test func `random words for ids differ`() {
    var words = RandomWords(kernel: .real)
    let pairs = Set(
      (0..<10_000).map { _ in
        let (high, low) = words.pair()
        return [high, low]
      })
    #expect(pairs.count == 10_000)
  }

  @Test func `sleeping until a past time returns immediately`() {
    let script = ScriptedKernel()
    script.nanoseconds = 5_000_000
    script.kernel.sleep(until: 5)
    withExtendedLifetime(script) {}
  }

  @Test("the number of random bytes is the requested one", arguments: [0, 1, 16, 32, 4_096])
  func counts(count: Int) {
    #expect(Kernel.real.randomBytes(count: count).count == count)
  }

  @Test("10,000 draws of 16 random bytes are all different")
  func distinct() {
    let draws = Set((0..<10_000).map { _ in Kernel.real.randomBytes(count: 16) })
    #expect(draws.count == 10_000)
  }

  @Test("every bit of every byte position is set about half the time")
  func bits() {
    let drawCount = 4_096
    var setCounts = [Int](repeating: 0, count: 128)
    for _ in 0..<drawCount {
      for (index, byte) in Kernel.real.randomBytes(count: 16).enumerated() {
        for bit in 0..<8 where byte >> UInt8(bit) & 1 == 1 { setCounts[index * 8 + bit] += 1 }
      }
    }
    // The standard deviation is 32: a deviation of ten of them in any bit has probability 10^-21.
    for (index, setCount) in setCounts.enumerated() {
      #expect(abs(setCount - drawCount / 2) < 320, "bit \(index): \(setCount)")
    }
  }

  @Test("a negative count is a programming error")
  func negative() async {
    await #expect(processExitsWith: .failure) { _ = Kernel.real.randomBytes(count: -1) }
  }

  @Test("a failed connection attempt names the call and its cause")
  func connectFailure() {
    let error = #expect(throws: SystemError.self) {
      _ = try Kernel.real.connect(to: "no address", port: 1)
    }
    #expect(error?.description == "connect failed: Invalid argument")
    #expect(SystemError.message(of: 22) == "Invalid argument")
    #expect(SystemError.message(of: 9_999) == "errno 9999")
  }
}
