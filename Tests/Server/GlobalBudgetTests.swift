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

  @Test("each bound is in the table, or on the list of those that callers do not share")
  func complete() {
    let shared = Set(GlobalBudget.all.flatMap(\.bounds))
    let names = Set(Self.entries.map(\.name))
    #expect(shared.subtracting(names).sorted() == [], "a budget names a bound that does not exist")
    let own = UnsharedBounds.names
    #expect(own.subtracting(names).sorted() == [], "the list names a bound that does not exist")
    #expect(own.intersection(shared).sorted() == [], "the list names a bound of a budget")
    #expect(
      names.subtracting(shared).subtracting(own).sorted() == [],
      "if many callers share one, GlobalBudget.all needs a row, else UnsharedBounds")
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
