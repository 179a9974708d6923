import TestSupport
import Testing

@testable import Wire

@Suite("RFC 9110, 12.5.3: Accept-Encoding")
struct ContentCodingTests {
  static let vectors: [([String], ContentCoding?)] = [
    // A client without a preference gets the form that every program reads.
    ([], .identity), ([""], .identity), (["br"], .identity), (["br, zstd, deflate"], .identity),
    (["gzip"], .gzip), (["x-gzip"], .gzip), (["GZip"], .gzip), (["gzip, deflate, br, zstd"], .gzip),
    (["br", "gzip"], .gzip), ([" ,\tgzip ,"], .gzip), (["*"], .gzip), (["br, *"], .gzip),
    (["gzip;q=0"], .identity), (["gzip;q=0.000"], .identity), (["gzip; q=0, *"], .identity),
    (["gzip;q=0.001"], .gzip), (["gzip;q=1.000"], .gzip), (["gzip ; Q=0.5"], .gzip),
    (["gzip;q=1."], .gzip), (["*;q=0.1"], .gzip), (["*;q=0, gzip"], .gzip),
    // The client's preference wins; at equal weights the smaller form.
    (["gzip;q=0.5, identity"], .identity), (["identity;q=0.5, gzip;q=0.5"], .gzip),
    (["identity;q=0.6, *;q=0.5"], .identity), (["identity;q=0.4, *;q=0.5"], .gzip),
    (["identity"], .identity), (["identity;q=0, gzip;q=0.1"], .gzip),
    // The client accepts neither.
    (["identity;q=0"], nil), (["*;q=0"], nil), (["gzip;q=0, identity;q=0"], nil),
    (["identity;q=0, *;q=0"], nil), (["gzip;q=0, *;q=0"], nil),
    (["*;q=0, identity;q=0.1"], .identity), (["*;q=0, identity"], .identity),
    // A name must match completely.
    (["gzipped"], .identity), (["gzi"], .identity), (["agzip"], .identity), (["g zip"], .identity),
    // The first weight for a coding counts.
    (["gzip;q=0, gzip"], .identity), (["gzip", "gzip;q=0"], .gzip),
  ]

  @Test("the better of plain and gzip is chosen", arguments: vectors)
  func preferred(values: [String], expected: ContentCoding?) {
    #expect(ContentCoding.preferred(in: values) == expected)
  }

  // Case 33
  @Test(
    "an invalid weight makes its element ignored",
    arguments: [
      "", "q", "q=", "q=.", "q=.5", "q=2", "q=1.001", "q=0.0001", "q=1.0000", "q=10", "q=-1",
      "q=+1", "q=0x1", "q=1e0", "q=a", "q=0.a", "q=0.1a", "q= 1", "q =1", "p=1", "q=0;q=1",
      "q=18446744073709551616", "q=0.99999999999999999999", "q=\u{0661}", "q=NaN",
    ])
  func anyWeight(parameter: String) {
    // If it counted, gzip would be chosen here, and plain refused there.
    #expect(ContentCoding.preferred(in: ["gzip;\(parameter)"]) == .identity)
    #expect(ContentCoding.preferred(in: ["identity;\(parameter)"]) == .identity)
    #expect(ContentCoding.preferred(in: ["*;\(parameter)"]) == .identity)
    // The next element is still read.
    #expect(ContentCoding.preferred(in: ["gzip;\(parameter), x-gzip"]) == .gzip)
  }

  @Test("every weight of three digits is read exactly")
  func allWeights() {
    for thousandths in 0...1_000 {
      let digits = String(String(1_000 + thousandths % 1_000).dropFirst())
      let weight = "\(thousandths / 1_000).\(digits)"
      // Slightly higher than the other weight, equal, and slightly lower.
      let expected: ContentCoding? = thousandths == 0 ? nil : .gzip
      #expect(ContentCoding.preferred(in: ["identity;q=0, gzip;q=\(weight)"]) == expected)
      let plain: ContentCoding = thousandths <= 500 ? .gzip : .identity
      #expect(ContentCoding.preferred(in: ["gzip;q=0.5, identity;q=\(weight)"]) == plain)
    }
  }

  @Test("any bytes give a choice")
  func fuzz() {
    var generator = SeededGenerator.announced()
    let pieces = [
      "gzip", "identity", "*", ";", "q=", "0", ".", "1", ",", " ", "\t", "\u{80}", "=", "x",
    ]
    for _ in 0..<20_000 {
      let count = Int.random(in: 0..<12, using: &generator)
      let value = (0..<count).map { _ in pieces.randomElement(using: &generator)! }.joined()
      let chosen = ContentCoding.preferred(in: [value])
      // A client that has not written a zero is never refused.
      if !value.contains("0") { #expect(chosen != nil, "\(value)") }
    }
  }
}
