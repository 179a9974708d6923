import TestSupport
import Testing

@testable import Wire

// Case 98
@Suite("HTTP under mutants")
struct HTTPFuzzTests {
  private static let smallLimits = HTTPLimits(
    headBytes: 160, targetBytes: 40, fieldCount: 5, fieldNameBytes: 20, fieldValueBytes: 40)

  @Test("20,000 mutated heads: one result however they are split, and no invalid head is accepted")
  func heads() {
    var generator = SeededGenerator.announced("mutated heads")
    let sound = HTTPRequestHeadTests.sound.map { (wire: Array($0.utf8), count: 1_200) }
    let refused =
      HTTPHeadViolationTests.fields.map { (wire: $0.wire, count: 120) }
      + HTTPFramingTests.conflicts.map {
        (wire: Array("POST / HTTP/1.1\r\nHost: a\r\n\($0)\r\n\r\n".utf8), count: 120)
      }
    var acceptedCount = 0
    for seed in sound + refused {
      for mutant in mutants(of: seed.wire, count: seed.count, using: &generator) {
        for limits in [HTTPLimits(), Self.smallLimits] {
          let whole = feedWhole(mutant, limits: limits)
          var ends = (0..<3).map { _ in Int.random(in: 0...mutant.count, using: &generator) }
          ends.sort()
          #expect(feed(mutant, upTo: ends + [mutant.count], limits: limits).outcome == whole)
          #expect(feed(mutant, upTo: 0...mutant.count, limits: limits).outcome == whole)
        }
        if checkAccepted(mutant) { acceptedCount += 1 }
      }
    }
    // If all mutants were refused, the test would prove nothing.
    #expect(acceptedCount > 500)
  }

  /// Checks an accepted head against the rules, independently of the parser.
  private func checkAccepted(_ wire: [UInt8]) -> Bool {
    var parser = HTTPRequestHeadParser()
    guard let head = try? parser.parse(wire.span) else { return false }
    let bytes = Array(wire[..<head.byteCount])
    #expect(Array(bytes.suffix(4)) == [0x0D, 0x0A, 0x0D, 0x0A])
    // Every CR is followed by LF and every LF preceded by CR; no other controls but tab.
    for (index, byte) in bytes.enumerated() {
      switch byte {
      case 0x0D: #expect(bytes[index + 1] == 0x0A)
      case 0x0A: #expect(bytes[index - 1] == 0x0D)
      case 0x09, 0x20...0x7E, 0x80...0xFF: break
      default: Issue.record("control \(byte) in \(bytes)")
      }
    }
    // By bytes, not by characters: a colon with a combining accent after it is one character.
    let lines = bytes.split(separator: 0x0A).map { $0.dropLast() }.filter { !$0.isEmpty }
    let words = lines[0].split(separator: 0x20, omittingEmptySubsequences: false)
    #expect(words.count == 3)
    #expect(words[0].elementsEqual(head.methodName.utf8))
    #expect(head.method == .connect || head.path == "*" || head.path.utf8.first == 0x2F)
    #expect(lines.count - 1 == head.fields.count)
    var names: [String] = []
    for line in lines.dropFirst() {
      let name = line.prefix { $0 != 0x3A }
      #expect(!name.isEmpty && name.allSatisfy { $0 > 0x20 && $0 < 0x7F })
      names.append(String(decoding: name, as: UTF8.self).lowercased())
    }
    let framings = names.count { $0 == "content-length" || $0 == "transfer-encoding" }
    #expect(framings <= 1)
    #expect(framings == (head.contentLength == nil && !head.isChunked ? 0 : 1))
    #expect(names.count { $0 == "host" } == 1 || head.minorVersion == 0)
    for name in names { #expect(head.value(of: name) == head.values(of: name).first) }
    return true
  }

  @Test("20,000 mutated response heads: one result however they are split")
  func responseHeads() {
    var generator = SeededGenerator.announced("mutated response heads")
    func answer(_ wire: [UInt8], _ ends: [Int]) -> String {
      var parser = HTTPResponseHeadParser()
      for end in ends {
        do {
          if let head = try parser.parse(wire.span.extracting(0..<end)) {
            return "\(head.status) \(head.byteCount) \(head.contentLength ?? -1)"
          }
        } catch { return error.reason }
      }
      return "incomplete"
    }
    for (text, _) in HTTPResponseTests.soundHeads {
      for mutant in mutants(of: Array(text.utf8), count: 4_000, using: &generator) {
        let middle = Int.random(in: 0...mutant.count, using: &generator)
        let whole = answer(mutant, [mutant.count])
        #expect(answer(mutant, [middle, mutant.count]) == whole)
        #expect(answer(mutant, Array(0...mutant.count)) == whole)
      }
    }
  }

  @Test("30,000 mutated chunked bodies: one result however they are split, never over the limit")
  func chunks() {
    var generator = SeededGenerator.announced("mutated chunked bodies")
    let corpus =
      ChunkedBodyTests.sound.map { Array($0.0.utf8) }
      + ChunkedBodyTests.refused.filter { $0.utf8.count < 500 }.map { Array($0.utf8) }
    for seed in corpus {
      for mutant in mutants(of: seed, count: 30_000 / corpus.count + 1, using: &generator) {
        let limit = Int.random(in: 0...20, using: &generator)
        let whole = ChunkedBodyTests.decode(mutant, ends: [mutant.count], limit: limit)
        let middle = Int.random(in: 0...mutant.count, using: &generator)
        #expect(
          ChunkedBodyTests.decode(mutant, ends: [middle, mutant.count], limit: limit) == whole)
        #expect(ChunkedBodyTests.decode(mutant, ends: 0...mutant.count, limit: limit) == whole)
        if case .body(let body, let consumed) = whole {
          #expect(body.count <= limit)
          #expect(consumed <= mutant.count)
        }
      }
    }
  }

  @Test("random bodies in random chunks are decoded unchanged")
  func roundTrip() {
    var generator = SeededGenerator.announced("random chunks")
    for _ in 0..<500 {
      let body = generator.bytes(count: Int.random(in: 0...600, using: &generator))
      var wire: [UInt8] = []
      var start = 0
      while start < body.count {
        let size = Int.random(in: 1...min(200, body.count - start), using: &generator)
        let digits = String(size, radix: 16, uppercase: Bool.random(using: &generator))
        let zeros = String(repeating: "0", count: Int.random(in: 0...3, using: &generator))
        wire += Array("\(zeros)\(digits)\(Bool.random(using: &generator) ? ";a=b" : "")\r\n".utf8)
        wire += body[start..<(start + size)]
        wire += [0x0D, 0x0A]
        start += size
      }
      wire += Array("0\r\n\r\n".utf8)
      let feed = ByteFeed.random(wire, using: &generator)
      var ends: [Int] = []
      for piece in feed.pieces { ends.append((ends.last ?? 0) + piece.count) }
      #expect(
        ChunkedBodyTests.decode(wire, ends: ends) == .body(body, consumed: wire.count),
        "\(feed)")
    }
  }

  @Test("mutated queries and paths are decoded, refused or not found, and never trap")
  func queries() {
    var generator = SeededGenerator.announced("mutated queries")
    var router = Router<Int>()
    router.add(.get, "/n/:id/read", 1)
    let query = Array("token=a%20b&since=1.2&unread=true&type=%E2%82%AC".utf8)
    for mutant in mutants(of: query, count: 20_000, using: &generator) {
      let text = String(decoding: mutant, as: UTF8.self)
      if let parsed = try? QueryString(text) {
        #expect(parsed.count <= QueryString.pairCountLimit)
        #expect(text.utf8.split(separator: 0x26).count >= parsed.count)
      }
    }
    for mutant in mutants(of: Array("/n/a%20b/read".utf8), count: 20_000, using: &generator) {
      let path = String(decoding: mutant, as: UTF8.self)
      if case .found(_, let parameters) = router.match(.get, path: path) {
        #expect(parameters.count == 1)
        #expect(path.utf8.starts(with: "/n/".utf8))
        // One slash at the end is ignored.
        let end = path.utf8.last == HTTPCharacter.slash ? path.utf8.dropLast() : path.utf8[...]
        #expect(end.suffix(5).elementsEqual("/read".utf8))
      }
    }
  }
}
