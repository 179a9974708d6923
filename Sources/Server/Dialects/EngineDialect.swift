// The dialect of Engine.IO by itself, whose messages the application at the path writes.

/// The dialect of a session that has joined no namespace: it gets no events.
struct EngineDialect: SilentDialect {
  let name = "engine"
  let path: String
  let admission = Admission.firstMessage
  let heartbeat: Heartbeat
  let expiryCloseCode: UInt16 = 1008
}
