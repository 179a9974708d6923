// Finds the bounds in the sources, by their names, to compare them with the table of limits.
//
// A bound is named by its unit or kind (`readBytes`, `countLimit`, `longestWait`), so a declaration
// with such a name and a number is one, and so is a number in a comparison. Those that are none are
// listed here, each with the reason.

/// A number in the sources that may be a bound.
struct Bound: Equatable {
  /// `Type.name` of a declaration; for a number in a comparison its file and digits.
  let name: String
  let path: String
  let line: Int
}

enum Bounds {
  /// The targets with the bounds of a server.
  ///
  /// The others are clients, or check a configuration against ranges that these have.
  static let targets: Set = [
    "Server", "Delivery", "Storage", "Notifications", "Tokens", "Wire", "Broadcast", "Reactor",
    "Cryptography", "Channels",
  ]
  /// The sources of the table.
  static let table = "Sources/Server/Limits/"
  /// The types of which every property is a bound.
  static let configurations: Set<Substring> = [
    "Limits", "StoreConfiguration", "EngineSettings", "HTTPLimits",
  ]

  /// Words of which a bound's name has one.
  private static let nameWords: Set<String> = [
    "limit", "limits", "bytes", "kibibytes", "milliseconds", "seconds", "nanoseconds", "minutes",
    "capacity", "count", "counts", "pages", "largest", "longest", "highest", "minimum", "maximum",
    "depth", "length", "turn", "poll", "wait", "batches", "factor", "page",
  ]

  /// Numbers that are no bounds, or have their row under another name.
  ///
  /// `*` is any type.
  static let exceptions: [(reason: String, names: [String])] = [
    (
      "has its row as a property of `Quotas`, which resolves the default",
      [
        "Limits.connectionsPerAddressLimit", "Limits.sessionsPerUserLimit",
        "Limits.connectRate", "Limits.messageRate", "Limits.publishRate", "Limits.requestRate",
        "Limits.roomsPerUserLimit", "Limits.badTokenRate",
      ]
    ),
    (
      "has its row under the name of its user",
      [
        "FrameSequence.standardFragmentCountLimit", "WebSocketFrame.closeReasonBytesLimit",
        "ChunkedBodyDecoder.headBytes", "ChunkedBodyDecoder.fieldValueBytes",
        "StoreConfiguration.defaultExpiryLimit", "StoreConfiguration.defaultStepLimit",
        "StoreConfiguration.outbox",
        "*.pingIntervalMilliseconds", "*.silenceLimitMilliseconds",
      ]
    ),
    (
      "has its row as the share of the files that is its default",
      ["Limits.unauthenticatedLimit"]
    ),
    (
      "is an estimate that is added to a bound, or the size from which memory is kept or swept",
      [
        "Notification.jsonFrameBytes", "StoreReads.envelopeBytes", "FairQueue.leastSweepCount",
      ]
    ),
    (
      "the values of a setting, which has a row",
      ["Limits.backlogBytes", "Limits.messageBytes", "EngineSettings.pingMilliseconds"]
    ),
    (
      "a policy, a place or a hook of tests",
      [
        "Limits.whenUserFull", "StoreConfiguration.path", "StoreConfiguration.vfs",
        "StoreConfiguration.statistics", "StoreConfiguration.timeZones",
      ]
    ),
    (
      "a default below a bound",
      [
        "APIKey.standardOverlapSeconds", "ConnectedUsers.standardLimit",
        "StoreQuery.standardPageLimit", "Endpoints.defaultWait",
      ]
    ),
    (
      "advice to a client, which it may ignore",
      ["Answer.retrySeconds", "StoreWork.retrySeconds", "StreamOpening.retryMilliseconds"]
    ),
    (
      "is used by debug builds alone",
      ["Shard.checkedConnectionCount"]
    ),
    (
      "only chooses between two ways to do the same",
      [
        "BucketTable.sweepNanoseconds", "Delivery.privateStepBytes", "Receiver.smallPieceBytes",
        "Connections.connectionBytes", "HeapTrim.byteLimit", "HeapTrim.delayMilliseconds",
        "SessionReads.smallPageBytes", "RandomWords.count",
        "InboxClass.smallInboxLimit", "Migration.reportedStepCount",
        "Sources/Server/Sessions/CatchUp.swift 1_024",
      ]
    ),
    (
      "part of a format or of a scale",
      [
        "APIKeyID.characterCount", "APIKeyText.randomByteCount", "SecretDigest.byteCount",
        "LatencyScale.exponentLimit", "PreferencesRow.trailerByteCount", "LogScan.headerByteCount",
        "LogScan.frameHeaderByteCount", "UserRow.columnCount", "PreferencesCache.entryByteCount",
        "NumericDate.latestSeconds", "QuietHours.minutesPerDay", "RecoveryID.byteCount",
        "RecoveryID.textCount", "RFC3339.earliestMilliseconds", "RFC3339.latestMilliseconds",
        "PublicKeyNumbers.exponentByteCount", "SubjectPublicKeyInfo.bytesLimit",
        "CacheControl.longestSeconds", "RFC3339.millisecondsPerDay", "StoredNumber.countLimit",
        "RunningTime.startLimit",
        "Sources/Reactor/RandomName.swift 252", "Sources/Storage/LogScan.swift 65_536",
        "Sources/Wire/WebSocket/FrameHeader.swift 125",
        "Sources/Wire/WebSocket/WebSocketFrame.swift 125",
        "Sources/Wire/WebSocket/WebSocketFrame.swift 1003",
        "Sources/Wire/WebSocket/WebSocketFrame.swift 1014",
        "Sources/Wire/WebSocket/WebSocketFrame.swift 4999",
        "BlockHeader.byteCount", "Sources/Notifications/PosixRuleParser.swift 167",
        "Sources/Notifications/PosixRuleParser.swift 365",
        "Sources/Wire/HTTP/ContentCoding.swift 1_000", "Sources/Wire/HTTP/HTTPCharacter.swift 128",
        "Sources/Wire/HTTP/HTTPTarget.swift 65_535", "Destination.nameBytesLimit",
        "Destination.labelBytesLimit", "Destination.portDigitCountLimit",
        "RetryAfter.digitCountLimit", "RetrySchedule.digitCountLimit",
        "RetrySchedule.textBytesLimit", "WebhookSecret.generatedByteCount",
        "OutboxMessageID.digitCountLimit", "WebhookLoop.waitMilliseconds",
        "WebhookLoop.pauseMilliseconds",
      ]
    ),
    (
      "a status",
      [
        "Sources/Server/HTTP/HTTPConnections.swift 400", "Sources/Wire/HTTP/HTTPResponse.swift 200",
        "Sources/Wire/HTTP/HTTPResponse.swift 599", "Sources/Wire/HTTP/HTTPResponseHead.swift 100",
        "Sources/Channels/Transfer.swift 200", "Sources/Channels/Transfer.swift 599",
        "Sources/Channels/WebhookLoop.swift 299",
        "Sources/Storage/OutboxReader.swift 999",
      ]
    ),
    (
      "a mistake of the program, not of a peer",
      [
        "RouteTree.segmentCountLimit", "Gzip.inputBytesLimit", "Suggestion.distanceLimit",
        "Sources/Tokens/TokenVerifier.swift 86_400", "OutgoingRequest.fieldCountLimit",
        "OutgoingRequest.fieldNameBytesLimit", "OutgoingRequest.fieldValueBytesLimit",
        "OutgoingRequest.bodyBytesLimit",
      ]
    ),
  ]

  /// The bounds in a file, each name once.
  static func declared(in file: SourceFile) -> [Bound] {
    var found: [Bound] = []
    var types: [(column: Int, name: Substring)] = []
    let lines = file.code.split(separator: "\n", omittingEmptySubsequences: false)
    for (number, line) in zip(1..., lines) {
      let column = line.utf8.prefix { $0 == UInt8(ascii: " ") }.count
      guard column < line.utf8.count else { continue }
      while let type = types.last, column <= type.column, !line.dropFirst(column).hasPrefix(")") {
        types.removeLast()
      }
      if let name = type(declaredIn: line) {
        if line.last != "}" { types.append((column, name)) }
        continue
      }
      let type = types.last?.name ?? ""
      let isMember = types.last.map { column == $0.column + 2 } ?? (column == 0)
      var names = members(in: line, isMember: isMember).map { "\(type).\($0)" }
      if isMember, configurations.contains(type), let name = property(in: line) {
        names.append("\(type).\(name)")
      }
      if !line.contains("static let ") {
        names += compared(in: line).map { "\(file.path) \($0)" }
      }
      for name in names where !found.contains(where: { $0.name == name }) {
        found.append(Bound(name: name, path: file.path, line: number))
      }
    }
    return found
  }

  /// The name of the type that a line declares or extends, without the types around it.
  private static func type(declaredIn line: Substring) -> Substring? {
    guard let open = line.utf8.lastIndex(of: UInt8(ascii: "{")) else { return nil }
    var words = line[..<open].split(separator: " ")
    while let word = words.first, word.hasPrefix("@") || modifiers.contains(word) {
      words.removeFirst()
    }
    guard words.count > 1, kinds.contains(words[0]), words[1] != "func", words[1] != "var" else {
      return nil
    }
    let name = words[1].prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "." }
    return name.split(separator: ".").last
  }

  private static let kinds: Set<Substring> = ["struct", "class", "enum", "extension", "protocol"]
  private static let modifiers: Set<Substring> = [
    "package", "public", "private", "fileprivate", "internal", "final", "indirect",
  ]

  /// The name of the property that a configuration declares in a line.
  private static func property(in line: Substring) -> Substring? {
    line.firstMatch(of: /^ *package var (\w+)[: ](?!.*\{)/)?.1
  }

  /// The names that a line gives to numbers: of members, parameters and arguments.
  private static func members(in line: Substring, isMember: Bool) -> [Substring] {
    guard line.utf8.contains(where: isDigit) else { return [] }
    var names: [Substring] = []
    if isMember || line.contains("static "),
      let match = line.firstMatch(of: /\b(?:let|var) (\w+)(?:: *[\w?<>.]+)? *= *(.+)$/),
      isBound(match.1), hasNumber(match.2)
    {
      names.append(match.1)
    }
    if let match = line.firstMatch(of: /\bvar (\w+): *\w+ *\{ *(\d[\d_]*) *\}/), isBound(match.1) {
      names.append(match.1)
    }
    for match in line.matches(of: /(\w+): U?Int\d* = (\d[\d_]*)/)
    where isBound(match.1) && hasNumber(match.2) && (isMember || !line.contains("var ")) {
      names.append(match.1)
    }
    for match in line.matches(of: /(\w+): (\d[\d_]*)/)
    where ["Limit", "Bytes", "Milliseconds", "Seconds", "Capacity"].contains(
      where: match.1.hasSuffix) && hasNumber(match.2)
    {
      names.append(match.1)
    }
    return names
  }

  /// The numbers of three digits or more with which a line compares something.
  private static func compared(in line: Substring) -> [Substring] {
    guard hasLongNumber(line), !line.contains("<<") else { return [] }
    return line.matches(of: /(?:[<>]=?|\.\.\.|\.\.<|m(?:ax|in)\() *\(?(\d[\d_]*)\b/).map(\.1)
      .filter { value(of: $0) >= 100 }
  }

  /// Whether three digits follow each other: much faster than a regular expression.
  private static func hasLongNumber(_ line: Substring) -> Bool {
    var length = 0
    for byte in line.utf8 {
      if isDigit(byte) { length += 1 } else if byte != UInt8(ascii: "_") { length = 0 }
      if length == 3 { return true }
    }
    return false
  }

  private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

  /// Whether a text has a number other than 0 and 1.
  private static func hasNumber(_ text: Substring) -> Bool {
    text.matches(of: /(?:^|[^\w.$])(\d[\d_]*)/).contains { value(of: $0.1) > 1 }
  }

  private static func value(of digits: Substring) -> Int {
    Int(digits.filter { $0 != "_" }) ?? .max
  }

  private static func isBound(_ name: Substring) -> Bool {
    var words: [String] = []
    for character in name {
      if character.isUppercase || words.isEmpty { words.append("") }
      words[words.count - 1] += character.lowercased()
    }
    return words.contains(where: nameWords.contains)
  }

  /// The names that the code of the table reads, each with its type.
  static func read(in table: String) -> Set<String> {
    var names: Set<String> = []
    let chains = table.utf8.split { byte in
      let letter = byte | 0x20
      return !(letter >= UInt8(ascii: "a") && letter <= UInt8(ascii: "z")) && !isDigit(byte)
        && byte != UInt8(ascii: "_") && byte != UInt8(ascii: ".")
    }
    for chain in chains {
      let parts = chain.split(separator: UInt8(ascii: ".")).map { String(Substring($0)) }
      for (type, name) in zip(parts, parts.dropFirst()) { names.insert("\(type).\(name)") }
    }
    return names
  }

  /// The bounds that have no row, and the exceptions that nothing needs.
  static func findings(
    in files: [SourceFile], table: String, exceptions: [(reason: String, names: [String])]
  ) -> [Finding] {
    var unused = Set(exceptions.flatMap(\.names))
    let names = unused
    let read = read(in: table)
    var findings: [Finding] = []
    for bound in files.flatMap(declared) {
      let member = bound.name.split(separator: ".").last.map { "*.\($0)" } ?? ""
      if let name = [bound.name, member].first(where: names.contains) {
        unused.remove(name)
      } else if !read.contains(bound.name) {
        findings.append(
          Finding(
            path: bound.path, line: bound.line,
            complaint: "\(bound.name) has no row in \(Bounds.table), and is no exception"))
      }
    }
    return findings
      + unused.sorted().map {
        Finding(path: "Tests/Tidy/Bounds.swift", line: 1, complaint: "no source has \($0)")
      }
  }
}
