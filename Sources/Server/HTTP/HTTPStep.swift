// What HTTP leaves to the shard, which it returns: requests that may be for another protocol, and
// those that an endpoint answers.

internal import Wire

/// The part of a request that HTTP has read, for the shard to continue with.
enum HTTPStep {
  /// Nothing is left for the shard to do: a request is unfinished, waits, or was answered.
  case done
  /// The head of a request that may be for Engine.IO or for the WebSocket of a dialect.
  case head(HTTPRequestHead)
  /// A whole request to an endpoint.
  case request(Request)
}

/// What becomes of a request once another protocol has seen its head.
enum HeadStep {
  /// The request goes to an endpoint, if one has its path.
  case endpoint
  /// The request is answered or waits, or its connection was upgraded or migrated.
  case taken
  /// The request is for the other protocol, and its body is still to come.
  case takesBody
}
