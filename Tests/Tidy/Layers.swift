// The layers inside the target Server: the components of a shard, and which may call which.
//
// `Shard` lists its components in the order of their layers. So the list in its source is the rule,
// and a component that keeps a later one, or that is not listed, is a finding.

/// The components of a shard in the order of their layers.
struct Layers {
  static let shardPath = "Sources/Server/Shard/Shard.swift"

  /// The types of the stored properties of `Shard`, in their order.
  let types: [Substring]

  init(shard source: String) {
    types = Layers.properties(of: source.split(separator: "\n", omittingEmptySubsequences: false))
      .map(\.type)
  }

  /// Returns a finding for each property of a component whose type is in the same layer or a
  /// higher one, and for each component that the shard does not list.
  func violations(in file: SourceFile) -> [Finding] {
    let code = SourceFile(path: file.path, text: file.code)
    guard let name = Layers.component(in: code) else { return [] }
    guard let own = types.firstIndex(of: name.type) else {
      return [Finding(path: file.path, line: name.line, complaint: "\(name.type) is not listed")]
    }
    return Layers.properties(of: code.lines).compactMap { property in
      guard let other = types.firstIndex(of: property.type), other >= own else { return nil }
      return Finding(
        path: file.path, line: property.line,
        complaint: "\(name.type) keeps \(property.type), which is not lower")
    }
  }

  /// Extensions of `Shard` are dispatch, and stand in its folder.
  static func misplacedExtensions(in file: SourceFile) -> [Finding] {
    guard file.path.hasPrefix("Sources/"), !file.path.hasPrefix("Sources/Server/Shard/") else {
      return []
    }
    return zip(1..., SourceFile(path: file.path, text: file.code).lines).filter { _, line in
      line.contains(/^extension Shard(?!\w)/)
    }.map { Finding(path: file.path, line: $0.0, complaint: "extends Shard outside its folder") }
  }

  /// The component that a file declares.
  private static func component(in file: SourceFile) -> (type: Substring, line: Int)? {
    for (number, line) in zip(1..., file.lines) {
      guard let match = line.firstMatch(of: /^final class (\w+): ShardComponent/),
        match.1 != "Shard"
      else { continue }
      return (match.1, number)
    }
    return nil
  }

  private static func properties(of lines: [Substring]) -> [(type: Substring, line: Int)] {
    zip(1..., lines).compactMap { number, line in
      line.firstMatch(of: /^ {2}(?:private )?(?:let|weak var|unowned let) \w+: (\w+)\??$/)
        .map { ($0.1, number) }
    }
  }
}
