// Pipelined answers, split in every way.

import TestSupport
import Testing

@testable import LoadClient

@Suite("Reading an HTTP server's answers")
struct AnswerReaderTests {
  private static let stream = Array(
    """
    HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\
    HTTP/1.1 100 Continue\r\n\r\n\
    HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n\
    HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n\
    HTTP/1.1 204 No Content\r\n\r\n\
    HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx
    """.utf8)

  @Test("answers are returned whole and in order, however they are split")
  func splits() throws {
    for feed in ByteFeed.all(Self.stream) {
      var reader = AnswerReader()
      var answers: [HTTPAnswer] = []
      for piece in feed.pieces {
        reader.append(piece)
        while let answer = try reader.next() { answers.append(answer) }
      }
      #expect(answers.map(\.status) == [200, 503, 200, 204, 201], "\(feed)")
      let bodies = answers.map { String(decoding: $0.body, as: UTF8.self) }
      #expect(bodies == ["{}", "", "abcd", "", "x"], "\(feed)")
      #expect(answers.map(\.keepsAlive) == [true, true, true, true, false], "\(feed)")
      #expect(answers[1].value(of: "retry-after") == "3")
      #expect(answers.map(\.isSuccess) == [true, false, true, true, true])
    }
  }

  @Test(
    "a malformed answer is an error",
    arguments: [
      "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
      "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ])
  func unreadable(text: String) {
    var reader = AnswerReader()
    reader.append(Array(text.utf8)[...])
    #expect(throws: ClientError.self) { try reader.next() }
  }
}
