// gzip as other programs read it: zlib inflates each result, and the bytes that RFC 1952 specifies
// are compared one by one.

import CZlib
import Cryptography
import TestSupport
import Testing

@Suite("RFC 1952: gzip")
struct GzipTests {
  /// The content of one whole gzip member, by zlib; nil if zlib rejects it.
  private static func inflate(_ bytes: [UInt8], limit: Int) -> [UInt8]? {
    var input = bytes
    var output = [UInt8](repeating: 0, count: limit + 1)
    return input.withUnsafeMutableBufferPointer { input in
      output.withUnsafeMutableBufferPointer { output in
        var stream = z_stream()
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        let size = Int32(MemoryLayout<z_stream>.size)
        guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, size) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        guard CZlib.inflate(&stream, Z_FINISH) == Z_STREAM_END, stream.avail_in == 0 else {
          return nil
        }
        return Array(output.prefix(output.count - Int(stream.avail_out)))
      }
    }
  }

  static let texts: [[UInt8]] = [
    [], [0], Array("bell".utf8), Array(String(repeating: "ring the bell\n", count: 5_000).utf8),
    [UInt8](repeating: 0, count: 1 << 20),
  ]

  @Test("compressed bytes inflate to the original", arguments: texts)
  func roundTrip(bytes: [UInt8]) {
    #expect(Self.inflate(Gzip.compress(bytes), limit: bytes.count) == bytes)
  }

  @Test("incompressible bytes inflate to the original too, and hardly grow")
  func noise() {
    var generator = SeededGenerator(seed: 5)
    for count in [1, 100, 65_535, 65_536, 300_000] {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      let packed = Gzip.compress(bytes)
      #expect(packed.count <= count + count / 1_000 + 64)
      #expect(Self.inflate(packed, limit: count) == bytes)
    }
  }

  @Test("the header has no time and no name, and names the best compression")
  func header() {
    let packed = Gzip.compress(Array("bell".utf8))
    // ID1 ID2 CM FLG, MTIME, XFL = 2: the slowest and smallest, OS = 3: Unix.
    #expect(Array(packed.prefix(10)) == [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3])
    #expect(packed == Gzip.compress(Array("bell".utf8)))
  }

  @Test("repetitive text shrinks to a small fraction")
  func ratio() {
    let text = Array(String(repeating: "ring the bell\n", count: 5_000).utf8)
    #expect(Gzip.compress(text).count < text.count / 100)
  }

  @Test("more than `inputBytesLimit` is a programming error")
  func tooMuch() async {
    await #expect(processExitsWith: .failure) {
      _ = Gzip.compress([UInt8](repeating: 0, count: Gzip.inputBytesLimit + 1))
    }
  }
}
