// The scratch buffer: regions inside it work, and a region outside of it traps.

import Reactor
import Testing

@Suite("Scratch buffer and UTF-8 validation")
struct ScratchBufferTests {
  @Test("copied bytes are read back, appended and parsed in place")
  func regions() {
    let scratch = ScratchBuffer(byteCount: 8)
    #expect(scratch.count == 8)
    scratch.copy([1, 2, 3], at: 5)
    #expect(scratch.array(from: 4, to: 8) == [0, 1, 2, 3])
    var array: [UInt8] = [9]
    scratch.append(from: 6, to: 8, into: &array)
    #expect(array == [9, 2, 3])
    var sum = 0
    scratch.read(from: 5, to: 8) { bytes in
      for index in bytes.indices { sum += Int(bytes[index]) }
    }
    #expect(sum == 6)
    #expect(scratch.region(at: 8, count: 0).count == 0)
  }

  @Test("a region that is not entirely inside traps")
  func bounds() async {
    await #expect(processExitsWith: .failure) {
      _ = ScratchBuffer(byteCount: 8).region(at: 0, count: 9)
    }
    await #expect(processExitsWith: .failure) {
      _ = ScratchBuffer(byteCount: 8).region(at: 9, count: 0)
    }
    await #expect(processExitsWith: .failure) {
      _ = ScratchBuffer(byteCount: 8).region(at: -1, count: 2)
    }
    await #expect(processExitsWith: .failure) {
      _ = ScratchBuffer(byteCount: 8).region(at: 1, count: .max)
    }
    await #expect(processExitsWith: .failure) {
      ScratchBuffer(byteCount: 8).read(from: 5, to: 4) { _ in }
    }
    await #expect(processExitsWith: .failure) {
      ScratchBuffer(byteCount: 8).copy([1, 2], at: 7)
    }
  }

  // RFC 6455, section 5.7: the masked "Hello".
  @Test("unmasking changes only the bytes of the range")
  func unmask() {
    let scratch = ScratchBuffer(byteCount: 8)
    scratch.copy([0xff, 0x7f, 0x9f, 0x4d, 0x51, 0x58, 0xff], at: 0)
    scratch.unmask(from: 1, to: 6, key: 0x3d21_fa37)
    #expect(scratch.array(from: 0, to: 7) == [0xff] + Array("Hello".utf8) + [0xff])
  }

  @Test("a character may arrive in pieces, and the text is complete only after its last byte")
  func validUTF8() {
    let scratch = ScratchBuffer(byteCount: 8)
    scratch.copy(Array("a€".utf8), at: 0)
    var validation = UTF8Validation()
    #expect(validation.isComplete)
    for (index, isComplete) in [true, false, false, true].enumerated() {
      #expect(scratch.feed(&validation, from: index, to: index + 1))
      #expect(validation.isComplete == isComplete)
    }
    #expect(scratch.feed(&validation, from: 4, to: 4))
    #expect(MemoryLayout<UTF8Validation>.stride == 4)
  }

  @Test("an invalid byte is rejected, also at the start of a later piece")
  func invalidUTF8() {
    let scratch = ScratchBuffer(byteCount: 8)
    scratch.copy([0x80, 0xe2, 0x82, 0x41], at: 0)
    var validation = UTF8Validation()
    #expect(!scratch.feed(&validation, from: 0, to: 1))
    validation = UTF8Validation()
    #expect(scratch.feed(&validation, from: 1, to: 3))
    #expect(!scratch.feed(&validation, from: 3, to: 4))
  }
}
