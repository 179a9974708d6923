// The dialect of Engine.IO by itself, whose messages the application at the path writes.

internal import Notifications
internal import Wire

/// The dialect of a session that has joined no namespace: it gets no events.
struct EngineDialect: Dialect {
  let name = "engine"
  let path: String
  let admission = Admission.firstMessage
  let heartbeat: Heartbeat
  let expiryCloseCode: UInt16 = 1008

  func write(_ event: Event, to frames: inout FrameWriter) {}
  func write(_ greeting: Greeting, to frames: inout FrameWriter) {}
  func writeResync(_ cursor: Cursor, time: Int64, to frames: inout FrameWriter) {}
  func writeMissed(_ notification: Notification, _ counts: Counts, to frames: inout FrameWriter) {}
  func writeResumed(_ counts: Counts, time: Int64, to frames: inout FrameWriter) {}
}
