// Checks every file of the repository against the style rules.

import Testing

@Suite("The repository follows its style rules")
struct TidyTests {
  private let targets = ImportTable.targets(of: SourceTree.read("Package.swift"))

  @Test("the files of the repository are found")
  func theTreeIsFound() {
    #expect(SourceTree.files.contains { $0.path == "Package.swift" })
    #expect(SourceTree.productFiles.count > 10)
    #expect(targets.contains { $0.name == "Broadcast" })
  }

  @Test("lines are at most 100 columns, files 500 lines, functions 70")
  func sizes() {
    expectNone(SourceTree.files.filter { !$0.path.hasSuffix(".md") }.flatMap(Rules.longLines))
    expectNone(SourceTree.files.filter { !$0.path.hasSuffix(".md") }.flatMap(Rules.longFile))
    expectNone(SourceTree.swiftFiles.flatMap(Rules.longFunctions))
  }

  @Test("no comment marks unfinished work")
  func leftovers() {
    expectNone(SourceTree.files.flatMap(Rules.leftovers))
  }

  @Test("no file contains a path of the machine that it was written on")
  func machinePaths() {
    expectNone(SourceTree.files.flatMap(Rules.machinePaths))
  }

  @Test("each source file opens with a comment on its purpose, without a banner")
  func openings() {
    expectNone(SourceTree.productFiles.flatMap(Rules.missingOpening))
    expectNone(SourceTree.swiftFiles.flatMap(Rules.banners))
  }

  @Test("each unchecked claim to the compiler has a comment with its proof")
  func claims() {
    expectNone(SourceTree.swiftFiles.flatMap(Rules.unprovenClaims))
  }

  @Test("unsafe code appears only in the allowed targets")
  func unsafeCode() {
    expectNone(SourceTree.productFiles.flatMap(Rules.misplacedUnsafe))
  }

  @Test("identities are compared by their bytes")
  func identities() {
    expectNone(SourceTree.productFiles.flatMap(Rules.canonicalComparisons))
  }

  @Test("server tests access a shard only through its façade")
  func shardFacade() {
    #expect(SourceTree.files.contains { $0.path == "Tests/Server/ShardFacade.swift" })
    expectNone(SourceTree.swiftFiles.flatMap(Rules.shardAccess))
  }

  @Test("a component of a shard keeps only lower ones, and only the shard's folder extends it")
  func layers() throws {
    let layers = Layers(shard: SourceTree.read(Layers.shardPath))
    #expect(layers.types.count > 20)
    expectNone(SourceTree.productFiles.flatMap(layers.violations))
    expectNone(SourceTree.productFiles.flatMap(Layers.misplacedExtensions))
  }

  @Test("only target Reactor names the kernel's C")
  func kernel() {
    let benchmarks = SourceTree.swiftFiles.filter { $0.path.hasPrefix("Benchmarks/") }
    #expect(!benchmarks.isEmpty)
    expectNone((SourceTree.productFiles + benchmarks).flatMap(Rules.misplacedKernel))
    let knowing = targets.filter { $0.dependencies.contains("CReactor") }.map(\.name)
    #expect(knowing.filter { !$0.hasSuffix("Tests") } == ["Reactor"])
  }

  @Test("clocks and random numbers come from the kernel table")
  func clocksAndChance() {
    expectNone(SourceTree.productFiles.flatMap(Rules.foreignClocksAndChance))
  }

  @Test("a target imports only its dependencies in the manifest")
  func imports() {
    expectNone(
      SourceTree.productFiles.flatMap { ImportTable.violations(in: $0, targets: targets) })
  }

  @Test("no file imports Foundation")
  func foundation() {
    let importing = SourceTree.swiftFiles.filter { file in
      ImportTable.imports(of: file.text).contains { $0.module == "Foundation" }
    }
    #expect(importing.map(\.path) == [])
  }

  @Test("dependencies between targets point downward only")
  func arrows() {
    #expect(ImportTable.upwardArrows(in: targets) == [])
    // The lowest layers have no dependencies, nor has the target of embedded files.
    for name in ["Algorithms", "Wire", "Broadcast", "CReactor", "WebClient"] {
      #expect(targets.first { $0.name == name }?.dependencies == [])
    }
    #expect(targets.first { $0.name == "Reactor" }?.dependencies == ["CReactor"])
  }

  @Test("the table of embedded files lists every browser file once")
  func webClient() {
    let folder = "Sources/WebClient/"
    let table = SourceTree.files.first { $0.path == folder + "WebClient.c" }
    let listed = (table?.lines ?? []).compactMap { line in
      line.firstMatch(of: /^#define FILE "(.+)"$/).map { String($0.1) }
    }
    let files = ["client", "pages"].flatMap { SourceTree.paths(in: folder + $0) }
    #expect(!files.isEmpty)
    #expect(listed.sorted() == files.map { String($0.dropFirst(folder.count)) })
    // Sorted like the folders, so that two branches that each add a file rarely conflict.
    #expect(listed == listed.sorted())
  }

  @Test("the root of the repository holds these six names and dotfiles")
  func topLevel() {
    let visible = SourceTree.topLevel.filter { !$0.hasPrefix(".") }
    #expect(
      visible == ["Benchmarks", "Makefile", "Package.swift", "README.md", "Sources", "Tests"])
  }
}

/// Records the findings, if there are any, as one issue.
func expectNone(
  _ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation
) {
  let shown = findings.prefix(20).map(\.description).joined(separator: "\n")
  guard !findings.isEmpty else { return }
  Issue.record("\(findings.count) findings\n\(shown)", sourceLocation: sourceLocation)
}
