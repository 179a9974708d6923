// What HTTP leaves to its owner, the shard: other protocols that begin with a request, the answers
// of the endpoints, and the ends of waiting requests.

internal import Wire

/// What becomes of a request once its head has been read.
enum HeadStep {
  /// The request goes to an endpoint, if one has its path.
  case endpoint
  /// The request is answered or waits, or its connection was upgraded or migrated.
  case taken
  /// The request is for another protocol, and its body is still to come.
  case takesBody
}

/// Handles the requests of all protocols that HTTP carries.
protocol HTTPOwner: AnyObject {
  /// Begins a request for another protocol than that of the endpoints: Engine.IO or a WebSocket.
  ///
  /// The head is at the start of the scratch buffer's [from, end).
  func begin(
    _ head: HTTPRequestHead, at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> HeadStep

  /// Answers a complete request, at once or later, or makes its connection a session.
  func handle(_ request: Request)

  /// Ends a waiting poll: it has waited long enough, or its client has ended its side.
  func end(_ poll: Poll, at slot: UInt32)

  /// Ends the Engine.IO session of a request that ends without an answer.
  func requestLost(_ exchange: Exchange)
}
