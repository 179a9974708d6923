// `carillon publish` without an audience: NDJSON from standard input, one notification a line.
//
// The lines that have arrived are sent together, so a slow writer has each line published at once
// and a fast one has a thousand with each request. Every line gets an answer with its number.

internal import LoadClient
internal import Wire

/// Publishes the lines of standard input and prints one answer a line.
struct InputPublisher {
  /// The most lines of a batch; the bytes of one are limited as those of a line.
  private static let lineCountLimit = 1_000
  /// The most bytes of one read.
  private static let readByteCount = 64 << 10

  private let server: ServerURL
  private let credentials: [HTTPField]
  private var connection: HTTPConnection
  private var lastUse = Host.monotonicMilliseconds
  private var batch: [InputLine] = []
  private var batchByteCount = 0
  private var status: Int32 = 0

  /// Connects to the server.
  init(to server: ServerURL, _ credentials: [HTTPField]) throws(ClientError) {
    self.server = server
    self.credentials = credentials
    connection = try HTTPConnection(to: server)
  }

  /// Publishes until the input ends, and returns the exit status.
  ///
  /// Ends early with a `PublishRefusal` when the server does not accept the credentials.
  mutating func run() throws -> Int32 {
    // guard: awaited-input-announced
    if Terminal.isInputTyped {
      Terminal.say(
        "carillon publish: reading notifications from this terminal, one JSON object a line; "
          + "Ctrl-D ends the input")
    }
    var lines = InputLines()
    while true {
      let bytes = try Terminal.readInput(limit: Self.readByteCount)
      if bytes.isEmpty { lines.end() } else { lines.append(bytes) }
      for line in lines.take() { try take(line) }
      // guard: lines-sent-as-they-come
      if bytes.isEmpty || !Terminal.hasInput { try sendBatch() }
      if bytes.isEmpty { return status }
    }
  }

  private mutating func take(_ line: InputLine) throws {
    // guard: blank-lines-reported
    guard !line.isBlank else {
      return Terminal.say("carillon publish: line \(line.number) is blank")
    }
    guard !line.isTooLong else {
      // After the answers to the lines before it.
      try sendBatch()
      return refuse(
        [line], code: "too_large", "the line is over \(InputLines.byteCountLimit) bytes")
    }
    if batch.count == Self.lineCountLimit
      || batchByteCount + line.bytes.count > InputLines.byteCountLimit
    {
      try sendBatch()
    }
    batch.append(line)
    batchByteCount += line.bytes.count
  }

  private mutating func sendBatch() throws {
    defer {
      batch = []
      batchByteCount = 0
    }
    try send(batch[...])
  }

  private mutating func send(_ lines: ArraySlice<InputLine>) throws {
    guard let first = lines.first, let last = lines.last else { return }
    let numbers =
      lines.count == 1 ? "line \(first.number)" : "lines \(first.number) to \(last.number)"
    let answer: HTTPAnswer
    do throws(ClientError) {
      answer = try perform(lines)
    } catch {
      Terminal.say("carillon publish: \(numbers): no answer, published or not")
      throw error
    }
    if answer.isSuccess { return try printAnswers(answer.body, to: lines) }
    // Bounds hold for a batch as a whole (lines for everyone, notifications): nothing was stored,
    // and a part of the batch may be within them.
    // guard: batch-over-bound-parted
    if answer.status == 413, lines.count > 1 {
      let middle = lines.startIndex + lines.count / 2
      try send(lines[..<middle])
      return try send(lines[middle...])
    }
    let text = String(decoding: answer.body, as: UTF8.self)
    if answer.status == 401 || answer.status == 403 {
      throw PublishRefusal(status: answer.status, text: "\(numbers): \(text)")
    }
    if PublishRefusal(status: answer.status, text: text).isOutcomeUnknown {
      Terminal.say("carillon publish: \(numbers): no outcome (504), published or not")
    }
    guard text.hasPrefix(#"{"success":false,"#) else {
      return refuse(lines, code: "http_\(answer.status)", "rejected with \(answer.status)")
    }
    status = 1
    printNumbered(lines.map { ($0.number, Substring(text)) })
  }

  private mutating func perform(
    _ lines: ArraySlice<InputLine>
  ) throws(ClientError) -> HTTPAnswer {
    if Host.monotonicMilliseconds - lastUse > PublishCommand.idleMilliseconds {
      connection = try HTTPConnection(to: server)
    }
    defer { lastUse = Host.monotonicMilliseconds }
    var body: [UInt8] = []
    for line in lines {
      body.append(contentsOf: line.bytes)
      body.append(0x0A)
    }
    return try connection.perform(
      HTTPRequest(
        "POST", "/api/v1/notifications/batch",
        fields: credentials + [HTTPField("Content-Type", "application/x-ndjson")], body: body))
  }

  private mutating func printAnswers(
    _ body: [UInt8], to lines: ArraySlice<InputLine>
  ) throws(ClientError) {
    let answers = String(decoding: body, as: UTF8.self).split(separator: "\n")
    guard answers.count == lines.count, answers.allSatisfy({ $0.hasPrefix("{\"") }) else {
      throw .malformed("\(answers.count) answers to a batch of \(lines.count) lines")
    }
    if answers.contains(where: { $0.hasPrefix(#"{"success":false"#) }) { status = 1 }
    printNumbered(zip(lines, answers).map { ($0.number, $1) })
  }

  /// Answers lines in place of the server.
  private mutating func refuse(
    _ lines: some Collection<InputLine>, code: String, _ message: String
  ) {
    status = 1
    var json: [UInt8] = []
    json.openObject()
    json.member("success", false)
    json.member(
      "error",
      object: {
        $0.member("code", code)
        $0.member("message", message)
      })
    json.closeObject()
    let text = Substring(decoding: json, as: UTF8.self)
    printNumbered(lines.map { ($0.number, text) })
  }

  /// Prints objects, each with the number of its line as the first member.
  private func printNumbered(_ answers: [(number: Int, object: Substring)]) {
    Terminal.print(
      // guard: answers-have-line-numbers
      answers.map { #"{"line":\#($0.number),"# + $0.object.dropFirst() }.joined(separator: "\n"))
  }
}
