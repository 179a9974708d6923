// Packets and their attachments, in order and out of order.

import TestSupport
import Testing

@testable import Wire

private let binaryEvent =
  #"52-/a,7["x",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#

/// A message for an assembly: text, or an attachment given by its size.
private enum Step: Sendable {
  case text(String)
  case binary(Int)
}

/// The outcome of the steps, up to the first violation.
private func play(
  _ steps: [Step], limit: Int = 1_000
) -> (messages: [SocketIOMessage], violation: ProtocolViolation?) {
  var assembly = SocketIOAssembly(bytesLimit: limit)
  var messages: [SocketIOMessage] = []
  for step in steps {
    do throws(ProtocolViolation) {
      let message =
        switch step {
        case .text(let text): try assembly.accept(text: Array(text.utf8))
        case .binary(let count): try assembly.accept(binary: [UInt8](repeating: 7, count: count))
        }
      if let message { messages.append(message) }
    } catch {
      if assembly.missingCount != 0 { Issue.record("a packet is still pending after a violation") }
      return (messages, error)
    }
  }
  return (messages, nil)
}

@Suite("Socket.IO 5: attachments")
struct SocketIOAssemblyTests {
  @Test("a packet without attachments is complete, and keeps the bytes it was read from")
  func plain() throws {
    var assembly = SocketIOAssembly(bytesLimit: 100)
    let bytes = Array("44[]2[\"a\"]".utf8)
    let message = try #require(try assembly.accept(text: bytes, in: 4..<bytes.count))
    #expect(message.bytes == bytes)
    #expect(message.packet.data == 5..<bytes.count)
    #expect(message.attachments == [])
    #expect(assembly.missingCount == 0)
    let empty = try assembly.accept(text: Array("450-[\"a\"]".utf8), in: 1..<9)
    #expect(empty?.packet.type == .binaryEvent)
    #expect(empty?.attachments == [])
  }

  @Test("a packet is complete with its last attachment, and attachments keep their order")
  func binary() throws {
    var assembly = SocketIOAssembly(bytesLimit: 1_000)
    for first: [UInt8] in [[1, 2], []] {
      let body = Array("4hello\u{1E}4\(binaryEvent)".utf8)
      #expect(try assembly.accept(text: body, in: 8..<body.count) == nil)
      #expect(assembly.missingCount == 2)
      #expect(assembly.pending?.packet.arguments == [])
      #expect(try assembly.accept(binary: first) == nil)
      #expect(assembly.missingCount == 1)
      let message = try #require(try assembly.accept(binary: [3]))
      #expect(assembly.missingCount == 0)
      #expect(message.attachments == [first, [3]])
      #expect(message.packet.eventName == "x")
      #expect(message.packet.placeholders.map(\.attachment) == [1, 0])
      // Only the packet's part of the body is kept, and the ranges index that part.
      #expect(message.bytes == Array(binaryEvent.utf8))
      #expect(message.packet == (try SocketIOPacket.decode(message.bytes)))
    }
  }

  // Case 39
  @Test("any text while attachments are due is a violation")
  func textInBetween() {
    for text in [binaryEvent, "2[\"a\"]", "1", "", "nonsense"] {
      for steps in [[Step.text(binaryEvent)], [.text(binaryEvent), .binary(1)]] {
        let result = play(steps + [.text(text)])
        #expect(result.violation == .missingAttachments)
        #expect(result.messages == [])
      }
    }
  }

  // Case 39
  @Test("an unannounced attachment is a violation")
  func unexpected() {
    let beginnings: [[Step]] = [
      [], [.text("2[\"a\"]")], [.text("50-[\"a\"]")], [.text(binaryEvent), .binary(0), .binary(0)],
    ]
    for steps in beginnings {
      let result = play(steps + [.binary(1)])
      #expect(result.violation == .unexpectedAttachment)
      #expect(result.messages.count == (steps.isEmpty ? 0 : 1))
    }
  }

  // Case 39
  @Test("the limit applies to the sum of a packet and its attachments, and restarts with the next")
  func limit() {
    let own = binaryEvent.utf8.count
    let whole: [Step] = [.text(binaryEvent), .binary(30), .binary(20)]
    let exact = play(whole + whole + whole, limit: own + 50)
    #expect(exact.violation == nil)
    #expect(exact.messages.count == 3)
    for steps in [
      whole, [.text(binaryEvent), .binary(50)], [.text(binaryEvent), .binary(1_000_000)],
    ] as [[Step]] {
      #expect(play(steps, limit: own + 49).violation == .messageTooBig)
    }
    #expect(play([.text(binaryEvent)], limit: own - 1).violation == .messageTooBig)
    #expect(play([.text("2[\"a\"]")], limit: 5).violation == .messageTooBig)
    #expect(play([.text("2[\"a\"]")], limit: 6).violation == nil)
    #expect(ProtocolViolation.messageTooBig.closeCode == 1009)
  }

  // Case 39
  @Test("one packet may have at most ten attachments of 64 KiB, its text included")
  func mostAttachments() {
    let places = (0..<10).map { ",{\"_placeholder\":true,\"num\":\($0)}" }.joined()
    let text = "510-[\"a\"\(places)]"
    let limit = text.utf8.count + 10 * 65_536
    let steps = [Step.text(text)] + (0..<10).map { _ in Step.binary(65_536) }
    #expect(play(steps, limit: limit).messages.map(\.attachments.count) == [10])
    #expect(play(steps, limit: limit - 1).violation == .messageTooBig)
    #expect(play(steps + [.binary(0)], limit: limit).violation == .unexpectedAttachment)
  }

  @Test("nothing is pending after a malformed packet or after `abandon`")
  func nothingLeft() throws {
    #expect(play([.text("51-[\"a\"]")]).violation == .invalidPlaceholder)
    #expect(play([.text("511-[\"a\"]")]).violation == .tooManyAttachments)
    #expect(play([.text("")]).violation == .emptyPacket)
    var assembly = SocketIOAssembly(bytesLimit: binaryEvent.utf8.count + 1)
    #expect(try assembly.accept(text: Array(binaryEvent.utf8)) == nil)
    #expect(try assembly.accept(binary: [1]) == nil)
    assembly.abandon()
    #expect(assembly.missingCount == 0)
    #expect(try assembly.accept(text: Array(binaryEvent.utf8)) == nil)
    #expect(try assembly.accept(binary: [1]) == nil)
    #expect(try assembly.accept(binary: [])?.attachments == [[1], []])
  }
}
