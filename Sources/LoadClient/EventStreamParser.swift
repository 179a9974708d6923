// The client's parser of server-sent events: the WHATWG HTML standard, section 9.2.6.

/// Cuts the bytes of an event stream, which arrive in pieces, into the data of its events.
///
/// It reads only `data` fields: ids and the retry time matter only to clients that reconnect. An
/// event without data is dropped, as in a browser.
struct EventStreamParser {
  /// The most bytes of one event or one line: larger than any event of the server.
  private let eventBytesLimit: Int

  private var line: [UInt8] = []
  private var data: [UInt8] = []
  private var hasData = false
  /// The last byte was a carriage return: a line feed directly after it ends no second line.
  private var endedWithReturn = false
  private var events: [String] = []

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

  /// The data of the next event, its lines joined by line feeds; nil while there is none.
  mutating func next() -> String? { events.isEmpty ? nil : events.removeFirst() }

  private mutating func endLine() {
    defer { line.removeAll(keepingCapacity: true) }
    guard !line.isEmpty else { return endEvent() }
    let name = line.prefix { $0 != UInt8(ascii: ":") }
    guard name.elementsEqual("data".utf8) else { return }
    var value = line[name.endIndex...].dropFirst()
    if value.first == 0x20 { value = value.dropFirst() }
    if hasData { data.append(0x0A) }
    hasData = true
    data.append(contentsOf: value)
  }

  private mutating func endEvent() {
    if hasData { events.append(String(decoding: data, as: UTF8.self)) }
    data.removeAll(keepingCapacity: true)
    hasData = false
  }
}
