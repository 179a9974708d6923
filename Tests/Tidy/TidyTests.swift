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
    // The two that all others stand on know nothing.
    for name in ["Wire", "Broadcast", "CReactor"] {
      #expect(targets.first { $0.name == name }?.dependencies == [])
    }
  }

  @Test("the top of the repository holds these six and dotfiles")
  func topLevel() {
    let visible = SourceTree.topLevel.filter { !$0.hasPrefix(".") }
    #expect(
      visible == ["Benchmarks", "Makefile", "Package.swift", "README.md", "Sources", "Tests"])
  }

  private func expectNone(
    _ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let shown = findings.prefix(20).map(\.description).joined(separator: "\n")
    guard !findings.isEmpty else { return }
    Issue.record("\(findings.count) in all\n\(shown)", sourceLocation: sourceLocation)
  }
}
