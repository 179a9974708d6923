// The ends of frames in a log.

import Testing

@testable import Delivery

@Suite("Ends of frames")
struct FrameEndsTests {
  @Test func `the end of the frame at a position is found among the frames still held`() {
    var ends = FrameEnds()
    for end in stride(from: UInt64(300), through: 300_000, by: 300) {
      ends.append(end, logStart: end > 30_000 ? end - 30_000 : 0)
    }
    #expect(ends.end(at: 299_950) == 300_000)
    #expect(ends.end(at: 299_700) == 299_700)
    #expect(ends.end(at: 270_001) == 270_300)
    #expect(ends.end(at: 300_000) == 300_000)
    #expect(ends.end(at: 300_001) == nil)
  }

  @Test func `the end of a small frame is found within 270 bytes of a position`() {
    var ends = FrameEnds()
    for end in stride(from: UInt64(10), through: 10_000, by: 10) { ends.append(end, logStart: 0) }
    for position in UInt64(0)...9_700 {
      let end = ends.end(at: position)!
      #expect(end % 10 == 0 && end >= position && end < position + 270)
    }
    #expect(ends.end(at: 9_999) == nil)
  }
}
