// Every bound in the sources has a row in the table that `carillon check --limits` prints.

import Testing

@Suite("The table of limits has every bound")
struct BoundsTests {
  private static var sources: [SourceFile] {
    SourceTree.productFiles.filter {
      Bounds.targets.contains($0.target ?? "") && !$0.path.hasPrefix(Bounds.table)
    }
  }

  private static var table: String {
    SourceTree.productFiles.filter { $0.path.hasPrefix(Bounds.table) }.map(\.code).joined()
  }

  @Test("each bound in the sources has a row, or is an exception with a reason")
  func complete() {
    let table = Self.table
    #expect(Bounds.read(in: table).count > 180)
    expectNone(Bounds.findings(in: Self.sources, table: table, exceptions: Bounds.exceptions))
  }

  @Test("each setting of the command that is a number has a row with its flag")
  func flags() {
    let settings = SourceTree.read("Sources/CarillonCommand/ServeSettings.swift")
    let numbers = settings.matches(of: /"([a-z-]+)", "(?:N|N\[\/BURST\]|MS)"/).map { String($0.1) }
    #expect(numbers.count > 7)
    let rows = SourceTree.productFiles.filter { $0.path.hasPrefix(Bounds.table) }.map(\.text)
      .joined()
    let named = Set(rows.matches(of: /flag: "([a-z-]+)"/).map { String($0.1) })
    // The number of shards is no bound.
    #expect(named == Set(numbers).subtracting(["shards"]).union(["jwt-leeway"]))
  }
}

@Suite("The rule for bounds finds its examples")
struct BoundsRuleTests {
  private func names(_ text: String) -> [String] {
    Bounds.declared(in: SourceFile(path: "Sources/Server/A.swift", text: text)).map(\.name)
  }

  @Test(
    "a constant with the name of a bound is found with its type",
    arguments: [
      ("struct A {\n  static let readBytes = 16 * 1_024\n}", "A.readBytes"),
      ("extension A.B {\n  package static let countLimit: Int64 = 9\n}", "B.countLimit"),
      ("final class A: B {\n  private static var depth: Int { 32 }\n}", "A.depth"),
      ("struct A {\n  var waitMilliseconds: UInt64 = 2_000\n}", "A.waitMilliseconds"),
      ("struct A {\n  init(_ a: Int, depthLimit: Int = 32) {}\n}", "A.depthLimit"),
      ("enum A {\n  struct B {\n  }\n\n  static let longestWait = C.other + 3\n}", "A.longestWait"),
      ("struct A {\n  let gate = Gate(perSecondLimit: 10)\n}", "A.perSecondLimit"),
      ("package struct Limits {\n  package var connections: Int?\n}", "Limits.connections"),
      ("func a() {\n  guard b.count <= 1_024 else { return }\n}", "Sources/Server/A.swift 1_024"),
      ("func a() -> Bool { 512...65_536 ~= b }", "Sources/Server/A.swift 65_536"),
    ])
  func found(text: String, name: String) {
    #expect(names(text) == [name])
  }

  @Test(
    "a number without such a name, a count from 0, a local number and a comment are not",
    arguments: [
      "struct A {\n  static let port = 8080\n}", "struct A {\n  var readBytes = 0\n}",
      "struct A {\n  func b() {\n    var byteCount = 2\n  }\n}",
      "struct A {\n  // static let readBytes = 16\n  let a = \"limit = 16\"\n}",
      "struct A {\n  static let readBytes = B.readBytes\n}", "func a() { if b > 99 { c() } }",
    ])
  func notFound(text: String) {
    #expect(names(text) == [])
  }

  @Test("a bound without a row is a finding, and so is an exception for nothing")
  func findings() {
    let file = SourceFile(
      path: "Sources/Server/A.swift",
      text: "struct A {\n  static let aLimit = 2\n  static let bLimit = 3\n  let cLimit = 4\n}\n")
    let found = Bounds.findings(
      in: [file], table: "add(A.aLimit) add(AA.bLimit) add(A.bLimits)",
      exceptions: [("a reason", ["*.cLimit", "A.dLimit"])])
    #expect(
      found.map(\.complaint) == [
        "A.bLimit has no row in Sources/Server/Limits/, and is no exception",
        "no source has A.dLimit",
      ])
  }
}
