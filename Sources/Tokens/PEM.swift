// Public keys in PEM: RFC 7468.
//
// Several blocks may follow each other. Between them is only white space and, directly before a
// block, the name of its algorithm. White space within a block is free, because an environment
// variable often loses its line breaks or holds them as the two characters \n.

internal import Cryptography
internal import Wire

/// Reads the blocks of a text.
enum PEM {
  private static let begin = Array("-----BEGIN ".utf8)
  private static let dashes = Array("-----".utf8)

  /// The keys of all blocks.
  static func parse(_ text: [UInt8]) throws(KeyFault) -> [VerificationKey] {
    var rest = withoutEscapes(text)[...]
    var keys: [VerificationKey] = []
    while true {
      rest = rest.drop(while: KeyDocument.isSpace)
      guard !rest.isEmpty else { return keys }
      // guard: pem-block-count
      guard keys.count < KeyDocument.keyCountLimit else { throw .tooManyKeys }
      keys.append(try takeBlock(from: &rest))
    }
  }

  /// The text with each \n and \r of two characters as white space.
  private static func withoutEscapes(_ text: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    for byte in text {
      if bytes.last == UInt8(ascii: "\\"), byte == UInt8(ascii: "n") || byte == UInt8(ascii: "r") {
        bytes[bytes.count - 1] = 0x0A
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  /// Takes the name of an algorithm, if there is one, and the block after it.
  private static func takeBlock(
    from rest: inout ArraySlice<UInt8>
  ) throws(KeyFault) -> VerificationKey {
    var algorithm: SigningAlgorithm?
    if !rest.starts(with: begin) {
      // A name is short: a longer text is none.
      guard let colon = rest.prefix(16).firstIndex(of: UInt8(ascii: ":")) else { throw .notPEM }
      let name = String(decoding: rest[..<colon], as: UTF8.self)
      let named = SigningAlgorithm.allCases.first { $0.rawValue.hasSameBytes(as: name) }
      guard let named else { throw .unknownAlgorithm }
      algorithm = named
      rest = rest[(colon + 1)...].drop(while: KeyDocument.isSpace)
      guard rest.starts(with: begin) else { throw .notPEM }
    }
    rest = rest.dropFirst(begin.count)
    guard let labelEnd = position(of: dashes, in: rest) else { throw .damagedBlock }
    let label = String(decoding: rest[..<labelEnd], as: UTF8.self)
    // Before the rest is looked at: a private key is named as such even if it is damaged.
    guard label.hasSameBytes(as: "PUBLIC KEY") else { throw fault(ofBlock: label) }
    rest = rest[labelEnd...].dropFirst(dashes.count)
    let end = Array("-----END PUBLIC KEY-----".utf8)
    guard let bodyEnd = position(of: end, in: rest) else { throw .damagedBlock }
    let body = rest[..<bodyEnd].filter { !KeyDocument.isSpace($0) }
    rest = rest[bodyEnd...].dropFirst(end.count)
    guard let bytes = Base64.decode(body.span) else { throw .damagedBlock }
    let numbers: PublicKeyNumbers
    do throws(PublicKeyFault) {
      numbers = try SubjectPublicKeyInfo.parse(bytes)
    } catch {
      throw .unusable(error)
    }
    return try .publicKey(numbers, algorithm: algorithm)
  }

  private static func fault(ofBlock label: String) -> KeyFault {
    if label.hasSuffix("PRIVATE KEY") { return .privateKey }
    return label.hasSuffix("CERTIFICATE") ? .certificate : .otherBlock
  }

  private static func position(of text: [UInt8], in rest: ArraySlice<UInt8>) -> Int? {
    rest.indices.first { rest[$0...].starts(with: text) }
  }
}
