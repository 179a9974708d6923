// Tests of the rules. Each must fail on a minimal violation and pass the nearest valid text: a rule
// that finds nothing in the repository could also be broken.

import Testing

@Suite("The rules find violations")
struct RuleTests {
  private func file(_ text: String, path: String = "Sources/Wire/Example.swift") -> SourceFile {
    SourceFile(path: path, text: text)
  }

  @Test("a line of 101 columns is found, counted in characters")
  func columns() {
    let limit = Rules.columnsLimit
    #expect(Rules.longLines(in: file(String(repeating: "é", count: limit))) == [])
    let long = "short\n" + String(repeating: "x", count: limit + 1)
    #expect(Rules.longLines(in: file(long)).map(\.line) == [2])
  }

  @Test("a file of 501 lines is found, with or without the last line break")
  func fileLines() {
    let fits = String(repeating: "x\n", count: Rules.fileLinesLimit)
    #expect(Rules.longFile(file(fits)) == [])
    #expect(Rules.longFile(file(fits + "x")).count == 1)
    #expect(Rules.longFile(file(fits + "x\n")).count == 1)
  }

  @Test(
    "a function of 71 lines is found in each form of declaration",
    arguments: [
      "func f() {", "package static func f() {", "init() {", "init?(a: Int) {", "deinit {",
      "private mutating func f() throws(E) {", "@Test func f() {", "func f(\n    a: Int\n  ) {",
    ])
  func functionLines(opening: String) {
    func function(_ lines: Int) -> SourceFile {
      let extra = opening.split(separator: "\n").count + 1
      let body = String(repeating: "    x()\n", count: lines - extra)
      return file("struct S {\n  \(opening)\n\(body)  }\n\n  func after() {}\n}\n")
    }
    let limit = Rules.functionLinesLimit
    #expect(Rules.longFunctions(in: function(limit)) == [])
    #expect(Rules.longFunctions(in: function(limit + 1)).map(\.line) == [2])
  }

  @Test("a protocol requirement without a body is not a long function")
  func requirements() {
    let body = String(repeating: "  x()\n", count: 100)
    let source = "protocol P {\n  func f()\n  func g()\n}\nstruct S {\n\(body)}\n"
    #expect(Rules.longFunctions(in: file(source)) == [])
  }

  @Test(
    "a leftover mark is found as a word", arguments: ["TO" + "DO", "FIX" + "ME", "X" + "XX"])
  func leftovers(mark: String) {
    #expect(Rules.leftovers(in: file("// \(mark): later")).count == 1)
    #expect(Rules.leftovers(in: file("let a = 1 // \(mark)")).count == 1)
    #expect(Rules.leftovers(in: file("// \(mark)S and mas\(mark) are words of their own")) == [])
  }

  @Test("a component that keeps a higher one, or is not listed, is found")
  func layers() {
    let layers = Layers(shard: "  let low: Low\n  let high: High?\n")
    func found(_ text: String, path: String = "Sources/Server/A/A.swift") -> [Int] {
      layers.violations(in: file(text, path: path)).map(\.line)
    }
    #expect(found("final class High: ShardComponent {\n  private let low: Low\n}") == [])
    #expect(found("final class Low: ShardComponent {\n  private let high: High\n}") == [2])
    #expect(found("final class Low: ShardComponent {\n  weak var same: Low?\n}") == [2])
    #expect(found("final class Other: ShardComponent {}") == [1])
    let extending = "extension Shard: Owner {}"
    #expect(Layers.misplacedExtensions(in: file(extending)).count == 1)
    let allowed = file(extending, path: "Sources/Server/Shard/Requests.swift")
    #expect(Layers.misplacedExtensions(in: allowed) == [])
    #expect(Layers.misplacedExtensions(in: file("extension ShardContext {}")) == [])
  }

  @Test("a comparison of identities by canonical equivalence is found in the targets that have any")
  func canonicalComparisons() {
    func found(_ line: String, in target: String = "Server") -> Int {
      Rules.canonicalComparisons(in: file(line, path: "Sources/\(target)/Example.swift")).count
    }
    let wrong = [
      "guard user == table[slot].user else { return }", "caller.user == other",
      "if name != table[slot].user { x() }", "let found = rooms.filter { $0 == room }",
      "var counts: [String: Int] = [:]", "let rooms: Set<RoomName> = []",
      "private var members: [UserID : Int]",
    ]
    for line in wrong { #expect(found(line) == 1, "\(line)") }
    let right = [
      "guard caller.user == nil else { return }", "user.hasSameBytes(as: table[slot].user)",
      "room.count == 1", "if count == room.count { x() }", "TextKey(user) == TextKey(other)",
      "var counts: [TextKey: Int] = [:]", "// user == other", "if x.origin == .none { x() }",
    ]
    for line in right { #expect(found(line) == 0, "\(line)") }
    #expect(found("user == other", in: "Wire") == 0)
  }

  @Test("a path of one machine is found", arguments: ["work", "root", "home", "Users"])
  func machinePaths(folder: String) {
    #expect(Rules.machinePaths(in: file("let path = \"/\(folder)/me/carillon\"")).count == 1)
    #expect(Rules.machinePaths(in: file("// see /\(folder)/x")).count == 1)
    #expect(Rules.machinePaths(in: file("// GET /api/\(folder)/x is a target")) == [])
    #expect(Rules.machinePaths(in: file("// all \(folder)/life and /\(folder)ing")) == [])
  }

  @Test("a file without an opening comment is found")
  func openings() {
    #expect(Rules.missingOpening(of: file("// What this is for.\nimport X\n")) == [])
    for bad in ["", "\n// Late.", "import X", "//", "/// A type.", "// x"] {
      #expect(Rules.missingOpening(of: file(bad)).count == 1, "\(bad)")
    }
  }

  @Test("a ruler in a comment is found")
  func banners() {
    for bad in ["//" + "===---===//", "  // " + "------", "//////" + "////"] {
      #expect(Rules.banners(in: file(bad)).count == 1, "\(bad)")
    }
    #expect(Rules.banners(in: file("// a - b\n//\n/// c\n// --flag value")) == [])
  }

  @Test(
    "an unchecked claim without a comment is found",
    arguments: [
      "final class C: @unchecked Sendable {",
      "nonisolated(unsafe) let x = 1",
    ])
  func claims(claim: String) {
    #expect(Rules.unprovenClaims(in: file("\(claim)\n  var x = 1")).map(\.line) == [1])
    #expect(Rules.unprovenClaims(in: file("// Proof.\n\(claim)")) == [])
    #expect(Rules.unprovenClaims(in: file("\(claim)\n  // Proof.")) == [])
    #expect(Rules.unprovenClaims(in: file("// It is \(claim)\nlet s = \"\(claim)\"\n\n")) == [])
  }

  @Test("unsafe code outside of the allowed targets is found")
  func unsafeCode() {
    let bad = "let a = unsafe pointer[0]"
    #expect(Rules.misplacedUnsafe(in: file(bad)).count == 1)
    #expect(Rules.misplacedUnsafe(in: file(bad, path: "Sources/Tokens/A/B.swift")).count == 1)
    #expect(Rules.misplacedUnsafe(in: file(bad, path: "Sources/Storage/A.swift")) == [])
    #expect(Rules.misplacedUnsafe(in: file("// unsafe\nlet unsafely = \"unsafe\"")) == [])
  }

  @Test(
    "a server test that bypasses the shard's façade is found",
    arguments: [
      "let shard = try Shard(index: 0)", "#expect(Shard.flushBytes == 1)",
      "let connection: Server.Connection", "let table = ConnectionTable()",
      "client.shard.table.count", "client?.shard.turn()", "let shards = clients.map(\\.shard)",
      "let shard = clients.map { $0.shard }",
    ])
  func shardAccess(line: String) {
    func findings(_ line: String, in name: String) -> [Finding] {
      Rules.shardAccess(in: file("\n\(line)", path: "Tests/Server/\(name).swift"))
    }
    #expect(findings(line, in: "TurnTests").map(\.line) == [2])
    #expect(findings(line, in: "ShardFacade") == [] && findings(line, in: "ShardFacadeRooms") == [])
    #expect(Rules.shardAccess(in: file(line, path: "Sources/Server/A.swift")) == [])
    let isOfTable = line.contains("Connection")
    #expect(findings(line, in: "ConnectionTableTests").isEmpty == isOfTable)
  }

  @Test("a server test that uses the shard's façade passes")
  func shardFacade() {
    for good in [
      "try fixture.shard.turn()", "peer.connection.join(\"r\")", "ShardView.flushBytes",
      "func shards(shard index: Int) -> [ShardView] { model.fixture.shards }",
      "// Shard, Connection and client.shard", "\"Connection: close\", \"client.shard\"",
      "listener.shardIndex",
    ] {
      #expect(Rules.shardAccess(in: file(good, path: "Tests/Server/A.swift")) == [], "\(good)")
    }
  }

  @Test(
    "a clock or a random source beside the kernel's",
    arguments: [
      "var generator = SystemRandomNumberGenerator()", "let now = ContinuousClock.now",
      "unsafe clock_gettime(CLOCK_MONOTONIC, &now)", "let id = UInt64.random(in: 0...9)",
      "let id = RecoveryID.random()", "let now = time(nil)", "users.shuffle()",
    ])
  func foreignClocksAndChance(line: String) {
    #expect(Rules.foreignClocksAndChance(in: file("let a = 1\n\(line)")).map(\.line) == [2])
    #expect(Rules.foreignClocksAndChance(in: file("// \(line)\nlet s = \"\(line)\"")) == [])
    #expect(Rules.foreignClocksAndChance(in: file("let id = ID.random(from: kernel)")) == [])
  }

  @Test(
    "the kernel's C outside of its wrapper",
    arguments: [
      "internal import CReactor", "var peer = cl_address()", "if readiness & CL_READABLE != 0 {",
    ])
  func misplacedKernel(line: String) {
    #expect(Rules.misplacedKernel(in: file(line)).count == 1)
    #expect(Rules.misplacedKernel(in: file(line, path: "Benchmarks/A/main.swift")).count == 1)
    #expect(Rules.misplacedKernel(in: file(line, path: "Sources/Reactor/A.swift")) == [])
    #expect(Rules.misplacedKernel(in: file("// \(line)\nlet s = \"\(line)\"")) == [])
  }

  private static let manifest = """
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .target(name: "Broadcast", swiftSettings: strict),
    .target(name: "Wire", swiftSettings: strict),
    .target(
      name: "Server",
      dependencies: [
        "Broadcast", "Wire",
      ],
      swiftSettings: strict),
    """

  @Test("the manifest's targets and dependencies are parsed")
  func manifest() {
    #expect(
      ImportTable.targets(of: Self.manifest) == [
        ManifestTarget(name: "CSQLite", dependencies: []),
        ManifestTarget(name: "Broadcast", dependencies: []),
        ManifestTarget(name: "Wire", dependencies: []),
        ManifestTarget(name: "Server", dependencies: ["Broadcast", "Wire"]),
      ])
  }

  @Test(
    "an import that the table does not allow is found",
    arguments: [
      ("Sources/Server/A.swift", "internal import Wire", true),
      ("Sources/Server/A.swift", "internal import Glibc", true),
      ("Sources/Server/A.swift", "internal import CSQLite", false),
      ("Sources/Server/A.swift", "internal import Synchronization", false),
      ("Sources/Server/Operators/Metrics.swift", "internal import Synchronization", true),
      ("Sources/Broadcast/A.swift", "package import Synchronization", true),
      ("Sources/Broadcast/A.swift", "import Glibc", false),
      ("Sources/Broadcast/Guarded.swift", "import Glibc", true),
      ("Sources/Wire/A.swift", "import Glibc", false),
      ("Sources/Wire/A.swift", "@testable import Broadcast", false),
      ("Sources/Wire/A.swift", "import struct Server.Shard", false),
      ("Sources/Wire/A.swift", "// import Glibc", true),
      ("Sources/Wire/A.swift", "let text = \"import Glibc\"", true),
      ("Sources/Elsewhere/A.swift", "", false),
    ])
  func imports(path: String, line: String, isAllowed: Bool) {
    let targets = ImportTable.targets(of: Self.manifest)
    let findings = ImportTable.violations(in: file(line, path: path), targets: targets)
    #expect(findings.isEmpty == isAllowed)
  }

  @Test("an upward dependency is found")
  func arrows() {
    let low = ManifestTarget(name: "Low", dependencies: ["High"])
    let high = ManifestTarget(name: "High", dependencies: [])
    #expect(ImportTable.upwardArrows(in: [low, high]) == ["Low → High"])
    #expect(ImportTable.upwardArrows(in: [high, low]) == [])
  }

  @Test(
    "comments and literals are separated from code",
    arguments: [
      ("a // b\nc", "a     \nc"),
      ("a /* b /* c */ d */ e", "a                   e"),
      ("f(\"x\")", "f(   )"),
      ("\"a\\\"b\" c", "       c"),
      ("\"a\\(b(\"c\") + d)e\" f", "    b(   ) + d    f"),
      ("#\"a\"b\"# c", "        c"),
      ("#if DEBUG", "#if DEBUG"),
      ("\"\"\"\na \"b\" c\n\"\"\" d", "   \n       \n    d"),
    ])
  func code(source: String, expected: String) {
    #expect(SwiftCode(of: source).text == expected)
  }
}
