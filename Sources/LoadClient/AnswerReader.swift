// Cuts the bytes from an HTTP server into answers, pipelined ones included.

internal import Wire

/// One answer of an HTTP server.
package struct HTTPAnswer: Sendable {
  package let status: Int
  package let body: [UInt8]
  /// Whether the connection can carry another request.
  package let keepsAlive: Bool
  private let head: HTTPResponseHead

  fileprivate init(head: HTTPResponseHead, body: [UInt8]) {
    status = Int(head.status)
    keepsAlive = head.keepsAlive
    self.head = head
    self.body = body
  }

  /// Whether the status says that the request was carried out.
  package var isSuccess: Bool { (200...299).contains(status) }

  /// The first value of a field; `name` is lower case.
  package func value(of name: String) -> String? { head.value(of: name) }
}

/// The received and not yet consumed bytes of one connection to an HTTP server.
struct AnswerReader {
  /// The most bytes of one body: far above any answer that a command or a load test reads.
  private static let bodyBytesLimit = 64 << 20
  private static let readByteCount = 64 << 10

  private var bytes: [UInt8] = []
  private var start = 0
  private var parser = HTTPResponseHeadParser()
  private var head: HTTPResponseHead?
  private var decoder = ChunkedBodyDecoder(bodyBytesLimit: bodyBytesLimit)
  private var chunked: [UInt8] = []

  /// Receives once, through a buffer of the caller.
  mutating func receive(from socket: Socket, scratch: inout [UInt8]) -> Transfer {
    if scratch.isEmpty { scratch = Array(repeating: 0, count: Self.readByteCount) }
    let transfer = socket.receive(into: &scratch, at: 0)
    if case .bytes(let count) = transfer { append(scratch[..<count]) }
    return transfer
  }

  mutating func append(_ received: ArraySlice<UInt8>) {
    if start == bytes.count {
      bytes.removeAll(keepingCapacity: true)
      start = 0
    }
    bytes.append(contentsOf: received)
  }

  /// The next whole answer; nil while there is none.
  ///
  /// Interim answers (1xx) are skipped.
  mutating func next() throws(ClientError) -> HTTPAnswer? {
    while true {
      guard let head = try currentHead() else {
        compact()
        return nil
      }
      if (100...199).contains(head.status) {
        finishAnswer()
        continue
      }
      guard let body = try nextBody(head) else {
        compact()
        return nil
      }
      finishAnswer()
      return HTTPAnswer(head: head, body: body)
    }
  }

  private mutating func currentHead() throws(ClientError) -> HTTPResponseHead? {
    if let head { return head }
    let bytes = bytes
    do throws(HTTPViolation) {
      guard let parsed = try parser.parse(bytes.span.extracting(start..<bytes.count)) else {
        return nil
      }
      start += parsed.byteCount
      head = parsed
      return parsed
    } catch {
      throw .malformed("a bad answer: \(error.reason)")
    }
  }

  private mutating func nextBody(_ head: HTTPResponseHead) throws(ClientError) -> [UInt8]? {
    if head.isChunked {
      let bytes = bytes
      do throws(HTTPViolation) {
        start += try decoder.decode(
          bytes.span.extracting(start..<bytes.count), into: &chunked)
      } catch {
        throw .malformed("a bad chunked body: \(error.reason)")
      }
      return decoder.isComplete ? chunked : nil
    }
    if head.status == 204 || head.status == 304 { return [] }
    guard let length = head.contentLength, length <= Self.bodyBytesLimit else {
      throw .malformed("an answer without a usable Content-Length")
    }
    guard bytes.count - start >= length else { return nil }
    let body = Array(bytes[start..<start + length])
    start += length
    return body
  }

  private mutating func finishAnswer() {
    head = nil
    parser.reset()
    if !chunked.isEmpty { chunked = [] }
    decoder = ChunkedBodyDecoder(bodyBytesLimit: Self.bodyBytesLimit)
  }

  /// Drops the consumed bytes, once per read and not once per answer.
  private mutating func compact() {
    guard start > 0 else { return }
    bytes.removeSubrange(..<start)
    start = 0
  }
}
