// A publisher's JSON: each limit from both sides, each wrong type, each link.

import Notifications
import TestSupport
import Testing
import Wire

private func parse(_ text: String) throws(DocumentError) -> Draft {
  let bytes = Array(text.utf8)
  return try Draft.parse(bytes, in: 0..<bytes.count)
}

/// A draft that is valid except for `members`, which are inserted verbatim.
private func draft(_ members: String) throws(DocumentError) -> Draft {
  try parse("{\"user_id\":\"u\",\"type\":\"t\",\"title\":\"T\"\(members)}")
}

private func field(_ body: () throws(DocumentError) -> Draft) -> String? {
  do throws(DocumentError) {
    _ = try body()
    return nil
  } catch {
    switch error {
    case .malformed: return "malformed"
    case .invalid(let field, _): return field
    }
  }
}

/// The error in one line; nil when the draft is accepted.
private func reason(_ body: () throws(DocumentError) -> Draft) -> String? {
  do throws(DocumentError) {
    _ = try body()
    return nil
  } catch {
    switch error {
    case .malformed(let reason): return "malformed: \(reason)"
    case .invalid(let field, let reason): return "\(field): \(reason)"
    }
  }
}

private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

@Suite("A publisher's JSON becomes a draft")
struct DraftTests {
  @Test("every given field is parsed")
  func complete() throws {
    let draft = try parse(
      """
      {"user_id":"alice","type":"incident.created:p1_x-2","priority":"urgent","title":"Tïtle 🔔",
       "message":"M","data":{ "b" : [1, 2.50], "a":null },"entity_type":"incident",
       "entity_id":"42","entity_url":"/incidents/42?x=y#z",
       "actions":[{"label":"Open \\"it\\"","url":"https://example.org/a"},
                  {"url":"/b","label":"Two"}],
       "group_key":"g","expires_at":"2026-01-31T12:00:00.5Z"}
      """)
    #expect(draft.userIDs == ["alice"])
    #expect(!draft.isForMany)
    let content = draft.content
    #expect(content.type == "incident.created:p1_x-2")
    #expect(content.priority == .urgent)
    #expect(content.title == "Tïtle 🔔")
    #expect(content.message == "M")
    #expect(String(decoding: content.data, as: UTF8.self) == #"{ "b" : [1, 2.50], "a":null }"#)
    #expect(content.entityType == "incident")
    #expect(content.entityID == "42")
    #expect(content.entityURL == "/incidents/42?x=y#z")
    let actions =
      #"[{"label":"Open \"it\"","url":"https://example.org/a"},"#
      + #"{"label":"Two","url":"/b"}]"#
    #expect(content.actions.map { String(decoding: $0, as: UTF8.self) } == actions)
    #expect(content.groupKey == "g")
    #expect(content.expiresAt == 1_769_860_800_500)
  }

  @Test("an absent or null field has its default")
  func defaults() throws {
    for members in [
      "",
      #","priority":null,"message":null,"data":null,"entity_url":null,"actions":null,"#
        + #""group_key":null,"expires_at":null,"user_ids":null,"audience":null"#,
      #","actions":[],"group_key":"""#,
    ] {
      let content = try draft(members).content
      #expect(content.priority == .normal)
      #expect(content.message == "")
      #expect(content.data == Array("{}".utf8))
      #expect(content.entityURL == nil)
      #expect(content.actions == nil)
      #expect(content.groupKey == nil)
      #expect(content.expiresAt == nil)
    }
  }

  @Test("only the given range is read")
  func range() throws {
    let line = #"{"user_id":"u","type":"t","title":"T"}"#
    let bytes = Array(("garbage\n" + line + "\n{").utf8)
    let draft = try Draft.parse(bytes, in: 8..<(8 + line.utf8.count))
    #expect(draft.userIDs == ["u"])
  }

  @Test(
    "a text at its limit is accepted and one byte more is rejected",
    arguments: [
      ("type", 64), ("title", 256), ("message", 4_096), ("entity_type", 128), ("entity_id", 256),
      ("group_key", 256), ("user_id", 128),
    ])
  func textLimits(name: String, limit: Int) {
    func parse(_ value: String) -> String? {
      let required = ["user_id": "u", "type": "t", "title": "T"].merging([name: value]) { $1 }
      let members = required.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
      return field { () throws(DocumentError) in
        let bytes = Array("{\(members)}".utf8)
        return try Draft.parse(bytes, in: 0..<bytes.count)
      }
    }
    #expect(parse(text(limit)) == nil)
    #expect(parse(text(limit + 1)) == name)
    // Limits are bytes, not characters.
    if name != "type" {
      #expect(parse(String(repeating: "é", count: limit / 2)) == nil)
      #expect(parse(String(repeating: "é", count: limit / 2) + "x") == name)
    }
    #expect(parse("") == (name == "type" || name == "user_id" ? name : nil))
  }

  @Test("data is kept as sent up to 16 KiB, white space included")
  func dataLimit() throws {
    let frame = #"{"a":""}"#.utf8.count
    let largest = "{\"a\":\"\(text(16_384 - frame))\"}"
    #expect(try draft(",\"data\":\(largest)").content.data == Array(largest.utf8))
    #expect(
      field { () throws(DocumentError) in
        try draft(",\"data\":{\"a\":\"\(text(16_385 - frame))\"}")
      } == "data")
    let padded = "{" + String(repeating: " ", count: 16_383) + "}"
    #expect(field { () throws(DocumentError) in try draft(",\"data\":\(padded)") } == "data")
    // White space around the value is not part of it.
    let spaced = try draft(",\"data\" : \n\(largest)\t ")
    #expect(spaced.content.data.count == 16_384)
  }

  @Test(
    "a known field of any wrong type is invalid",
    arguments: [
      "user_id", "user_ids", "type", "priority", "title", "message", "data", "entity_type",
      "entity_id", "entity_url", "actions", "group_key", "expires_at", "audience",
    ])
  func wrongTypes(name: String) {
    let values = ["true", "1", "-1.5e3", "\"\"", "\"x\"", "[]", "[1]", "{}", "{\"a\":1}"]
    let allowed: (String) -> Bool =
      switch name {
      case "data": { $0.hasPrefix("{") }
      case "actions": { $0 == "[]" }
      case "user_ids": { _ in false }
      case "type", "user_id": { $0 == "\"x\"" }
      case "priority", "expires_at", "entity_url", "audience": { _ in false }
      default: { $0.hasPrefix("\"") }
      }
    for value in values {
      let others = ["user_id", "type", "title"]
        .filter { $0 != name && !($0 == "user_id" && name == "user_ids") }
        .map { "\"\($0)\":\"x\"" }
      let json = "{" + (others + ["\"\(name)\":\(value)"]).joined(separator: ",") + "}"
      let found = field { () throws(DocumentError) in try parse(json) }
      #expect(found == (allowed(value) ? nil : name), "\(json)")
    }
  }

  @Test("a type has only allowed characters")
  func typeAlphabet() {
    for type in ["aZ09_.:-", "-", ":"] {
      #expect(Draft.isValidType(type))
    }
    for type in ["", "a b", "ä", "a/b", "a\u{0}", "a\n", "a,b", "a+b", "a@", "[", "`", "{"] {
      #expect(!Draft.isValidType(type), "\(type)")
    }
  }

  @Test(
    "a link is a path of the same origin, or https",
    arguments: [
      ("/", true), ("/a/b?c=d#e", true), ("/a//b", true), ("/é", true), ("/%2F", true),
      ("https://example.org", true), ("HTTPS://example.org/x", true), ("https://[::1]/", true),
      ("", false), ("//evil.example", false), ("/\\evil.example", false), ("\\\\evil", false),
      ("/a\\b", false), ("http://example.org", false), ("https://", false), ("https:///x", false),
      ("https:/x", false), ("https:x", false), ("https://?x", false), ("https://#x", false),
      ("javascript:alert(1)", false), ("data:text/html,x", false), ("ftp://x", false),
      ("a/b", false), ("?x", false), ("#x", false), (" /x", false), ("/a b", false),
      ("/\t/evil.example", false), ("/\n/evil.example", false), ("/\u{0}", false),
      ("/\u{7F}", false), ("/\u{85}", false), ("jAvascript://x", false), ("[ttps://x", false),
      ("Https\u{1A}//x", false),
    ])
  func links(url: String, isValid: Bool) {
    #expect(Draft.isValidURL(url) == isValid)
    if isValid {
      #expect(Draft.isValidURL(url + String(repeating: "x", count: 2_048 - url.utf8.count)))
      #expect(!Draft.isValidURL(url + String(repeating: "x", count: 2_049 - url.utf8.count)))
    }
  }

  @Test(
    "actions are at most four of {label, url}",
    arguments: [
      (#"[{"label":"L","url":"/"}]"#, true),
      (
        #"[{"label":"L","url":"/"},{"label":"L","url":"/"},{"label":"L","url":"/"},"#
          + #"{"label":"L","url":"/"}]"#, true
      ),
      (
        #"[{"label":"L","url":"/"},{"label":"L","url":"/"},{"label":"L","url":"/"},"#
          + #"{"label":"L","url":"/"},{"label":"L","url":"/"}]"#, false
      ),
      (#"[{"label":"L"}]"#, false), (#"[{"url":"/"}]"#, false), ("[{}]", false), ("[1]", false),
      ("[null]", false), (#"[{"label":"","url":"/"}]"#, false),
      (#"[{"label":1,"url":"/"}]"#, false), (#"[{"label":"L","url":null}]"#, false),
      (#"[{"label":"L","url":"//x"}]"#, false),
      (#"[{"label":"L","label":"M","url":"/"}]"#, false),
      (#"[{"label":"L","url":"/","url":"/"}]"#, false), ("[[]]", false),
    ])
  func actions(json: String, isValid: Bool) {
    let found = field { () throws(DocumentError) in try draft(",\"actions\":\(json)") }
    #expect(isValid ? found == nil : found?.hasPrefix("actions") == true, "\(found ?? "")")
  }

  @Test("a label at its limit is accepted and one byte more is rejected")
  func labelLimit() {
    for (count, expected) in [(128, nil), (129, "actions.label" as String?)] {
      let found = field { () throws(DocumentError) in
        try draft(",\"actions\":[{\"label\":\"\(text(count))\",\"url\":\"/\"}]")
      }
      #expect(found == expected)
    }
  }

  @Test("a draft has one user, many or everyone: exactly one of the three")
  func users() throws {
    func parse(_ members: String) -> String? {
      field { () throws(DocumentError) in
        let bytes = Array("{\"type\":\"t\",\"title\":\"T\"\(members)}".utf8)
        return try Draft.parse(bytes, in: 0..<bytes.count)
      }
    }
    #expect(parse("") == "user_id")
    #expect(parse(#","audience":"everyone""#) == nil)
    #expect(parse(#","audience":"all""#) == "audience")
    #expect(parse(#","audience":["everyone"]"#) == "audience")
    #expect(parse(#","audience":"everyone","user_id":"u""#) == "audience")
    #expect(parse(#","audience":"everyone","user_ids":["u"]"#) == "audience")
    #expect(parse(#","user_id":"u","user_ids":["v"]"#) == "user_ids")
    #expect(parse(#","user_ids":[]"#) == "user_ids")
    #expect(parse(#","user_ids":["a",1]"#) == "user_ids")
    #expect(parse(#","user_ids":["a",""]"#) == "user_ids")
    #expect(parse(#","user_ids":["a","b\u0007"]"#) == "user_ids")
    #expect(parse(#","user_id":"a\u0000""#) == "user_id")
  }

  @Test("a notification for everyone has no user, and an expired one is rejected")
  func everyoneAndExpiry() throws {
    let text = #"{"audience":"everyone","type":"t","title":"T","#
    let bytes = Array((text + #""expires_at":"2026-01-31T12:00:00Z"}"#).utf8)
    let draft = try Draft.parse(bytes, in: 0..<bytes.count)
    #expect(draft.isForEveryone && !draft.isForMany && draft.userIDs.isEmpty)
    let pending = draft.expand(createdAt: 9) { NotificationID(milliseconds: 9, random: (0, 1)) }
    #expect(pending.count == 1 && pending[0].isForEveryone && pending[0].userID.isEmpty)
    let end = try #require(draft.content.expiresAt)
    try draft.checkExpiry(at: end - 1)
    let refused = field { () throws(DocumentError) in
      try draft.checkExpiry(at: end)
      return draft
    }
    #expect(refused == "expires_at")
  }

  @Test("users are listed once each, in the order sent, and are compared by bytes")
  func uniqueUsers() throws {
    let draft = try parse(
      #"{"type":"t","title":"T","user_ids":["b","a","b","\u00e9","e\u0301","a","c"]}"#)
    #expect(draft.isForMany)
    #expect(
      draft.userIDs.map { Array($0.utf8) }
        == ["b", "a", "\u{E9}", "e\u{301}", "c"].map { Array($0.utf8) })
    var next: UInt64 = 0
    let pending = draft.expand(createdAt: 9) {
      next += 1
      return NotificationID(milliseconds: 9, random: (0, next))
    }
    #expect(pending.map(\.userID) == draft.userIDs)
    #expect(Set(pending.map(\.id)).count == 5)
    #expect(pending.allSatisfy { $0.content === draft.content && $0.createdAt == 9 })
  }

  @Test("10,000 users are accepted and one more is rejected")
  func userLimit() throws {
    func json(_ count: Int) -> String {
      let ids = (0..<count).map { "\"user-\($0)\"" }.joined(separator: ",")
      return "{\"type\":\"t\",\"title\":\"T\",\"user_ids\":[\(ids)]}"
    }
    #expect(try parse(json(10_000)).userIDs.count == 10_000)
    #expect(field { () throws(DocumentError) in try parse(json(10_001)) } == "user_ids")
  }

  @Test(
    "a known field given twice is rejected",
    arguments: [
      "user_id", "type", "priority", "title", "message", "data", "entity_type", "entity_id",
      "entity_url", "actions", "group_key", "expires_at", "user_ids", "audience",
    ])
  func duplicates(name: String) {
    let found = field { () throws(DocumentError) in
      try parse(
        "{\"user_id\":\"u\",\"type\":\"t\",\"title\":\"T\",\"\(name)\":null,\"\(name)\":null}")
    }
    #expect(found == name)
    // The same with an escape: the name counts, not its spelling.
    let escaped = "\\u00" + String(name.utf8.first!, radix: 16) + name.dropFirst()
    let again = field { () throws(DocumentError) in
      try parse(
        "{\"\(name)\":null,\"\(escaped)\":null,\"user_id\":\"u\",\"type\":\"t\",\"title\":\"T\"}")
    }
    #expect(again == name)
  }

  @Test(
    "broken JSON is malformed, also after an invalid field",
    arguments: [
      "", " ", "{", "}", "{\"type\":1", "{\"type\":1,}", "{\"type\":1}x", "{\"type\":1}{}",
      "{type:1}", "{'type':1}", "{\"title\":\"\u{1}\"}", "{\"title\":\"\\ud800\"}", "nul",
      "{\"data\":{\"a\":01}}", "{\"data\":{\"a\":NaN}}", "\u{FEFF}{}", "{\"title\":\"x}",
    ])
  func malformed(json: String) {
    #expect(field { () throws(DocumentError) in try parse(json) } == "malformed", "\(json)")
  }

  @Test("JSON that is not an object is invalid", arguments: ["1", "null", "[]", "\"x\"", "true"])
  func notAnObject(json: String) {
    #expect(field { () throws(DocumentError) in try parse(json) } == "body")
  }

  @Test("bytes that are not UTF-8 are malformed")
  func badUTF8() {
    let head = Array(#"{"user_id":"u","type":"t","title":""#.utf8)
    for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
      let bytes = head + bad + Array("\"}".utf8)
      #expect(throws: DocumentError.self) { try Draft.parse(bytes, in: 0..<bytes.count) }
    }
  }

  // Case 33
  @Test(
    "a number of any size in place of a text is rejected, and in data it is kept as sent",
    arguments: [
      "0", "1", "-1", "32768", "65535", "65536", "2147483647", "2147483648", "4294967296",
      "9223372036854775807", "9223372036854775808", "-9223372036854775809",
      "18446744073709551615", "18446744073709551616", "1e308", "1e309", "-1e999999999", "0.1e-400",
      String(repeating: "9", count: 400),
    ])
  func numbers(number: String) throws {
    for name in ["message", "priority", "expires_at", "entity_id", "actions", "data", "group_key"] {
      #expect(field { () throws(DocumentError) in try draft(",\"\(name)\":\(number)") } == name)
    }
    let data = "{\"n\":\(number)}"
    #expect(try draft(",\"data\":\(data)").content.data == Array(data.utf8))
    // As text: times are computed with these numbers.
    for time in [
      number, "\(number)-01-01T00:00:00Z", "2026-01-01T00:00:00.\(number)Z",
      "2026-01-01T00:00:00+\(number)", "9999-12-31T23:59:60Z", "0000-00-00T00:00:00Z",
    ] {
      _ = field { () throws(DocumentError) in try draft(",\"expires_at\":\"\(time)\"") }
    }
    #expect(field { () throws(DocumentError) in try draft(",\"expires_at\":\"\(number)\"") } != nil)
  }

  // Case 34
  @Test("nesting stops at 32, in known and in unknown fields")
  func depth() {
    for name in ["data", "unknown"] {
      func parse(_ depth: Int) -> String? {
        // The draft itself is one level.
        let open = String(repeating: "{\"a\":", count: depth - 1)
        let close = String(repeating: "}", count: depth - 1)
        return field { () throws(DocumentError) in try draft(",\"\(name)\":\(open)1\(close)") }
      }
      #expect(parse(32) == (name == "data" ? nil : "unknown"))
      #expect(parse(33) == "malformed")
      #expect(parse(100_000) == "malformed")
    }
    let brackets = String(repeating: "[", count: 100_000)
    #expect(field { () throws(DocumentError) in try parse(brackets) } == "malformed")
    #expect(
      field { () throws(DocumentError) in try draft(",\"user_ids\":\(brackets)") } == "malformed")
  }

  // Case 34
  @Test("100,000 members cost no more than reading them")
  func manyMembers() {
    let members = (0..<100_000).map { ",\"k\($0)\":0" }.joined()
    #expect(field { () throws(DocumentError) in try draft(members) } == "k0")
  }

  @Test(
    "the error of a field says what is wrong, with the bound of a limit",
    arguments: [
      (#","mesage":"x""#, "mesage: unknown field (did you mean message?)"),
      (#","replyTo":"x""#, "replyTo: unknown field"),
      (#","user_idd":"x""#, "user_idd: unknown field (did you mean user_id?)"),
      (#","groupKey":"x""#, "groupKey: unknown field (did you mean group_key?)"),
      (#","message":1,"mesage":"x""#, "message: must be a string"),
      (#","message":"\#(text(4_097))""#, "message: over 4096 bytes"),
      (#","entity_id":"\#(text(257))""#, "entity_id: over 256 bytes"),
      (#","data":{"a":"\#(text(16_384))"}"#, "data: over 16384 bytes"),
      (#","data":[]"#, "data: must be an object"),
      (#","entity_url":"/\#(text(2_048))""#, "entity_url: over 2048 bytes"),
      (#","actions":[{"label":"L","url":"/","style":1}]"#, "actions.style: unknown field"),
      (
        #","actions":[{"lable":"L","url":"/"}]"#,
        "actions.lable: unknown field (did you mean label?)"
      ),
      (#","actions":[{"label":"\#(text(129))","url":"/"}]"#, "actions.label: over 128 bytes"),
      (#","actions":[{"label":"L"}]"#, "actions.url: missing"),
      (#","actions":[{"url":"/"}]"#, "actions.label: missing"),
      (#","actions":[7]"#, "actions: must hold objects of a label and a url"),
      (#","actions":{}"#, "actions: must be an array"),
    ])
  func reasons(members: String, expected: String) {
    #expect(reason { () throws(DocumentError) in try draft(members) } == expected)
  }

  @Test("the error of a list of users says what is wrong with which bound")
  func reasonsOfUsers() {
    let rule = "must be 1 to 128 bytes without control characters"
    for (ids, expected) in [
      ("[1]", "must hold strings"), ("[]", "must not be empty"), ("{}", "must be an array"),
      (#"[""]"#, "holds an invalid user id: each \(rule)"),
      (
        "[" + (0...10_000).map { "\"\($0)\"" }.joined(separator: ",") + "]",
        "must hold at most 10000 ids"
      ),
    ] {
      let found = reason { () throws(DocumentError) in
        try parse(#"{"type":"t","title":"T","user_ids":\#(ids)}"#)
      }
      #expect(found == "user_ids: \(expected)")
    }
    #expect(
      reason { () throws(DocumentError) in try draft(#","user_id":"""#) } == "user_id: given twice")
    #expect(
      reason { () throws(DocumentError) in
        try parse(#"{"type":"t","title":"T","user_id":""}"#)
      } == "user_id: \(rule)")
  }

  @Test("the error of broken JSON names its line and column, that of a batch's line the column")
  func places() {
    let bytes = Array("{\n  \"title\": \"é\" x\n}".utf8)
    for (isLine, place) in [(false, "line 2, column 16"), (true, "column 16")] {
      #expect(
        reason { () throws(DocumentError) in
          try Draft.parse(bytes, in: 0..<bytes.count, isLine: isLine)
        } == "malformed: ',' or '}' expected at \(place)")
    }
    // Places count from the beginning of the range.
    let batch = Array("{}\n{}\n{\"a\"}".utf8)
    #expect(
      reason { () throws(DocumentError) in
        try Draft.parse(batch, in: 6..<batch.count, isLine: true)
      } == "malformed: ':' expected at column 5")
  }

  @Test("mutants of a valid draft are accepted or rejected, and never trap")
  func fuzz() throws {
    var random = SeededGenerator.announced()
    let vector =
      Array(
        #"{"user_id":"u","type":"t","title":"Té","data":{"a":[1e5,"\u00e9"]},"priority":"low","#
          .utf8)
      + Array(#""actions":[{"label":"L","url":"/"}],"expires_at":"2026-01-31T12:00:00Z"}"#.utf8)
    var accepted = 0
    for mutant in mutants(of: vector, count: 20_000, using: &random) {
      do throws(DocumentError) {
        let draft = try Draft.parse(mutant, in: 0..<mutant.count)
        accepted += 1
        #expect(draft.userIDs.allSatisfy { UserIDs.isValid($0) })
        #expect(Draft.isValidType(draft.content.type))
        #expect(draft.content.title.utf8.count <= 256)
      } catch {
        continue
      }
    }
    #expect(accepted > 0 && accepted < 20_000)
  }
}
