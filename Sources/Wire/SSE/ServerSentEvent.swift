// Server-sent events: the WHATWG HTML standard, section 9.2.
//
// A stream consists of lines, and a line end in the wrong place starts another field or another
// event: a client that could put one into an id or a name could write events of its own into
// another client's stream. So ids and names are a type without line ends, and data is split
// wherever a parser would split it.

/// Text that fits on one line of a stream: the id or the name of an event.
package struct EventStreamLine: Equatable, Sendable {
  package let text: String

  package static let empty = EventStreamLine(known: "")

  /// Nil if `text` has a line end, or a NUL: a parser ignores an id with a NUL.
  package init?(_ text: String) {
    // guard: sse-field-keeps-its-line
    for byte in text.utf8 where byte == 0x0A || byte == 0x0D || byte == 0 { return nil }
    self.text = text
  }

  /// The id from which a client resumes.
  package init(_ cursor: Cursor) { self.init(known: cursor.description) }

  /// The id from which a client resumes, at `offset`.
  package init(_ cursors: CursorFormat, at offset: UInt64) {
    self.init(known: cursors.text(at: offset))
  }

  private init(known text: String) { self.text = text }
}

/// Writes the parts of an event stream.
package enum ServerSentEvent {
  /// Writes one event, which a parser dispatches with exactly this data, id and name.
  ///
  /// Without an id the client keeps the one it has. In `data` each CR, LF and CRLF arrives as LF:
  /// the format has no other line end. `retryMilliseconds` is the time that the client is to wait
  /// before it reconnects. It has no event of its own, nor has an id: clients on top of `fetch`
  /// deliver an event without data as an empty message.
  package static func append(
    data: [UInt8], id: EventStreamLine? = nil, name: EventStreamLine? = nil,
    retryMilliseconds: UInt32? = nil, into output: inout [UInt8]
  ) {
    output.makeRoom(for: data.count + 64)
    if let retryMilliseconds {
      output.appendText("retry: ")
      output.appendDecimal(retryMilliseconds)
      output.append(0x0A)
    }
    if let id { append("id: ", id.text, into: &output) }
    if let name { append("event: ", name.text, into: &output) }
    var start = 0
    var index = 0
    while index < data.count {
      let byte = data[index]
      // guard: sse-data-line-ends
      guard byte == 0x0A || byte == 0x0D else {
        index += 1
        continue
      }
      appendDataLine(data[start..<index], into: &output)
      let isPair = byte == 0x0D && index + 1 < data.count && data[index + 1] == 0x0A
      index += isPair ? 2 : 1
      start = index
    }
    appendDataLine(data[start...], into: &output)
    output.append(0x0A)
  }

  /// Writes a comment between two events: a parser skips it, and it keeps the connection alive.
  ///
  /// It is one line: a blank line after it would be an event without data.
  package static func append(comment: EventStreamLine, into output: inout [UInt8]) {
    append(": ", comment.text, into: &output)
  }

  private static func append(_ field: String, _ text: String, into output: inout [UInt8]) {
    output.appendText(field)
    output.appendText(text)
    output.append(0x0A)
  }

  // A parser removes this one space, so data may begin with a space of its own.
  private static func appendDataLine(_ line: ArraySlice<UInt8>, into output: inout [UInt8]) {
    output.appendText("data: ")
    output.append(contentsOf: line)
    output.append(0x0A)
  }
}
