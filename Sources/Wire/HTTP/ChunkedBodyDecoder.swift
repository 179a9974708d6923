// Chunked bodies: RFC 9112, section 7.1.
//
// Sizes are hexadecimal digits only, and lines end in CR LF only. Extensions are parsed (and
// ignored), so that they cannot contain a line end that one reader sees and another does not.
// Trailers are read with the rules of header fields and then dropped: nothing after the body can
// change the meaning of the head.

/// Reads a chunked body from bytes that arrive in pieces.
package struct ChunkedBodyDecoder: Sendable {
  private enum Stage: UInt8 {
    case firstDigit, digits, extensionName, extensionNameMore, extensionValue, extensionToken
    case extensionQuoted, extensionEscape, extensionEnd, sizeLineFeed
    case data, dataReturn, dataLineFeed, trailers, complete
  }

  /// The most digits of a size: those that fit 64 bits.
  package static let digitCountLimit = 16
  /// The most bytes of a chunk's extensions.
  package static let extensionBytesLimit = 256
  /// The limits on the trailers.
  package static let trailerLimits = HTTPLimits(
    headBytes: 4_096, fieldCount: 16, fieldValueBytes: 2_048)

  private static let forbiddenTrailers = [
    "content-length", "transfer-encoding", "host", "connection", "authorization", "content-type",
    "content-encoding", "cookie", "expect", "upgrade", "x-api-key", "idempotency-key",
  ]

  private let bodyBytesLimit: Int
  private var bodyByteCount = 0
  private var stage = Stage.firstDigit
  private var size: UInt64 = 0
  private var digitCount = 0
  private var extensionByteCount = 0
  private var remaining = 0
  private var trailers: [UInt8] = []
  private var scanner: HTTPFieldScanner
  private var violation: HTTPViolation?

  package init(bodyBytesLimit: Int) {
    self.bodyBytesLimit = bodyBytesLimit
    scanner = HTTPFieldScanner(at: 0, limits: ChunkedBodyDecoder.trailerLimits)
  }

  /// Whether the whole body has been read, trailers included.
  package var isComplete: Bool { stage == .complete }

  /// Continues with `bytes`, which begin where the last call stopped; appends the data to `body`.
  ///
  /// Returns the number of bytes that belong to the body: all of them, until it is complete. A
  /// chunk that would exceed the limit is refused when its size is read (413), before any of its
  /// data arrives.
  package mutating func decode(
    _ bytes: borrowing Span<UInt8>, into body: inout [UInt8]
  ) throws(HTTPViolation) -> Int {
    if let violation { throw violation }
    do {
      var index = 0
      while index < bytes.count, stage != .complete {
        switch stage {
        case .firstDigit:
          let next = takeSmallChunks(bytes, from: index, into: &body)
          index = next > index ? next : try takeSizeLine(bytes, from: index)
        case .data:
          index = takeData(bytes, from: index, into: &body)
        case .trailers:
          index = try takeTrailers(bytes, from: index)
        default:
          try accept(bytes[index])
          index += 1
        }
      }
      return index
    } catch {
      violation = error
      throw error
    }
  }

  /// Takes the small chunks that `bytes` contain whole, and returns the index after them.
  ///
  /// A chunk of one byte takes six, so a body in such chunks must cost little for each: those of
  /// one and two bytes have the shortest way. The first chunk that is not small and whole, or
  /// exceeds the limit, is left to the other steps.
  private mutating func takeSmallChunks(
    _ bytes: borrowing Span<UInt8>, from start: Int, into body: inout [UInt8]
  ) -> Int {
    guard Self.smallChunk(bytes, at: start) != nil else { return start }
    let room = bytes.count - start
    // The array grows by doubling here too: see `takeData`.
    // guard: small-chunks-appended-in-place
    if body.capacity - body.count < room {
      body.reserveCapacity(max(2 * body.capacity, body.count + room))
    }
    var index = start
    var left = bodyBytesLimit - bodyByteCount
    body.append(addingCapacity: room) { output in
      while true {
        if bytes.count - index >= 8 {
          let word = Self.word(bytes, at: index)
          // guard: one-byte-chunks-limit
          if word & 0xFFFF_00FF_FFFF == 0x0A0D_000A_0D31, left > 0 {
            output.append(UInt8(truncatingIfNeeded: word >> 24))
            left -= 1
            index += 6
            continue
          }
          // guard: two-byte-chunks-limit
          if word & 0xFF_FF00_00FF_FFFF == 0x0A_0D00_000A_0D32, left > 1 {
            output.append(UInt8(truncatingIfNeeded: word >> 24))
            output.append(UInt8(truncatingIfNeeded: word >> 32))
            left -= 2
            index += 7
            continue
          }
        }
        // guard: small-chunks-limit
        guard let data = Self.smallChunk(bytes, at: index), data.count <= left else { break }
        for position in data { output.append(bytes[position]) }
        left -= data.count
        index = data.upperBound + 2
      }
    }
    bodyByteCount = bodyBytesLimit - left
    return index
  }

  /// The eight bytes at `index` as one number, the first byte lowest.
  ///
  /// Optimised builds load them at once. `1` CR LF, one byte, CR LF is then one comparison.
  @inline(__always)
  private static func word(_ bytes: borrowing Span<UInt8>, at index: Int) -> UInt64 {
    // One check of the bounds for the eight bytes.
    let eight = bytes.extracting(index..<index + 8)
    let low =
      UInt32(eight[0]) | UInt32(eight[1]) << 8 | UInt32(eight[2]) << 16 | UInt32(eight[3]) << 24
    let high =
      UInt32(eight[4]) | UInt32(eight[5]) << 8 | UInt32(eight[6]) << 16 | UInt32(eight[7]) << 24
    return UInt64(low) | UInt64(high) << 32
  }

  /// The place of the data of the chunk at `index`, if its size has one or two digits and is not 0,
  /// and `bytes` contain the whole chunk.
  @inline(__always)
  private static func smallChunk(_ bytes: borrowing Span<UInt8>, at index: Int) -> Range<Int>? {
    // The smallest chunk has six bytes.
    guard bytes.count - index >= 6, let digit = HTTPCharacter.hexValue(bytes[index]) else {
      return nil
    }
    var size = Int(digit)
    var lineEnd = index + 1
    if bytes[lineEnd] != HTTPCharacter.carriageReturn {
      guard let digit = HTTPCharacter.hexValue(bytes[lineEnd]) else { return nil }
      size = size << 4 | Int(digit)
      lineEnd += 1
    }
    let start = lineEnd + 2
    let end = start + size
    guard size > 0, end + 2 <= bytes.count, isLineEnd(bytes, at: lineEnd), isLineEnd(bytes, at: end)
    else { return nil }
    return start..<end
  }

  @inline(__always)
  private static func isLineEnd(_ bytes: borrowing Span<UInt8>, at index: Int) -> Bool {
    bytes[index] == HTTPCharacter.carriageReturn && bytes[index + 1] == HTTPCharacter.lineFeed
  }

  private mutating func takeData(
    _ bytes: borrowing Span<UInt8>, from start: Int, into body: inout [UInt8]
  ) -> Int {
    let count = min(remaining, bytes.count - start)
    // The array grows by doubling. A reservation for each chunk would move the whole body each
    // time: the capacity that an array reserves is exact.
    // guard: chunks-appended-in-place
    for index in start..<(start + count) { body.append(bytes[index]) }
    remaining -= count
    if remaining == 0 { stage = .dataReturn }
    return start + count
  }

  /// Reads a size line, or its first byte.
  ///
  /// The usual size line, of few digits and without an extension, is read here if `bytes` contain
  /// all of it. `accept` reads any other one byte by byte and finds its violations. So a chunk of
  /// one byte costs little more than its bytes.
  private mutating func takeSizeLine(
    _ bytes: borrowing Span<UInt8>, from start: Int
  ) throws(HTTPViolation) -> Int {
    var index = start
    var value: UInt64 = 0
    // Seven digits and the line end: far fewer bits than overflow.
    let stop = min(bytes.count - 1, start + 7)
    while index < stop, let digit = HTTPCharacter.hexValue(bytes[index]) {
      value = value << 4 | UInt64(digit)
      index += 1
    }
    guard index > start, index + 1 < bytes.count, bytes[index] == HTTPCharacter.carriageReturn,
      bytes[index + 1] == HTTPCharacter.lineFeed
    else {
      try accept(bytes[start])
      return start + 1
    }
    size = value
    try beginChunk()
    return index + 2
  }

  // Trailers are kept only until their end is found, at most `trailerLimits.headBytes` bytes.
  private mutating func takeTrailers(
    _ bytes: borrowing Span<UInt8>, from start: Int
  ) throws(HTTPViolation) -> Int {
    // Moved out and back, because the scanner must not be mutated while a span of `self` is held.
    var section: [UInt8] = []
    swap(&section, &trailers)
    let held = section.count
    let count = min(bytes.count - start, ChunkedBodyDecoder.trailerLimits.headBytes - held)
    for index in start..<(start + count) { section.append(bytes[index]) }
    if try scanner.scan(section.span) {
      for field in scanner.fields { try checkTrailer(field, in: section.span) }
      stage = .complete
      return start + scanner.position - held
    }
    swap(&section, &trailers)
    return start + count
  }

  // A client that sends one of these fields after the body may aim at a proxy that obeys it (RFC
  // 9110, section 6.5.1). Dropping the field protects only this server, so the message is refused.
  private func checkTrailer(
    _ field: HTTPField, in bytes: borrowing Span<UInt8>
  ) throws(HTTPViolation) {
    for name in ChunkedBodyDecoder.forbiddenTrailers
    where HTTPFields.matches(bytes, field.name, name) {
      throw .malformed("field not allowed in trailers")
    }
  }

  private mutating func accept(_ byte: UInt8) throws(HTTPViolation) {
    switch stage {
    case .firstDigit, .digits:
      try acceptSize(byte)
    case .sizeLineFeed:
      guard byte == HTTPCharacter.lineFeed else { throw .malformed("malformed chunk size") }
      try beginChunk()
    case .dataReturn:
      // guard: chunk-ends-with-crlf
      guard byte == HTTPCharacter.carriageReturn else { throw .malformed("malformed chunk end") }
      stage = .dataLineFeed
    case .dataLineFeed:
      guard byte == HTTPCharacter.lineFeed else { throw .malformed("malformed chunk end") }
      stage = .firstDigit
    default:
      extensionByteCount += 1
      // guard: chunk-extension-bytes
      guard extensionByteCount <= ChunkedBodyDecoder.extensionBytesLimit else {
        throw .malformed("chunk extension over \(ChunkedBodyDecoder.extensionBytesLimit) bytes")
      }
      try acceptExtension(byte)
    }
  }

  private mutating func acceptSize(_ byte: UInt8) throws(HTTPViolation) {
    if let value = HTTPCharacter.hexValue(byte) {
      if stage == .firstDigit {
        size = 0
        digitCount = 0
        extensionByteCount = 0
        stage = .digits
      }
      digitCount += 1
      // guard: chunk-size-digits
      guard digitCount <= ChunkedBodyDecoder.digitCountLimit else {
        throw .malformed("chunk size over \(ChunkedBodyDecoder.digitCountLimit) digits")
      }
      // Sixteen digits are 64 bits, so no bit is shifted out.
      size = size << 4 | UInt64(value)
      return
    }
    guard stage == .digits else { throw .malformed("malformed chunk size") }
    try endSizeOrExtension(byte)
  }

  // Accepts the byte after a size or a complete extension: CR or ";".
  private mutating func endSizeOrExtension(_ byte: UInt8) throws(HTTPViolation) {
    switch byte {
    // guard: chunk-size-ends-with-crlf
    case HTTPCharacter.carriageReturn: stage = .sizeLineFeed
    case 0x3B: stage = .extensionName
    default: throw .malformed("malformed chunk size")
    }
  }

  // *( ";" name [ "=" ( token / quoted-string ) ] ), without the white space that RFC 9112 calls
  // bad: clients do not send it, and readers differ on it.
  private mutating func acceptExtension(_ byte: UInt8) throws(HTTPViolation) {
    switch stage {
    case .extensionName where HTTPCharacter.isToken(byte):
      stage = .extensionNameMore
    case .extensionNameMore where HTTPCharacter.isToken(byte):
      break
    case .extensionNameMore where byte == 0x3D:
      stage = .extensionValue
    case .extensionValue where byte == 0x22:
      stage = .extensionQuoted
    case .extensionValue where HTTPCharacter.isToken(byte):
      stage = .extensionToken
    case .extensionToken where HTTPCharacter.isToken(byte):
      break
    case .extensionQuoted where byte == 0x22:
      stage = .extensionEnd
    case .extensionQuoted where byte == 0x5C:
      stage = .extensionEscape
    case .extensionQuoted where HTTPCharacter.isFieldValue(byte):
      break
    case .extensionEscape where HTTPCharacter.isFieldValue(byte):
      stage = .extensionQuoted
    case .extensionNameMore, .extensionToken, .extensionEnd:
      try endSizeOrExtension(byte)
    default:
      throw .malformed("malformed chunk extension")
    }
  }

  private mutating func beginChunk() throws(HTTPViolation) {
    if size == 0 {
      stage = .trailers
      return
    }
    // The size is compared before it is converted to an Int, so that the conversion cannot
    // overflow.
    // guard: chunk-sum-limit
    // guard: chunk-size-fits-int
    guard size <= UInt64(max(0, bodyBytesLimit - bodyByteCount)) else {
      throw HTTPViolation(status: 413, reason: "body too large")
    }
    remaining = Int(size)
    bodyByteCount += remaining
    stage = .data
  }
}
