// The table of limits: its values are those in force, and the article about them is up to date.

import Notifications
import Reactor
import Testing
import Tokens
import Wire

@testable import Server

@Suite("The table of limits")
struct LimitTableTests {
  private static func configuration() -> Configuration {
    Configuration(
      tokenPolicy: TokenPolicy(keys: [.hmac(secret: Array("s".utf8), algorithm: .hs256)]))
  }

  private static func entries(
    _ change: (inout Configuration) -> Void = { _ in }
  ) -> [LimitEntry] {
    var configuration = Self.configuration()
    change(&configuration)
    return LimitTable(configuration).groups.flatMap(\.entries)
  }

  private static func entry(
    _ name: String, _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> LimitEntry {
    try #require(entries(change).first { $0.name == name })
  }

  @Test(
    "an amount is shown in the largest unit that keeps it whole",
    arguments: [
      (LimitValue.amount(0, .bytes), "0 bytes"), (.amount(1_023, .bytes), "1,023 bytes"),
      (.amount(1_024, .bytes), "1 KiB"), (.amount(9_216, .bytes), "9 KiB"),
      (.amount(1 << 20, .bytes), "1 MiB"), (.amount(3 << 30, .bytes), "3 GiB"),
      (.amount(1_000_000, .bytes), "1,000,000 bytes"), (.amount(32_768, .kibibytes), "32 MiB"),
      (.amount(500, .milliseconds), "500 ms"), (.amount(1_500, .milliseconds), "1,500 ms"),
      (.amount(75_000, .milliseconds), "75 s"), (.amount(60_000, .milliseconds), "1 min"),
      (.amount(86_400_000, .milliseconds), "24 h"), (.amount(90, .seconds), "90 s"),
      (.amount(0, .seconds), "0 s"), (.amount(840, .minutes), "14 h"),
      (.amount(999, .count), "999"), (.amount(1_048_576, .count), "1,048,576"),
      (.amount(.max, .count), "9,223,372,036,854,775,807"), (.unlimited, "no limit"),
      (.rate(RateLimit(perSecond: 1_000, burst: 20)), "1,000/s, 20 at once"),
    ])
  func text(value: LimitValue, shown: String) {
    #expect(value.text == shown)
  }

  @Test("every row has a name of its own in its group, and an effect")
  func rows() {
    let groups = LimitTable(Self.configuration()).groups
    #expect(groups.count > 10)
    #expect(Set(groups.map(\.name)).count == groups.count)
    for group in groups {
      #expect(Set(group.entries.map(\.name)).count == group.entries.count, "\(group.name)")
      #expect(group.entries.allSatisfy { !$0.name.isEmpty && !$0.effect.isEmpty })
      #expect(!group.entries.isEmpty)
    }
  }

  @Test("without settings every value is the default")
  func defaults() throws {
    let entries = Self.entries()
    #expect(entries.count > 180)
    #expect(entries.filter { $0.value != $0.standard } == [])
    let origin = try Self.entry("unsent bytes of a client").origin
    #expect(origin == "[--backlog-bytes]")
  }

  @Test("a setting changes the value of its row, which then shows the default, and no other row")
  func settings() throws {
    let name = "unsent bytes of a client"
    let changed = try Self.entry(name) { $0.limits.backlogBytesLimit = 8_192 }
    #expect(changed.value == .amount(8_192, .bytes))
    #expect(changed.origin == "[--backlog-bytes, default 64 KiB]")
    let others = Self.entries { $0.limits.backlogBytesLimit = 8_192 }.filter { $0.name != name }
    #expect(others == Self.entries().filter { $0.name != name })
  }

  @Test("a limit of 0 is shown as no limit, and an absent one as its default")
  func quotas() throws {
    let name = "connections of an address or IPv6 /64 network"
    #expect(try Self.entry(name).value == .amount(100, .count))
    let lifted = try Self.entry(name) { $0.limits.connectionsPerAddressLimit = 0 }
    #expect(lifted.value == .unlimited)
    #expect(lifted.origin == "[--connections-per-address, default 100]")
    let rate = try Self.entry("publish requests of a user or key") {
      $0.limits.publishRate = RateLimit(perSecond: 5, burst: 9)
    }
    #expect(rate.value.text == "5/s, 9 at once")
    #expect(rate.origin == "[--publish-rate, default no limit]")
  }

  @Test("the target of a request has room for the longest token")
  func agreement() {
    #expect(HTTPLimits().targetBytes > TokenVerifier.tokenBytesLimit)
  }

  @Test("each path of Engine.IO has a group with its own settings")
  func engines() throws {
    var configuration = Self.configuration()
    var settings = EngineSettings()
    settings.pingIntervalMilliseconds = 1_000
    configuration.engines.append(.init("/other/", configuration.engines[0].use, settings))
    let groups = LimitTable(configuration).groups.filter { $0.name.hasPrefix("Engine.IO") }
    #expect(groups.map(\.name.last) == ["/", "/"])
    let intervals = groups.map { $0.entries.first { $0.name == "time between pings" }?.value.text }
    #expect(intervals == ["25 s", "1 s"])
  }

  @Test("the text has one line a row, with aligned columns under the name of the group")
  func alignment() throws {
    let table = LimitTable(Self.configuration())
    let lines = table.text.split(separator: "\n", omittingEmptySubsequences: false)
    let entries = table.groups.flatMap(\.entries)
    #expect(lines.count == entries.count + 2 * table.groups.count - 1)
    #expect(lines[0] == "connections")
    let rows = lines.filter { $0.hasPrefix("  ") }
    try #require(rows.count == entries.count)
    var columns: Set<[Int]> = []
    for (row, entry) in zip(rows, entries) {
      let value = try #require(row.range(of: "  " + entry.value.text, after: entry.name))
      let effect = try #require(row.range(of: "  " + entry.effect, after: entry.value.text))
      columns.insert([value, effect])
    }
    #expect(columns.count == 1, "\(columns)")
  }

  @Test("the JSON has the same rows, with numbers and null as such")
  func json() throws {
    var configuration = Self.configuration()
    configuration.limits.sessionsPerUserLimit = 0
    configuration.limits.connectRate = RateLimit(perSecond: 3, burst: 4)
    let json = String(decoding: LimitTable(configuration).json, as: UTF8.self)
    var reader = JSONReader(Array(json.utf8))
    _ = try reader.skipValue()
    try reader.finish()
    #expect(json.hasPrefix(#"{"groups":[{"name":"connections","limits":[{"name":"#))
    #expect(
      json.contains(
        #"{"name":"sessions and waiting polls of a user","value":null,"default":20,"unit":"count","#
          + #""flag":"--connections-per-user","effect":""#))
    #expect(json.contains(#""value":"3/4","default":"20/100","unit":"per second/at once""#))
    #expect(json.contains(#""value":16384,"default":16384,"unit":"bytes","flag":null"#))
    let count = LimitTable(configuration).groups.reduce(0) { $0 + $1.entries.count }
    #expect(json.ranges(of: #""effect":"#).count == count)
  }

  /// The text of the article about configuration and limits.
  private static func readArticle() throws -> String {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let article = "Sources/Carillon/Carillon.docc/Configuration-and-limits.md"
    return try #require(BlockingFile.read("\(root.joined(separator: "/"))/\(article)"))
  }

  @Test("the article's table of settings has the defaults of the bounds that they change")
  func settingsOfArticle() throws {
    let lines = try Self.readArticle().split(separator: "\n")
    let entries = Self.entries().filter { $0.flag != nil }
    #expect(entries.count == 13)
    for entry in entries {
      let flag = try #require(entry.flag)
      let row = try #require(lines.first { $0.hasPrefix("| `--\(flag)` | ") }, "--\(flag)")
      let shown =
        switch entry.standard {
        case .unlimited: "off"
        case .amount(let amount, _): "`\(amount)`"
        case .rate(let rate): "`\(rate)`"
        }
      #expect(row.split(separator: " | ")[2] == shown, "--\(flag)")
    }
  }

  @Test("the article has each group as a table, with the defaults")
  func article() throws {
    let article = try Self.readArticle()
    let groups = LimitTable(Self.configuration()).groups
    for group in groups {
      let table = Self.markdown(of: group)
      #expect(article.contains(table), "the article has to contain\n\(table)")
    }
    let section = try #require(article.firstRange(of: "\n## All bounds\n")).upperBound
    let rows = article[section...].split(separator: "\n").count { $0.hasPrefix("| ") }
    #expect(rows == groups.reduce(0) { $0 + $1.entries.count + 2 })
  }

  /// A group as the article shows it.
  private static func markdown(of group: LimitTable.Group) -> String {
    let title = group.name.prefix(1).uppercased() + group.name.dropFirst()
    var lines = ["### \(title)", "", "| bound | default | past it |", "| --- | --- | --- |"]
    for entry in group.entries {
      let flag = entry.flag.map { " (`--\($0)`)" } ?? ""
      lines.append("| \(entry.name)\(flag) | \(entry.standard.text) | \(entry.effect) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension Substring {
  /// Where `text` begins, in characters, after the first `mark`.
  fileprivate func range(of text: String, after mark: String) -> Int? {
    guard let start = firstRange(of: mark)?.upperBound,
      let found = self[start...].ranges(of: text).first
    else { return nil }
    let padding = self[found.lowerBound...].prefix { $0 == " " }.count
    return distance(from: startIndex, to: found.lowerBound) + padding
  }
}
