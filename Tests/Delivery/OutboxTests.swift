// The outbox against a naive model: the plain list of all bytes to send, one entry per byte.

import TestSupport
import Testing

@testable import Delivery

/// A log's number, as these tests write it.
extension LogID: ExpressibleByIntegerLiteral {
  /// The log of that number.
  public init(integerLiteral value: UInt8) { self.init(rawValue: value) }
}

@Suite("Outbox")
struct OutboxTests {
  private struct Byte: Equatable {
    let log: LogID
    let position: UInt64
  }

  private func bytes(of outbox: Outbox) -> [Byte] {
    ranges(of: outbox).flatMap { range in
      (range.from..<range.to).map { Byte(log: range.log, position: $0) }
    }
  }

  private func ranges(of outbox: Outbox) -> [OutboxRange] {
    (0..<outbox.rangeCount).map { outbox[$0] }
  }

  @Test("an outbox stays small, because each connection has one")
  func layout() {
    #expect(MemoryLayout<Outbox>.stride <= 40)
    #expect(MemoryLayout<OutboxRange>.stride == 24)
  }

  @Test("an empty outbox has no bytes and no ranges")
  func empty() {
    var outbox = Outbox()
    #expect(outbox.isEmpty)
    #expect(outbox.byteCount == 0)
    #expect(outbox.rangeCount == 0)
    #expect(outbox.oldestPosition(in: 0) == nil)
    outbox.advance(by: 0)
    outbox.append(log: 3, from: 7, to: 7)
    #expect(outbox.isEmpty)
    #expect(outbox.oldestPosition(in: 3) == nil)
  }

  @Test("consecutive appends make one range")
  func joined() {
    var outbox = Outbox()
    for position in stride(from: UInt64(0), to: 1_000, by: 10) {
      outbox.append(log: 1, from: position, to: position + 10)
    }
    #expect(ranges(of: outbox) == [OutboxRange(log: 1, from: 0, to: 1_000)])
  }

  @Test("a gap or another log begins a new range, and order is kept")
  func separate() {
    var outbox = Outbox()
    outbox.append(log: 0, from: 0, to: 10)
    outbox.append(log: 0, from: 20, to: 30)
    outbox.append(log: 1, from: 30, to: 35)
    outbox.append(log: 1, from: 35, to: 40)
    outbox.append(log: 0, from: 30, to: 40)
    #expect(
      ranges(of: outbox) == [
        OutboxRange(log: 0, from: 0, to: 10), OutboxRange(log: 0, from: 20, to: 30),
        OutboxRange(log: 1, from: 30, to: 40), OutboxRange(log: 0, from: 30, to: 40),
      ])
    #expect(outbox.byteCount == 40)
    #expect(outbox.oldestPosition(in: 0) == 0)
    #expect(outbox.oldestPosition(in: 1) == 30)
    outbox.advance(by: 10)
    #expect(outbox.oldestPosition(in: 0) == 20)
    outbox.advance(by: 15)
    #expect(ranges(of: outbox).first == OutboxRange(log: 1, from: 35, to: 40))
    outbox.advance(by: 15)
    #expect(outbox.isEmpty)
  }

  @Test("an append merges into a range that is partly sent")
  func joinedAfterAdvance() {
    var outbox = Outbox()
    outbox.append(log: 2, from: 0, to: 10)
    outbox.advance(by: 9)
    outbox.append(log: 2, from: 10, to: 20)
    #expect(ranges(of: outbox) == [OutboxRange(log: 2, from: 9, to: 20)])
  }

  @Test("an outbox matches a list of bytes over any mixture of appends and advances")
  func model() {
    var generator = SeededGenerator.announced()
    for round in 0..<60 {
      var outbox = Outbox()
      var model: [Byte] = []
      var ends = [UInt64](repeating: 0, count: 3)
      // Some rounds mostly append, so that many ranges accumulate; some mostly send.
      let appendWeight = 1 + round % 9
      for step in 0..<400 {
        let context: Comment = "seed \(generator.seed) round \(round) step \(step)"
        if Int.random(in: 0..<10, using: &generator) < appendWeight {
          let index = Int.random(in: 0..<3, using: &generator)
          let log = LogID(rawValue: UInt8(index))
          let from = ends[index] + [0, 0, 1, 5].randomElement(using: &generator)!
          let to = from + UInt64.random(in: 0...6, using: &generator)
          outbox.append(log: log, from: from, to: to)
          model += (from..<to).map { Byte(log: log, position: $0) }
          ends[index] = to
        } else {
          let count = Int.random(in: 0...min(model.count, 60), using: &generator)
          outbox.advance(by: count)
          model.removeFirst(count)
        }
        guard bytes(of: outbox) == model else {
          Issue.record(context)
          return
        }
        #expect(outbox.byteCount == model.count, context)
        #expect(outbox.isEmpty == model.isEmpty, context)
        for log: LogID in [0, 1, 2] {
          #expect(
            outbox.oldestPosition(in: log) == model.first { $0.log == log }?.position, context)
        }
      }
      outbox.removeAll()
      #expect(outbox.isEmpty)
      #expect(outbox.rangeCount == 0)
    }
  }

  @Test("hundreds of ranges are sent in order")
  func manyRanges() {
    var outbox = Outbox()
    let positions = (0..<UInt64(500)).map { $0 * 10 }
    for from in positions { outbox.append(log: 0, from: from, to: from + 3) }
    #expect(outbox.rangeCount == 500)
    for from in positions {
      #expect(outbox[0] == OutboxRange(log: 0, from: from, to: from + 3))
      outbox.advance(by: 3)
    }
    #expect(outbox.isEmpty)
  }

  @Test("a copy is independent of the original")
  func copies() {
    var outbox = Outbox()
    outbox.append(log: 0, from: 0, to: 1)
    outbox.append(log: 0, from: 2, to: 3)
    outbox.append(log: 0, from: 4, to: 5)
    let copy = outbox
    outbox.advance(by: 2)
    #expect(copy.rangeCount == 3)
    #expect(outbox.rangeCount == 1)
  }

  @Test func `advancing past the end is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var outbox = Outbox()
      outbox.append(log: 0, from: 0, to: 4)
      outbox.advance(by: 5)
    }
    await #expect(processExitsWith: .failure) {
      var outbox = Outbox()
      outbox.append(log: 0, from: 0, to: 4)
      outbox.advance(by: -1)
    }
  }

  @Test func `a reversed range is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var outbox = Outbox()
      outbox.append(log: 0, from: 4, to: 3)
    }
  }

  @Test func `a range index out of bounds is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      var outbox = Outbox()
      outbox.append(log: 0, from: 0, to: 4)
      _ = outbox[1]
    }
    await #expect(processExitsWith: .failure) { _ = Outbox()[0] }
  }
}
