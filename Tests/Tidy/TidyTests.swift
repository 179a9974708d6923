// The rules of the house, held against every file of it.

import Testing

@Suite("The house is tidy")
struct TidyTests {
  private let targets = ImportTable.targets(of: SourceTree.read("Package.swift"))

  @Test("there is something to hold the rules against")
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

  @Test("nothing is put off in a comment")
  func leftovers() {
    expectNone(SourceTree.files.flatMap(Rules.leftovers))
  }

  @Test("no file names a path of the machine that it was written on")
  func machinePaths() {
    expectNone(SourceTree.files.flatMap(Rules.machinePaths))
  }

  @Test("each file of a product opens with what it is for, without a banner")
  func openings() {
    expectNone(SourceTree.productFiles.flatMap(Rules.missingOpening))
    expectNone(SourceTree.swiftFiles.flatMap(Rules.banners))
  }

  @Test("each unchecked claim to the compiler has its proof beside it")
  func claims() {
    expectNone(SourceTree.swiftFiles.flatMap(Rules.unprovenClaims))
  }

  @Test("memory is held by hand only where the design says so")
  func unsafeCode() {
    expectNone(SourceTree.productFiles.flatMap(Rules.misplacedUnsafe))
  }

  @Test("tests of the server reach a shard through its façade alone")
  func shardFacade() {
    #expect(SourceTree.files.contains { $0.path == "Tests/Server/ShardFacade.swift" })
    expectNone(SourceTree.swiftFiles.flatMap(Rules.shardAccess))
  }

  @Test("the kernel's C is named by target Reactor and by no other Swift of product or benchmark")
  func kernel() {
    let benchmarks = SourceTree.swiftFiles.filter { $0.path.hasPrefix("Benchmarks/") }
    #expect(!benchmarks.isEmpty)
    expectNone((SourceTree.productFiles + benchmarks).flatMap(Rules.misplacedKernel))
    let knowing = targets.filter { $0.dependencies.contains("CReactor") }.map(\.name)
    #expect(knowing.filter { !$0.hasSuffix("Tests") } == ["Reactor"])
  }

  @Test("clocks and random numbers are the kernel's")
  func clocksAndChance() {
    expectNone(SourceTree.productFiles.flatMap(Rules.foreignClocksAndChance))
  }

  @Test("a target imports what the manifest gives it, and nothing else")
  func imports() {
    expectNone(
      SourceTree.productFiles.flatMap { ImportTable.violations(in: $0, targets: targets) })
  }

  @Test("Foundation is imported nowhere")
  func foundation() {
    let importing = SourceTree.swiftFiles.filter { file in
      ImportTable.imports(of: file.text).contains { $0.module == "Foundation" }
    }
    #expect(importing.map(\.path) == [])
  }

  @Test("arrows between targets point downward only")
  func arrows() {
    #expect(ImportTable.upwardArrows(in: targets) == [])
    // Those that all others stand on know nothing, and neither does what is only bytes to us.
    for name in ["Wire", "Broadcast", "CReactor", "WebClient"] {
      #expect(targets.first { $0.name == name }?.dependencies == [])
    }
    #expect(targets.first { $0.name == "Reactor" }?.dependencies == ["CReactor"])
  }

  @Test("what is for browsers is in the table of the binary, all of it and each once")
  func webClient() {
    let folder = "Sources/WebClient/"
    let table = SourceTree.files.first { $0.path == folder + "WebClient.c" }
    let listed = (table?.lines ?? []).compactMap { line in
      line.firstMatch(of: /^#define FILE "(.+)"$/).map { String($0.1) }
    }
    let files = ["client", "pages"].flatMap { SourceTree.paths(in: folder + $0) }
    #expect(!files.isEmpty)
    #expect(listed.sorted() == files.map { String($0.dropFirst(folder.count)) })
    // The order is the folders': two who add a file each add it in two places.
    #expect(listed == listed.sorted())
  }

  @Test("the top of the repository holds these six and dotfiles")
  func topLevel() {
    let visible = SourceTree.topLevel.filter { !$0.hasPrefix(".") }
    #expect(
      visible == ["Benchmarks", "Makefile", "Package.swift", "README.md", "Sources", "Tests"])
  }
}

/// Records the findings as one issue; none is as it should be.
func expectNone(
  _ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation
) {
  let shown = findings.prefix(20).map(\.description).joined(separator: "\n")
  guard !findings.isEmpty else { return }
  Issue.record("\(findings.count) in all\n\(shown)", sourceLocation: sourceLocation)
}
