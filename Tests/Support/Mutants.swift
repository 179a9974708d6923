// Inputs that are almost valid.
//
// Uniform noise rarely reaches a codec's deeper branches, which need nearly valid input. Mutants
// are valid vectors with a few small changes: the cheap half of a fuzzer, run on every commit.

/// Bytes that parsers treat specially, and the bounds of the ranges that they check.
private let interestingBytes: [UInt8] = [
  0x00, 0x01, 0x09, 0x0A, 0x0D, 0x1F, 0x20, 0x22, 0x25, 0x2B, 0x2C, 0x2D, 0x2E, 0x2F, 0x30, 0x39,
  0x3A, 0x3B, 0x3D, 0x5B, 0x5C, 0x5D, 0x65, 0x7B, 0x7D, 0x7E, 0x7F, 0x80, 0x81, 0xBF, 0xC0, 0xC2,
  0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFE, 0xFF,
]

/// Draws variations of `bytes`, each with one to four small changes.
///
/// A change flips a bit, overwrites, inserts, deletes, doubles or cuts. A mutant can equal the
/// original; a test that needs only invalid mutants compares them.
package func mutants(
  of bytes: [UInt8], count: Int, using generator: inout some RandomNumberGenerator
) -> [[UInt8]] {
  (0..<count).map { _ in
    var mutant = bytes
    for _ in 0..<Int.random(in: 1...4, using: &generator) {
      mutate(&mutant, using: &generator)
    }
    return mutant
  }
}

private func mutate(_ bytes: inout [UInt8], using generator: inout some RandomNumberGenerator) {
  let special = interestingBytes.randomElement(using: &generator)!
  guard let index = bytes.indices.randomElement(using: &generator) else {
    bytes.append(special)
    return
  }
  switch Int.random(in: 0..<8, using: &generator) {
  case 0: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
  case 1: bytes[index] = UInt8.random(in: 0...255, using: &generator)
  case 2: bytes[index] = special
  case 3: bytes.insert(special, at: index)
  case 4: bytes.remove(at: index)
  case 5: bytes.removeSubrange(index...)
  case 6:
    let end = min(bytes.count, index + Int.random(in: 1...16, using: &generator))
    bytes.insert(contentsOf: Array(bytes[index..<end]), at: index)
  default:
    let end = min(bytes.count, index + Int.random(in: 1...16, using: &generator))
    bytes.removeSubrange(index..<end)
  }
}
