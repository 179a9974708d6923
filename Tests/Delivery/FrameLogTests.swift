// The frame log against the plain list of all bytes ever appended.

import TestSupport
import Testing

@testable import Delivery

@Suite("Frame log")
struct FrameLogTests {
  private func bytes(_ log: FrameLog, _ from: UInt64, _ to: UInt64) -> [[UInt8]] {
    log.withBytes(from: from, to: to) { [Array($0), Array($1)] }
  }

  @Test("an empty log holds nothing and returns empty ranges")
  func empty() {
    let log = FrameLog(capacity: 8)
    #expect(log.start == 0)
    #expect(log.end == 0)
    #expect(bytes(log, 0, 0) == [[], []])
    log.append([UInt8]().span)
    #expect(log.end == 0)
  }

  @Test("a range that wraps is two pieces, any other is one")
  func pieces() {
    let log = FrameLog(capacity: 8)
    log.append([1, 2, 3, 4, 5, 6].span)
    #expect(bytes(log, 1, 5) == [[2, 3, 4, 5], []])
    log.append([7, 8, 9, 10].span)
    #expect(log.start == 2)
    #expect(log.end == 10)
    #expect(bytes(log, 2, 10) == [[3, 4, 5, 6, 7, 8], [9, 10]])
    #expect(bytes(log, 4, 8) == [[5, 6, 7, 8], []])
    #expect(bytes(log, 8, 10) == [[9, 10], []])
    #expect(bytes(log, 10, 10) == [[], []])
  }

  @Test("a frame as long as the log fills it from any offset")
  func fullFrame() {
    for offset in 0..<8 {
      let log = FrameLog(capacity: 8)
      log.append([UInt8](repeating: 0, count: offset).span)
      log.append([1, 2, 3, 4, 5, 6, 7, 8].span)
      #expect(log.start == UInt64(offset))
      #expect(bytes(log, log.start, log.end).flatMap { $0 } == [1, 2, 3, 4, 5, 6, 7, 8])
    }
  }

  @Test("the held bytes equal the appended bytes, for frames of any length")
  func model() {
    var generator = SeededGenerator.announced()
    for capacity in [1, 2, 16, 128] {
      let log = FrameLog(capacity: capacity)
      var all: [UInt8] = []
      var rewoundAt = 0
      for _ in 0..<2_000 {
        let frame = (0..<Int.random(in: 0...capacity, using: &generator)).map { _ in
          UInt8.random(in: 0...255, using: &generator)
        }
        if Int.random(in: 0..<10, using: &generator) == 0 {
          log.rewind()
          rewoundAt = all.count
        }
        log.append(frame.span)
        all += frame
        #expect(log.end == UInt64(all.count), "seed \(generator.seed)")
        #expect(
          log.start == UInt64(max(rewoundAt, all.count - capacity)), "seed \(generator.seed)")
        let from = UInt64.random(in: log.start...log.end, using: &generator)
        let to = UInt64.random(in: from...log.end, using: &generator)
        let expected = Array(all[Int(from)..<Int(to)])
        #expect(bytes(log, from, to).flatMap { $0 } == expected, "seed \(generator.seed)")
        let copied = [UInt8](unsafeUninitializedCapacity: expected.count + 1) { buffer, count in
          buffer[expected.count] = 0xa5
          log.copy(from: from, to: to, into: UnsafeMutableRawPointer(buffer.baseAddress!))
          count = expected.count + 1
        }
        #expect(copied == expected + [0xa5], "copied past the range, seed \(generator.seed)")
      }
    }
  }

  @Test func `a rewound log holds nothing, and goes on at its first byte`() {
    let log = FrameLog(capacity: 8)
    log.append([1, 2, 3, 4, 5].span)
    log.rewind()
    #expect(log.start == 5 && log.end == 5)
    #expect(bytes(log, 5, 5) == [[], []])
    log.append([6, 7, 8, 9, 10, 11, 12].span)
    #expect(log.start == 5 && log.end == 12)
    // Five bytes further on in the memory it would wrap.
    #expect(bytes(log, 5, 12) == [[6, 7, 8, 9, 10, 11, 12], []])
    log.append([13, 14].span)
    #expect(log.start == 6 && bytes(log, 6, 14) == [[7, 8, 9, 10, 11, 12, 13], [14]])
  }

  @Test func `bytes from before a rewind cannot be read`() async {
    await #expect(processExitsWith: .failure) {
      let log = FrameLog(capacity: 8)
      log.append([UInt8](repeating: 0, count: 4).span)
      log.rewind()
      log.append([UInt8](repeating: 0, count: 1).span)
      log.withBytes(from: 3, to: 5) { _, _ in }
    }
  }

  @Test func `a frame longer than the log is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      FrameLog(capacity: 8).append([UInt8](repeating: 0, count: 9).span)
    }
  }

  @Test func `a capacity that is not a power of two is a programming error`() async {
    await #expect(processExitsWith: .failure) { _ = FrameLog(capacity: 24) }
  }

  @Test func `overwritten bytes cannot be read`() async {
    await #expect(processExitsWith: .failure) {
      let log = FrameLog(capacity: 8)
      log.append([UInt8](repeating: 0, count: 8).span)
      log.append([UInt8](repeating: 0, count: 1).span)
      log.withBytes(from: 0, to: 8) { _, _ in }
    }
  }

  @Test func `bytes that were never written cannot be read`() async {
    await #expect(processExitsWith: .failure) {
      let log = FrameLog(capacity: 8)
      log.append([UInt8](repeating: 0, count: 4).span)
      log.withBytes(from: 2, to: 5) { _, _ in }
    }
  }

  @Test func `a reversed range is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      let log = FrameLog(capacity: 8)
      log.append([UInt8](repeating: 0, count: 4).span)
      log.withBytes(from: 3, to: 2) { _, _ in }
    }
  }
}
