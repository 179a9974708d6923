// The packets of a body that was posted to an Engine.IO session.

internal import Wire

extension Endpoints {
  /// Handles the packets of a posted body.
  static func receivePackets(_ request: Request, on shard: Shard) -> Answer {
    guard let session = shard.engine.endPost(at: request.slot) else {
      return .refusal(.unknownSession)
    }
    var payload = EngineIOPayload(request.body)
    do throws(ProtocolViolation) {
      while let packet = try payload.next() {
        guard shard.life.takeMessage(isText: !packet.isBinary, at: session.slot) else {
          if !session.hasEnded { continue }
          return .refusal(.unknownSession)
        }
        try shard.socketIO.receive(packet, in: request.body, for: session)
        guard !session.hasEnded else { break }
      }
    } catch {
      shard.metrics.add(.protocolViolations)
      if !session.hasEnded { shard.engine.end(session, because: error.reason) }
      return .refusal(.badRequest)
    }
    return Answer(
      response: HTTPResponse(status: 200, body: Array("ok".utf8), contentType: "text/html"),
      status: 200)
  }
}
