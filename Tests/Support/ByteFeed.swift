// The ways in which the same bytes can arrive.
//
// A codec must give the same result however its input is split, so every vector is run whole, byte
// by byte and split at each point. This file makes the pieces; each suite feeds them to its codec.

/// One way to deliver some bytes: the pieces, in order.
package struct ByteFeed: Sendable, CustomStringConvertible {
  package let description: String
  package let pieces: [ArraySlice<UInt8>]

  /// Delivers everything at once.
  package static func whole(_ bytes: [UInt8]) -> ByteFeed {
    ByteFeed(description: "whole", pieces: [bytes[...]])
  }

  /// Delivers one byte at a time.
  package static func byByte(_ bytes: [UInt8]) -> ByteFeed {
    ByteFeed(
      description: "byte by byte", pieces: bytes.indices.map { bytes[$0...$0] })
  }

  /// Delivers two pieces, the second beginning at `index`.
  package static func split(_ bytes: [UInt8], at index: Int) -> ByteFeed {
    ByteFeed(description: "split at \(index)", pieces: [bytes[..<index], bytes[index...]])
  }

  /// Delivers pieces of random sizes, none empty.
  package static func random(
    _ bytes: [UInt8], using generator: inout some RandomNumberGenerator
  ) -> ByteFeed {
    var pieces: [ArraySlice<UInt8>] = []
    var start = 0
    while start < bytes.count {
      let size = Int.random(in: 1...min(bytes.count - start, 64), using: &generator)
      pieces.append(bytes[start..<(start + size)])
      start += size
    }
    return ByteFeed(description: "pieces of \(pieces.map(\.count))", pieces: pieces)
  }

  /// Returns every feed of a vector: whole, byte by byte, and split at each inner point.
  ///
  /// The pieces are slices of one array, so each costs a few words. Running all feeds takes
  /// quadratic time, so it is meant for vectors of a few hundred bytes.
  package static func all(_ bytes: [UInt8]) -> [ByteFeed] {
    var feeds = [whole(bytes), byByte(bytes)]
    for index in bytes.indices.dropFirst() {
      feeds.append(split(bytes, at: index))
    }
    return feeds
  }

  /// Delivers the feed to a parser that takes all bytes received so far.
  ///
  /// - Parameter parse: gets all bytes up to and including the newest piece; a non-nil result ends
  ///   the feed.
  /// - Returns: the result of `parse`, and the number of bytes delivered by then.
  /// - Throws: the error of `parse`.
  package func accumulate<Result, Failure: Error>(
    _ parse: ([UInt8]) throws(Failure) -> Result?
  ) throws(Failure) -> (result: Result, byteCount: Int)? {
    var received: [UInt8] = []
    for piece in pieces {
      received.append(contentsOf: piece)
      if let result = try parse(received) { return (result, received.count) }
    }
    return nil
  }
}

/// Every proper prefix of some bytes, the empty one first.
package func properPrefixes(of bytes: [UInt8]) -> [[UInt8]] {
  bytes.indices.map { Array(bytes[..<$0]) }
}
