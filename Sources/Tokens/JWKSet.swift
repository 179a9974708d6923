// JSON Web Keys: RFC 7517, RFC 7518, section 6, and RFC 8037, section 2.
//
// Read are `kty`, `use`, `key_ops`, `alg`, `kid` and the numbers. `x5c`, `x5u` and members that are
// not known are ignored: a key is trusted because of its source, not because of a certificate.

internal import Cryptography
internal import Wire

/// The keys of a document: one key, or a set with the member `keys`.
struct JWKSet {
  /// The usable keys, in the document's order.
  private(set) var keys: [VerificationKey] = []
  /// The faults of the others.
  private(set) var faults: [KeyFault] = []
  /// Whether the document has the member `keys`.
  let isSet: Bool

  /// Members of private keys and secrets: RFC 7518, section 6.
  private static let privateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]

  private static let curves: [(name: String, curve: EllipticCurve)] = [
    ("P-256", .p256), ("P-384", .p384), ("P-521", .p521),
  ]

  /// Reads a document; throws for a fault of the whole, and for a secret or private key in it.
  static func parse(_ bytes: [UInt8]) throws(KeyFault) -> JWKSet {
    let table = try object(bytes)
    guard table.contains("keys") else {
      var single = JWKSet(isSet: false)
      try single.add(table)
      return single
    }
    var set = JWKSet(isSet: true)
    for range in try elements(of: bytes) {
      // guard: jwk-count
      guard set.keys.count + set.faults.count < KeyDocument.keyCountLimit else {
        throw .tooManyKeys
      }
      try set.add(try object(Array(bytes[range])))
    }
    return set
  }

  private init(isSet: Bool) { self.isSet = isSet }

  /// The keys, if each of the document can be used.
  ///
  /// In a set, keys of other types and for other purposes are not counted: providers add them.
  func allKeys() throws(KeyFault) -> [VerificationKey] {
    for fault in faults {
      switch fault {
      case .unknownType, .otherUse, .unknownAlgorithm: if !isSet { throw fault }
      default: throw fault
      }
    }
    return keys
  }

  private mutating func add(_ table: MemberTable) throws(KeyFault) {
    do throws(KeyFault) {
      keys.append(try Self.key(table))
    } catch {
      guard error.concernsOneKey else { throw error }
      faults.append(error)
    }
  }

  private static func object(_ bytes: [UInt8]) throws(KeyFault) -> MemberTable {
    do throws(TokenError) {
      return try MemberTable(bytes)
    } catch {
      throw .notObject
    }
  }

  /// The ranges of the elements of `keys`.
  private static func elements(of bytes: [UInt8]) throws(KeyFault) -> [Range<Int>] {
    var ranges: [Range<Int>]?
    do throws(JSONViolation) {
      var reader = JSONReader(bytes)
      try reader.readObject { (reader, name) throws(JSONViolation) in
        guard name.hasSameBytes(as: "keys"), try reader.nextKind() == .array else { return }
        var found: [Range<Int>] = []
        try reader.readArray { (reader) throws(JSONViolation) in
          found.append(try reader.skipValue())
        }
        ranges = found
      }
    } catch {
      throw .notObject
    }
    guard let ranges else { throw .noKeys }
    return ranges
  }

  // MARK: One key

  private static func key(_ table: MemberTable) throws(KeyFault) -> VerificationKey {
    let type = try text(.kty, of: table)
    // guard: jwk-secret
    guard !type.hasSameBytes(as: "oct") else { throw .secret }
    // guard: jwk-private
    guard !privateMembers.contains(where: table.contains) else { throw .privateKey }
    try checkUse(table)
    let algorithm = try algorithm(table)
    let identifier = table.contains("kid") ? try text(.kid, of: table) : nil
    return try .publicKey(
      try numbers(type, table), algorithm: algorithm, identifier: identifier)
  }

  /// Refuses a key that is not for verifying signatures.
  private static func checkUse(_ table: MemberTable) throws(KeyFault) {
    if table.contains("use") {
      // guard: jwk-use
      guard try text(.use, of: table).hasSameBytes(as: "sig") else { throw .otherUse }
    }
    guard table.contains("key_ops") else { return }
    guard case .array(let operations)? = try? table.value(of: "key_ops") else {
      throw .member(.keyOps)
    }
    // guard: jwk-operations
    guard operations.contains(where: { $0?.hasSameBytes(as: "verify") ?? false }) else {
      throw .otherUse
    }
  }

  private static func algorithm(_ table: MemberTable) throws(KeyFault) -> SigningAlgorithm? {
    guard table.contains("alg") else { return nil }
    let name = try text(.alg, of: table)
    let algorithm = SigningAlgorithm.allCases.first { $0.rawValue.hasSameBytes(as: name) }
    // Not the algorithm of the key's kind: a key for RSA-OAEP must not verify RS256.
    // guard: jwk-algorithm-known
    guard let algorithm else { throw .unknownAlgorithm }
    return algorithm
  }

  private static func numbers(
    _ type: String, _ table: MemberTable
  ) throws(KeyFault) -> PublicKeyNumbers {
    if type.hasSameBytes(as: "RSA") {
      return .rsa(modulus: try bytes(.n, of: table), exponent: try bytes(.e, of: table))
    }
    let isElliptic = type.hasSameBytes(as: "EC")
    guard isElliptic || type.hasSameBytes(as: "OKP") else { throw .unknownType }
    let curve = try text(.crv, of: table)
    if !isElliptic {
      guard curve.hasSameBytes(as: "Ed25519") else { throw .unknownType }
      return .ed25519(try bytes(.x, of: table))
    }
    guard let known = curves.first(where: { $0.name.hasSameBytes(as: curve) })?.curve else {
      throw .unknownType
    }
    return .elliptic(known, x: try bytes(.x, of: table), y: try bytes(.y, of: table))
  }

  private static func text(
    _ name: KeyFault.StaticText, of table: MemberTable
  ) throws(KeyFault) -> String {
    guard case .string(let text)? = try? table.value(of: name.rawValue) else {
      throw .member(name)
    }
    return text
  }

  private static func bytes(
    _ name: KeyFault.StaticText, of table: MemberTable
  ) throws(KeyFault) -> [UInt8] {
    let text = Array(try text(name, of: table).utf8)
    guard let bytes = Base64.decodeURL(text.span) else { throw .member(name) }
    return bytes
  }
}
