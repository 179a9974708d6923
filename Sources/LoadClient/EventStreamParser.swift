// The client's parser of server-sent events: the WHATWG HTML standard, section 9.2.6.

/// One event of a stream.
package struct StreamEvent: Equatable, Sendable {
  /// Its lines of data, joined by line feeds.
  package let data: String
  /// The id that came with it; nil for an event without one.
  package let id: String?
}

/// Cuts the bytes of an event stream, which arrive in pieces, into its events.
///
/// It ignores the names of events. An event without data is dropped, as in a browser, but its id
/// counts.
struct EventStreamParser {
  /// The most bytes of one event or one line: larger than any event of the server.
  private let eventBytesLimit: Int

  private var line: [UInt8] = []
  private var data: [UInt8] = []
  private var hasData = false
  private var id: String?
  /// The last byte was a carriage return: a line feed directly after it ends no second line.
  private var endedWithReturn = false
  private var events: [StreamEvent] = []
  /// Events before this one have been returned.
  private var firstEvent = 0
  /// The id of the last complete event that had one: the position from which a client resumes.
  private(set) var lastID: String?
  /// The time after which the server wants a client to reconnect; nil while it has not sent one.
  private(set) var retryMilliseconds: Int?

  init(eventBytesLimit: Int = 16 << 20) { self.eventBytesLimit = eventBytesLimit }

  /// Parses more bytes; false when an event is longer than the limit.
  mutating func append(_ bytes: some Sequence<UInt8>) -> Bool {
    for byte in bytes {
      let isSecondHalf = byte == 0x0A && endedWithReturn
      endedWithReturn = byte == 0x0D
      if isSecondHalf { continue }
      if byte == 0x0A || byte == 0x0D {
        endLine()
      } else {
        line.append(byte)
      }
      guard line.count + data.count <= eventBytesLimit else { return false }
    }
    return true
  }

  /// The next event; nil while there is none.
  mutating func next() -> StreamEvent? {
    guard firstEvent < events.count else {
      // All at once: `removeFirst` would move the rest of a long read for each of its events.
      events.removeAll(keepingCapacity: true)
      firstEvent = 0
      return nil
    }
    defer { firstEvent += 1 }
    return events[firstEvent]
  }

  private mutating func endLine() {
    defer { line.removeAll(keepingCapacity: true) }
    guard !line.isEmpty else { return endEvent() }
    let name = line.prefix { $0 != UInt8(ascii: ":") }
    var value = line[name.endIndex...].dropFirst()
    if value.first == 0x20 { value = value.dropFirst() }
    switch String(decoding: name, as: UTF8.self) {
    case "data":
      if hasData { data.append(0x0A) }
      hasData = true
      data.append(contentsOf: value)
    case "id":
      if !value.contains(0) { id = String(decoding: value, as: UTF8.self) }
    case "retry":
      // Of digits only; `Int` would also take a sign.
      let text = String(decoding: value, as: UTF8.self)
      if value.allSatisfy({ 0x30...0x39 ~= $0 }), let time = Int(text) { retryMilliseconds = time }
    default: break
    }
  }

  private mutating func endEvent() {
    if let id { lastID = id }
    if hasData { events.append(StreamEvent(data: String(decoding: data, as: UTF8.self), id: id)) }
    data.removeAll(keepingCapacity: true)
    hasData = false
    id = nil
  }
}
