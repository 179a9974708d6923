// The scale of buckets at its edges, and ranks against a sorted array.

import Algorithms
import TestSupport
import Testing

@Suite("Histogram")
struct HistogramTests {
  static let scales = [
    BucketScale(bits: 0), BucketScale(bits: 3, exponentLimit: 26), BucketScale(bits: 6),
  ]

  @Test(
    "buckets are contiguous, and none is wider than its part of a power of two", arguments: scales)
  func contiguity(scale: BucketScale) {
    for bucket in 1..<scale.count {
      let first = scale.lowerBound(of: bucket)
      #expect(scale.bucket(of: first) == bucket)
      #expect(scale.bucket(of: first - 1) == bucket - 1)
      let width = first - scale.lowerBound(of: bucket - 1)
      #expect(width == 1 || width << UInt64(scale.bits) <= first)
    }
    #expect(scale.bucket(of: 0) == 0)
    #expect(scale.bucket(of: .max) == scale.count - 1)
  }

  @Test("a rank is in the bucket of the value with that rank", arguments: scales)
  func ranks(scale: BucketScale) {
    var generator = SeededGenerator.announced()
    var histogram = Histogram(scale)
    #expect(histogram.bucket(ofRank: 1) == nil)
    var values: [UInt64] = []
    for _ in 0..<500 {
      let value = generator.next() >> UInt64.random(in: 0...63, using: &generator)
      histogram.add(value, times: 2)
      values += [value, value]
    }
    for (index, value) in values.sorted().enumerated() {
      #expect(histogram.bucket(ofRank: UInt64(index) + 1) == scale.bucket(of: value))
    }
    #expect(histogram.count == 1_000)
    #expect(histogram.bucket(ofRank: 1_001) == nil)
  }
}
