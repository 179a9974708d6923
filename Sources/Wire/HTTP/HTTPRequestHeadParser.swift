// Request heads, byte by byte: RFC 9112, sections 2 to 6.
//
// A peer may send a head byte by byte, so the parser remembers how far it has read and reads no
// byte twice. It refuses at the first byte that cannot belong to a valid head: a head that is too
// large is refused when it passes the limit, not when (or if) its last line arrives.

/// Reads one request head from bytes that arrive in pieces.
///
/// After a head or a violation, call `reset()` before the next request. A parser that has refused a
/// head refuses all further input.
package struct HTTPRequestHeadParser: Sendable {
  private enum Stage: UInt8 { case start, emptyLine, method, target, version, fields }

  private let limits: HTTPLimits
  private var stage = Stage.start
  private var position = 0
  /// The start of the current part of the request line.
  private var partStart = 0
  private var method = HTTPMethod.other
  private var methodRange = 0..<0
  private var targetRange = 0..<0
  private var minorVersion = 0
  private var scanner: HTTPFieldScanner
  private var violation: HTTPViolation?

  /// The longest method that is accepted; every known one is far shorter.
  package static let methodBytesLimit = 32

  package init(limits: HTTPLimits = HTTPLimits()) {
    self.limits = limits
    scanner = HTTPFieldScanner(at: 0, limits: limits)
  }

  /// Makes the parser ready for the next request.
  package mutating func reset() {
    self = HTTPRequestHeadParser(limits: limits)
  }

  /// Continues with `bytes`: everything received since the first byte of this request.
  ///
  /// Nil while the head is incomplete. Bytes after the head are not read. Never traps, whatever the
  /// bytes are; over all calls each byte is read once.
  package mutating func parse(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> HTTPRequestHead? {
    if let violation { throw violation }
    do {
      if stage != .fields, try !scanRequestLine(bytes) { return nil }
      guard try scanner.scan(bytes) else { return nil }
      return try makeHead(bytes)
    } catch {
      violation = error
      throw error
    }
  }

  private mutating func makeHead(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> HTTPRequestHead {
    let framing = try HTTPFraming(scanner.fields, in: bytes, minorVersion: minorVersion)
    guard framing.host != nil || minorVersion == 0 else { throw .malformed("no Host") }
    guard !framing.expectsOther || minorVersion == 0 else {
      throw HTTPViolation(status: 417, reason: "expectation not supported")
    }
    let target = try HTTPTarget(targetRange, in: bytes, method: method)
    if let host = framing.host { try target.checkAgreement(withHost: host, in: bytes) }
    let count = scanner.position
    let copy = [UInt8](capacity: count) { output in
      for index in 0..<count { output.append(bytes[index]) }
    }
    return HTTPRequestHead(
      method: method, methodRange: methodRange, minorVersion: minorVersion, byteCount: count,
      framing: framing, target: target, fields: HTTPFields(bytes: copy, fields: scanner.fields))
  }

  // Returns true once the whole line is read.
  private mutating func scanRequestLine(
    _ bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) -> Bool {
    let end = min(bytes.count, limits.headBytes)
    while position < end {
      let byte = bytes[position]
      switch stage {
      case .start:
        // One empty line may precede a request (RFC 9112, section 2.2): old clients send one after
        // a body. A second one is refused as suspicious.
        if byte == HTTPCharacter.carriageReturn {
          stage = .emptyLine
          position += 1
        } else {
          stage = .method
        }
      case .emptyLine:
        guard byte == HTTPCharacter.lineFeed else {
          throw .malformed("carriage return without line feed")
        }
        position += 1
        partStart = position
        stage = .method
      case .method:
        try scanMethod(bytes, to: end)
      case .target:
        try scanTarget(bytes, to: end)
      case .version:
        if try scanVersion(byte) { return true }
      case .fields:
        return true
      }
    }
    guard position < limits.headBytes else {
      throw .headTooLarge("head over \(limits.headBytes) bytes")
    }
    return false
  }

  private mutating func scanMethod(
    _ bytes: borrowing Span<UInt8>, to end: Int
  ) throws(HTTPViolation) {
    var index = position
    while index < end, HTTPCharacter.isToken(bytes[index]) { index += 1 }
    position = index
    guard index - partStart <= HTTPRequestHeadParser.methodBytesLimit else {
      throw .malformed("method over \(HTTPRequestHeadParser.methodBytesLimit) bytes")
    }
    guard index < end else { return }
    guard bytes[index] == HTTPCharacter.space, index > partStart else {
      throw .malformed("malformed request line")
    }
    methodRange = partStart..<index
    method = HTTPMethod(bytes, in: methodRange)
    position = index + 1
    partStart = position
    stage = .target
  }

  private mutating func scanTarget(
    _ bytes: borrowing Span<UInt8>, to end: Int
  ) throws(HTTPViolation) {
    let stop = partStart + min(end - partStart, limits.targetBytes)
    var index = position
    while index < stop, HTTPCharacter.isTarget(bytes[index]) { index += 1 }
    position = index
    guard index < end else { return }
    guard bytes[index] == HTTPCharacter.space, index > partStart else {
      if HTTPCharacter.isTarget(bytes[index]) {
        throw HTTPViolation(status: 414, reason: "request target over \(limits.targetBytes) bytes")
      }
      // guard: raw-utf8-explained
      if bytes[index] >= 0x80 {
        throw .malformed("request target not ASCII: percent-encode its UTF-8, as in %C3%A9")
      }
      throw .malformed("malformed request line")
    }
    targetRange = partStart..<index
    position = index + 1
    partStart = position
    stage = .version
  }

  // Takes one byte of "HTTP/1.x" and the line's end. Returns true after the last byte.
  private mutating func scanVersion(_ byte: UInt8) throws(HTTPViolation) -> Bool {
    let isExpected: Bool
    switch position - partStart {
    case 0:
      isExpected = byte == 0x48
      guard isExpected else {
        throw .malformed("no HTTP version after the target: percent-encode a space as %20")
      }
    case 1, 2: isExpected = byte == 0x54
    case 3: isExpected = byte == 0x50
    case 4: isExpected = byte == HTTPCharacter.slash
    case 5:
      isExpected = HTTPCharacter.isDigit(byte)
      guard !isExpected || byte == 0x31 else {
        throw HTTPViolation(status: 505, reason: "HTTP version not supported")
      }
    case 6: isExpected = byte == 0x2E
    case 7:
      isExpected = HTTPCharacter.isDigit(byte)
      minorVersion = byte == 0x30 ? 0 : 1
    case 8: isExpected = byte == HTTPCharacter.carriageReturn
    default: isExpected = byte == HTTPCharacter.lineFeed
    }
    guard isExpected else { throw .malformed("malformed request line") }
    position += 1
    guard position - partStart == 10 else { return false }
    scanner = HTTPFieldScanner(at: position, limits: limits)
    stage = .fields
    return true
  }
}
