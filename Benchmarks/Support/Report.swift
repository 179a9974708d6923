// The report of a benchmark, as text and as JSON.

internal import Glibc
internal import Wire

/// Prints a progress message on standard error.
package func say(_ text: String) { writeLine(text, to: STDERR_FILENO) }

/// Prints a line of the report on standard output, unbuffered even into a file or a pipe.
package func show(_ text: String) { writeLine(text, to: STDOUT_FILENO) }

private func writeLine(_ text: String, to descriptor: Int32) {
  let line = Array("\(text)\n".utf8)
  // SAFETY: `line` is readable for its count.
  _ = unsafe write(descriptor, line, line.count)
}

/// One result line of the report.
package struct Figure {
  let name: String
  let text: String
  /// Names and numbers for the JSON report.
  let values: [(String, Double)]

  package init(name: String, text: String, values: [(String, Double)]) {
    self.name = name
    self.text = text
    self.values = values
  }
}

/// The report of one run.
package struct Report {
  private var figures: [Figure] = []
  /// Whether no fault was recorded.
  package private(set) var isFaultless = true

  package init() {}

  package mutating func add(_ figure: Figure) { figures.append(figure) }

  /// Records a fault.
  package mutating func fault() { isFaultless = false }

  /// The figures, one line each.
  package var text: String {
    let width = figures.map(\.name.count).max() ?? 0
    return figures.map { figure in
      let gap = String(repeating: " ", count: width - figure.name.count)
      return "\(figure.name):\(gap) \(figure.text)"
    }.joined(separator: "\n")
  }

  /// The machine and the figures as one JSON object.
  package func json(machine: [(String, String)]) -> String {
    var text: [UInt8] = []
    text.appendText("{\"machine\":{")
    for (position, entry) in machine.enumerated() {
      if position > 0 { text.appendText(",") }
      text.appendJSONString(entry.0)
      text.appendText(":")
      text.appendJSONString(entry.1)
    }
    text.appendText("},\"figures\":[")
    for (position, figure) in figures.enumerated() {
      text.appendText(position > 0 ? ",\n" : "\n")
      text.appendText("{\"name\":")
      text.appendJSONString(figure.name)
      for (name, value) in figure.values {
        text.appendText(",\"\(name)\":\(value.isFinite ? value : 0)")
      }
      text.appendText("}")
    }
    text.appendText("\n]}\n")
    return String(decoding: text, as: UTF8.self)
  }
}
