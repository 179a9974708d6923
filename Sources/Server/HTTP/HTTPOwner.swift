// What HTTP leaves to its owner, the shard: who the client is, what it may do, and the answers.

internal import Delivery
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

/// Identifies the clients of requests, authorizes them, and answers the requests.
protocol HTTPOwner: AnyObject {
  /// Whether the server shuts down, so that each response ends its connection.
  var isDraining: Bool { get }

  /// Takes the header of the PROXY protocol at the start of a connection.
  ///
  /// - Returns: the number of bytes consumed; 0 when the header is incomplete, nil when there is
  ///   none.
  func takeProxyHeader(
    at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> Int?

  /// Takes the client of a request from its head.
  ///
  /// - Returns: the answer if the client is over a limit.
  func identifyClient(of head: HTTPRequestHead, at slot: UInt32) -> Answer?

  /// Begins a request for another protocol than that of the endpoints: Engine.IO or a WebSocket.
  ///
  /// The head is at the start of the scratch buffer's [from, end).
  func begin(
    _ head: HTTPRequestHead, at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> HeadStep

  /// Authorizes a request for `endpoint`, or throws the refusal.
  func authorize(
    _ head: HTTPRequestHead, for endpoint: Endpoint, at slot: UInt32
  ) throws(Refusal) -> Caller

  /// Answers a complete request, at once or later, or makes its connection a session.
  func handle(_ request: Request)

  /// Ends a waiting poll: it has waited long enough, or its client has ended its side.
  func end(_ poll: Poll, at slot: UInt32)

  /// Notes that the store has not carried out the command of that connection in time.
  func noteOverdueCommand(of id: ConnectionID)

  /// Releases what the endpoint of a request keeps; called when the request has been answered, and
  /// when it ends without an answer.
  func requestEnded(at slot: UInt32)

  /// Ends the Engine.IO session of a request that ends without an answer.
  func requestLost(_ exchange: Exchange)
}
