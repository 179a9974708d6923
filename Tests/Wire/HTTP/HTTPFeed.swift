// Feeds bytes to a parser for the tests of this folder: whole, in pieces, byte by byte.

import Testing

@testable import Wire

/// The outcome of feeding a request head.
enum HeadOutcome: Equatable, CustomStringConvertible {
  case head(byteCount: Int, method: HTTPMethod, path: String, query: String?)
  case incomplete
  case violation(HTTPViolation)

  var description: String {
    switch self {
    case .head(let byteCount, let method, let path, let query):
      "\(method.name) \(path)?\(query ?? "-") in \(byteCount) bytes"
    case .incomplete: "incomplete"
    case .violation(let violation): "\(violation.status) \(violation.reason)"
    }
  }

  var status: UInt16? {
    if case .violation(let violation) = self { violation.status } else { nil }
  }
}

/// Feeds a parser the bytes up to each end in turn.
///
/// Returns the outcome and the number of bytes given to the parser when the outcome was decided.
func feed(
  _ wire: [UInt8], upTo ends: some Sequence<Int>, limits: HTTPLimits = HTTPLimits()
) -> (outcome: HeadOutcome, given: Int) {
  var parser = HTTPRequestHeadParser(limits: limits)
  let span = wire.span
  var last = 0
  for end in ends {
    last = end
    do {
      if let head = try parser.parse(span.extracting(0..<end)) {
        return (
          .head(
            byteCount: head.byteCount, method: head.method, path: head.path, query: head.query),
          end
        )
      }
    } catch {
      return (.violation(error), end)
    }
  }
  return (.incomplete, last)
}

func feedWhole(_ wire: [UInt8], limits: HTTPLimits = HTTPLimits()) -> HeadOutcome {
  feed(wire, upTo: [wire.count], limits: limits).outcome
}

/// Returns the outcome of feeding a head whole.
///
/// Records an issue if a byte-by-byte feed, or a feed in two pieces split anywhere, has another
/// outcome.
func feedEveryWay(
  _ wire: [UInt8], limits: HTTPLimits = HTTPLimits(),
  sourceLocation: SourceLocation = #_sourceLocation
) -> HeadOutcome {
  let whole = feedWhole(wire, limits: limits)
  #expect(
    feed(wire, upTo: 0...wire.count, limits: limits).outcome == whole, "byte by byte",
    sourceLocation: sourceLocation)
  for split in 0...wire.count {
    let outcome = feed(wire, upTo: [split, wire.count], limits: limits).outcome
    #expect(outcome == whole, "split at \(split)", sourceLocation: sourceLocation)
  }
  return whole
}

func parse(_ text: String) throws -> HTTPRequestHead {
  var parser = HTTPRequestHeadParser()
  return try #require(try parser.parse(Array(text.utf8).span))
}
