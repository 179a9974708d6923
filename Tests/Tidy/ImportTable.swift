// Checks that each target imports only its dependencies in the manifest.
//
// SwiftPM lets a target import any module that happens to be built, so the manifest alone does not
// enforce its dependencies.

/// A target of the manifest, with its dependencies.
struct ManifestTarget: Equatable {
  let name: String
  let dependencies: [String]
}

enum ImportTable {
  /// Modules of the toolchain that a target may import in addition to its dependencies.
  ///
  /// Algorithms, Wire, Tokens and Notifications are pure and do not import even the C library.
  static let system: [String: Set<String>] = [
    "Algorithms": [],
    "Broadcast": ["Synchronization"],
    "Wire": [],
    "Tokens": [],
    "Notifications": [],
  ]
  static let systemElsewhere: Set<String> = ["Glibc"]

  /// Files outside of `Broadcast` that may import `Synchronization`: only that of the metrics.
  static let atomicFiles: Set = ["Sources/Server/Operators/Metrics.swift"]

  /// The file of the one lock, the only file in its target that may import the C library.
  static let lockFiles: Set = ["Sources/Broadcast/Guarded.swift"]

  /// Returns the targets of a manifest, in the manifest's order.
  static func targets(of manifest: String) -> [ManifestTarget] {
    let heads = [".target(", ".executableTarget(", ".systemLibrary(", ".testTarget("]
    var targets: [ManifestTarget] = []
    for piece in split(manifest, before: heads).dropFirst() {
      guard let name = strings(in: piece, after: "name:").first else { continue }
      let dependencies = piece.contains("dependencies:") ? listed(in: piece) : []
      targets.append(ManifestTarget(name: name, dependencies: dependencies))
    }
    return targets
  }

  /// Returns the modules that a file imports, with the lines of the imports.
  static func imports(of source: String) -> [(line: Int, module: String)] {
    let code = SwiftCode(of: source).text.split(separator: "\n", omittingEmptySubsequences: false)
    return zip(1..., code).compactMap { number, line in
      let words = line.split(separator: " ")
      guard let keyword = words.firstIndex(of: "import"), keyword + 1 < words.count,
        words[..<keyword].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains($0) })
      else { return nil }
      // `import struct Module.Type` names the module second.
      let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias"]
      let named = kinds.contains(words[keyword + 1]) ? words.last : words[keyword + 1]
      return named.flatMap { $0.split(separator: ".").first }.map { (number, String($0)) }
    }
  }

  /// Returns the imports that the table does not allow.
  static func violations(in file: SourceFile, targets: [ManifestTarget]) -> [Finding] {
    guard let name = file.target, let target = targets.first(where: { $0.name == name }) else {
      return [Finding(path: file.path, line: 1, complaint: "belongs to no target")]
    }
    var allowed = Set(target.dependencies).union(system[name] ?? systemElsewhere)
    if atomicFiles.contains(file.path) { allowed.insert("Synchronization") }
    if lockFiles.contains(file.path) { allowed.insert("Glibc") }
    return imports(of: file.text).filter { !allowed.contains($0.module) }.map {
      Finding(path: file.path, line: $0.line, complaint: "\(name) may not import \($0.module)")
    }
  }

  /// Returns the dependencies on a target that the manifest declares later.
  static func upwardArrows(in targets: [ManifestTarget]) -> [String] {
    targets.enumerated().flatMap { index, target in
      target.dependencies.filter { dependency in
        !targets[..<index].contains { $0.name == dependency }
      }.map { "\(target.name) → \($0)" }
    }
  }

  private static let accessLevels: Set<Substring> = [
    "internal", "package", "public", "private", "fileprivate",
  ]

  private static func split(_ text: String, before heads: [String]) -> [Substring] {
    var pieces: [Substring] = []
    var start = text.startIndex
    var at = text.startIndex
    while at < text.endIndex {
      if heads.contains(where: text[at...].hasPrefix) {
        pieces.append(text[start..<at])
        start = at
      }
      at = text.index(after: at)
    }
    return pieces + [text[start...]]
  }

  private static func strings(in piece: Substring, after label: String) -> [String] {
    guard let range = piece.firstRange(of: label) else { return [] }
    let parts = piece[range.upperBound...].split(
      separator: "\"", omittingEmptySubsequences: false)
    return parts.enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
  }

  private static func listed(in piece: Substring) -> [String] {
    guard let range = piece.firstRange(of: "dependencies:") else { return [] }
    let list = piece[range.upperBound...].prefix { $0 != "]" }
    return strings(in: "dependencies:" + list, after: "dependencies:")
  }
}
