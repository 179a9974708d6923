// Compares the histogram with a sorted array of the same values.

import LoadClient
import TestSupport
import Testing

@Suite("Latency histogram")
struct LatencyHistogramTests {
  @Test("a quantile is never below the exact one and at most 1.6 % above it")
  func quantiles() {
    var generator = SeededGenerator.announced()
    for round in 0..<200 {
      var values: [UInt64] = []
      var histogram = LatencyHistogram()
      for _ in 0..<Int.random(in: 1...400, using: &generator) {
        // Spread over all magnitudes: uniform values would be almost all in the top few.
        let value =
          UInt64.random(in: 0...UInt64.max, using: &generator)
          >> UInt64.random(in: 0...63, using: &generator)
        let times = Int.random(in: 1...3, using: &generator)
        histogram.record(value, times: UInt64(times))
        values.append(contentsOf: Array(repeating: value, count: times))
      }
      values.sort()
      #expect(histogram.count == UInt64(values.count))
      #expect(histogram.minimum == values.first)
      #expect(histogram.maximum == values.last)
      for fraction in [0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1] {
        let rank = max(1, Int((fraction * Double(values.count)).rounded(.up)))
        let exact = values[rank - 1]
        let answer = histogram.quantile(fraction)
        #expect(answer >= exact, "round \(round), fraction \(fraction)")
        #expect(answer - exact <= exact / 64, "round \(round), fraction \(fraction)")
      }
    }
  }

  @Test(
    "a single value at the edge of a bucket is returned exactly",
    arguments: [0, 1, 63, 64, 65, 127, 1 << 20, (1 << 20) - 1, 1 << 63, .max] as [UInt64])
  func edges(value: UInt64) {
    var histogram = LatencyHistogram()
    histogram.record(value)
    #expect(histogram.quantile(0.5) == value)
    #expect(histogram.filled.count == 1)
    #expect(histogram.filled[0].lower <= value && value <= histogram.filled[0].upper)
  }

  @Test("buckets are contiguous: every value belongs to exactly one")
  func contiguity() {
    var histogram = LatencyHistogram()
    for value in UInt64(0)..<5_000 { histogram.record(value) }
    var next: UInt64 = 0
    for bucket in histogram.filled.dropLast() {
      #expect(bucket.lower == next)
      #expect(bucket.count == bucket.upper - bucket.lower + 1)
      next = bucket.upper + 1
    }
  }

  @Test("a merged histogram equals one that recorded all values")
  func merging() {
    var generator = SeededGenerator.announced()
    var parts = [LatencyHistogram(), LatencyHistogram(), LatencyHistogram()]
    var whole = LatencyHistogram()
    for _ in 0..<1_000 {
      let value = UInt64.random(in: 0...1_000_000_000, using: &generator)
      parts[Int.random(in: 0..<3, using: &generator)].record(value)
      whole.record(value)
    }
    var merged = LatencyHistogram()
    for part in parts { merged.merge(part) }
    #expect(merged.count == whole.count)
    #expect(merged.minimum == whole.minimum)
    #expect(merged.maximum == whole.maximum)
    #expect(abs(merged.mean - whole.mean) < 1)
    for fraction in stride(from: 0.0, through: 1.0, by: 0.01) {
      #expect(merged.quantile(fraction) == whole.quantile(fraction))
    }
  }

  @Test("the quantiles and the mean of an empty histogram are zero")
  func emptiness() {
    var histogram = LatencyHistogram()
    histogram.record(5, times: 0)
    #expect(histogram.count == 0)
    #expect(histogram.quantile(0.99) == 0)
    #expect(histogram.mean == 0)
    #expect(histogram.filled.isEmpty)
  }
}
