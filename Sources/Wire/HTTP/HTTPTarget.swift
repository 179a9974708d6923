// Request targets: RFC 9112, section 3.2.

/// The ranges of a request target's parts in the head's bytes.
struct HTTPTarget: Sendable {
  /// Empty if an absolute target has no path, which means "/".
  private(set) var path: Range<Int>
  private(set) var query: Range<Int>?
  /// The host and port of an absolute target.
  private(set) var authority: Range<Int>?

  /// Splits a target into its parts; its characters are already checked.
  ///
  /// The form must be one that the method allows: "*" is for OPTIONS only, a bare authority is for
  /// CONNECT only, and CONNECT has no other form.
  init(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>, method: HTTPMethod
  ) throws(HTTPViolation) {
    path = range
    if method == .connect {
      try HTTPTarget.checkHost(range, in: bytes, requiresPort: true)
      authority = range
      return
    }
    if bytes[range.lowerBound] == HTTPCharacter.slash {
      splitQuery(range, in: bytes)
      return
    }
    if range.count == 1, bytes[range.lowerBound] == 0x2A {
      guard method == .options else { throw .malformed("target * is for OPTIONS") }
      return
    }
    let start = try HTTPTarget.schemeEnd(range, in: bytes)
    var end = start
    while end < range.upperBound, bytes[end] != HTTPCharacter.slash,
      bytes[end] != HTTPCharacter.question
    {
      end += 1
    }
    try HTTPTarget.checkHost(start..<end, in: bytes)
    authority = start..<end
    splitQuery(end..<range.upperBound, in: bytes)
  }

  private mutating func splitQuery(_ range: Range<Int>, in bytes: borrowing Span<UInt8>) {
    var index = range.lowerBound
    while index < range.upperBound, bytes[index] != HTTPCharacter.question { index += 1 }
    path = range.lowerBound..<index
    query = index < range.upperBound ? (index + 1)..<range.upperBound : nil
  }

  private static func schemeEnd(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Int {
    for scheme in ["http://", "https://"] {
      let end = range.lowerBound + scheme.utf8.count
      if end <= range.upperBound,
        HTTPFields.matches(bytes, range.lowerBound..<end, scheme)
      {
        return end
      }
    }
    throw .malformed("invalid request target")
  }

  /// Checks the Host field, which must name the host that an absolute target names.
  ///
  /// By RFC 9112 the target takes precedence (section 3.2.2), but a client must send the same host
  /// in both (section 3.2): if they differ, a proxy may have routed by one while the server would
  /// answer for the other.
  func checkAgreement(
    withHost host: Range<Int>, in bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) {
    try HTTPTarget.checkHost(host, in: bytes)
    guard let authority else { return }
    var isSame = host.count == authority.count
    for (one, other) in zip(host, authority)
    where HTTPCharacter.lowercased(bytes[one]) != HTTPCharacter.lowercased(bytes[other]) {
      isSame = false
    }
    guard isSame else { throw .malformed("Host differs from the target") }
  }

  /// Checks a host with an optional port: RFC 3986, section 3.2.
  ///
  /// User information, an empty host, and anything else that could be read as the start of a path
  /// or of a second host are refused. CONNECT has no default port, so it requires one.
  static func checkHost(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>, requiresPort: Bool = false
  ) throws(HTTPViolation) {
    var index = range.lowerBound
    if index < range.upperBound, bytes[index] == 0x5B {
      index = try literalEnd(index + 1..<range.upperBound, in: bytes)
    } else {
      while index < range.upperBound, bytes[index] != HTTPCharacter.colon {
        if bytes[index] == 0x25 {
          guard Percent.isEscape(bytes, at: index, before: range.upperBound) else {
            throw .malformed("invalid host")
          }
          index += 3
          continue
        }
        guard HTTPCharacter.isRegisteredName(bytes[index]) else {
          throw .malformed("invalid host")
        }
        index += 1
      }
      guard index > range.lowerBound else { throw .malformed("empty host") }
    }
    try checkPort(index..<range.upperBound, in: bytes, isRequired: requiresPort)
  }

  private static func checkPort(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>, isRequired: Bool
  ) throws(HTTPViolation) {
    guard range.count > 1 || !isRequired else { throw .malformed("no port") }
    guard let colon = range.first else { return }
    guard bytes[colon] == HTTPCharacter.colon else { throw .malformed("invalid host") }
    // The grammar allows an empty port. A port has at most five digits.
    let port = colon + 1..<range.upperBound
    guard port.count <= 5 else { throw .malformed("invalid port") }
    var number = 0
    for place in port {
      guard HTTPCharacter.isDigit(bytes[place]) else { throw .malformed("invalid port") }
      number = number * 10 + Int(bytes[place] &- 0x30)
    }
    guard number <= 65_535 else { throw .malformed("invalid port") }
  }

  // Checks the characters of an IPv6 or later address, but not that they form one, because nothing
  // here connects to it.
  private static func literalEnd(
    _ range: Range<Int>, in bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Int {
    var index = range.lowerBound
    while index < range.upperBound, bytes[index] != 0x5D {
      guard
        HTTPCharacter.hexValue(bytes[index]) != nil || bytes[index] == HTTPCharacter.colon
          || bytes[index] == 0x2E
      else { throw .malformed("invalid host") }
      index += 1
    }
    guard index < range.upperBound, index > range.lowerBound else {
      throw .malformed("invalid host")
    }
    return index + 1
  }
}
