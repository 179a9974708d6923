// The part of a connection that sending uses.
//
// Unsent bytes of a session, always in this order:
//
//     private bytes │ ranges of the outbox │ shared tail: [groupCursor, end of the group's log)
//
// Unsent bytes of an HTTP connection:
//
//     private bytes │ shared body
//
// Invariant: the ranges of a blocked connection (its socket took less than it was offered) are
// copied into `privateBytes` before their log overwrites them, so no log waits for a connection.

/// The flags of a connection that sending uses.
package struct SendFlags: OptionSet, Sendable {
  package let rawValue: UInt16

  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// The socket took less than it was offered; the connection waits for writability.
  package static let blocked = SendFlags(rawValue: 1 << 0)
  /// Bytes of its own may wait: private bytes or ranges in the outbox.
  package static let queued = SendFlags(rawValue: 1 << 1)
  /// It has an encoding and gets frames: the connection is an open session.
  package static let takesFrames = SendFlags(rawValue: 1 << 2)
  /// Missed notifications are being read for it, one page at a time.
  package static let isReplaying = SendFlags(rawValue: 1 << 3)
  /// The session is not greeted yet, and no other frame may precede the greeting.
  package static let handshakePending = SendFlags(rawValue: 1 << 4)
  /// A session without a socket: its messages leave through polls.
  package static let polling = SendFlags(rawValue: 1 << 5)
  /// A secondary namespace of a session: its messages leave through the session's main slot.
  package static let secondaryNamespace = SendFlags(rawValue: 1 << 6)
  /// Reading is paused until the queued bytes are sent and the request is answered.
  package static let readPaused = SendFlags(rawValue: 1 << 7)
  /// The peer has shut down its sending side but still awaits bytes; no input follows.
  package static let peerEnded = SendFlags(rawValue: 1 << 8)
  /// The kernel's limit of unsent bytes was raised for this connection.
  package static let raisedSendBuffer = SendFlags(rawValue: 1 << 9)
  /// Its socket or its timer failed: it is reported as failed.
  package static let failed = SendFlags(rawValue: 1 << 10)
  /// Its backlog is over the limit: it is reported as too slow.
  package static let tooSlow = SendFlags(rawValue: 1 << 11)
  /// A transport stands between its queue and its socket.
  package static let hasTransport = SendFlags(rawValue: 1 << 12)
  /// Nothing more is queued for it or sent to it until its report is handled.
  package static let givenUp: SendFlags = [.failed, .tooSlow]
  /// Flags of which any one keeps a connection out of a send to many.
  static let flushedAlone: SendFlags = [
    .blocked, .queued, .polling, .secondaryNamespace, .hasTransport,
  ]
  /// The slot has no socket to write to.
  package static let socketless: SendFlags = [.polling, .secondaryNamespace]
}

/// The body of an answer that many connections send.
///
/// They share one copy of `bytes`; each has its own `sent`.
final class SharedBody {
  let bytes: [UInt8]
  var sent = 0

  init(bytes: [UInt8]) { self.bytes = bytes }
}

/// The part of one connection that sending uses.
///
/// The fields that a broadcast touches come first and share a cache line.
package struct SendState {
  package internal(set) var fd: Int32 = -1
  /// Distinguishes this connection's events from those of an earlier one in the same slot; 0 in a
  /// slot without an open connection.
  package internal(set) var generation: UInt32 = 0
  package internal(set) var flags: SendFlags = []
  /// The fan-out group of an open session.
  package internal(set) var group = FanOutGroupID(rawValue: 0)
  /// The events that epoll watches for.
  var interest: UInt8 = 0
  /// Position in the group's shared log; all bytes before it were sent or are in the outbox.
  var groupCursor: UInt64 = 0
  /// Ranges of frame logs to be sent after `privateBytes`.
  var outbox = Outbox()

  /// The private send buffer, sent first; the bytes before `privateSentCount` are already sent.
  var privateBytes: [UInt8] = []
  var privateSentCount = 0
  /// A shared body to send after `privateBytes`, if there is one.
  var sharedBody: SharedBody?
  /// Bytes of `privateBytes` that the shard's sum of blocked bytes includes.
  package internal(set) var blockedBytes = 0
  /// When a blocked connection last took a byte.
  package internal(set) var progressAt: UInt64 = 0

  /// Bytes queued for this connection alone.
  package var queuedByteCount: Int {
    privateBytes.count - privateSentCount + outbox.byteCount
      + (sharedBody.map { $0.bytes.count - $0.sent } ?? 0)
  }

  /// The private bytes that are not sent.
  package var unsentPrivateBytes: ArraySlice<UInt8> { privateBytes[privateSentCount...] }
  /// Whether a shared body is being sent, after which nothing can be queued yet.
  package var hasSharedBody: Bool { sharedBody != nil }
  /// Bytes of the private send buffer, sent or not.
  package var privateByteCount: Int { privateBytes.count }

  /// Whether the connection has ended and holds nothing.
  var isBlank: Bool {
    generation == 0 && fd == -1 && queuedByteCount == 0 && blockedBytes == 0
      && flags.isDisjoint(with: [.blocked, .takesFrames])
  }
}
