// The table of budgets that many callers share: it is complete, and the article shows it.

import Reactor
import Testing
import Tokens

@testable import Server

@Suite("The table of global budgets")
struct GlobalBudgetTests {
  private static let entries = LimitTable(
    Configuration(
      tokenPolicy: TokenPolicy(keys: [.hmac(secret: Array("s".utf8), algorithm: .hs256)]))
  ).groups.flatMap(\.entries)

  /// The words in the name of a bound on something that many callers share.
  private static let sharedWords = [
    "of a shard", "of the server", "a shard holds", "a shard keeps", "open files", "in the ring",
    "queue", "under way", "all shards", "remembered", "notifications for everyone", "rate buckets",
    "budget", "a shard's", "one user holds", "changes of one user", "idempotency keys of",
    "whose rooms are kept", "sets aside", "of these, those", "publishers' queries",
    "the part of users",
  ]
  /// Bounds with such a word that callers do not use up.
  private static let exceptions: [String: String] = [
    "queued answers of a connection": "of one caller",
    "fan-out groups of a shard": "set by the configuration",
    "frame log of a shard": "a ring, of which the oldest part is replaced",
    "time for all shards to answer a query": "a time",
  ]

  @Test("no shared bound is missing from the table, and each row names bounds that exist")
  func complete() {
    let named = Set(GlobalBudget.all.flatMap(\.bounds))
    let names = Set(Self.entries.map(\.name))
    #expect(named.subtracting(names).isEmpty, "a budget names a bound that does not exist")
    #expect(Set(Self.exceptions.keys).isSubset(of: names), "an exception is of no bound")
    let missing = names.filter { name in
      Self.sharedWords.contains { name.contains($0) } && Self.exceptions[name] == nil
        && !named.contains(name)
    }
    #expect(missing.sorted() == [], "many callers share these, so GlobalBudget.all needs a row")
  }

  @Test("each budget has a name of its own, its shares and its end")
  func rows() {
    #expect(Set(GlobalBudget.all.map(\.name)).count == GlobalBudget.all.count)
    for budget in GlobalBudget.all {
      #expect(!budget.bounds.isEmpty && !budget.shares.isEmpty && !budget.end.isEmpty)
    }
  }

  @Test("the article has the table")
  func article() throws {
    let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    let path = "Sources/Carillon/Carillon.docc/Configuration-and-limits.md"
    let article = try #require(BlockingFile.read("\(root.joined(separator: "/"))/\(path)"))
    let rows = GlobalBudget.all.map { $0.row(of: Self.entries) }
    let lines = ["| budget | size | shares | at its end |", "| --- | --- | --- | --- |"] + rows
    let table = "\n## Global budgets\n"
    let section = try #require(article.firstRange(of: table)).upperBound
    let shown = article[section...].split(separator: "\n").drop { !$0.hasPrefix("| ") }
      .prefix { $0.hasPrefix("| ") }
    #expect(
      shown.map(String.init) == lines,
      "the article has to contain\n\(lines.joined(separator: "\n"))")
  }
}
