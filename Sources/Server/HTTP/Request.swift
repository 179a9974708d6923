// A request that an endpoint handles.

internal import Wire

/// A complete request that passed all checks and is ready to be answered.
struct Request {
  let slot: UInt32
  let head: HTTPRequestHead
  let route: Endpoints.Match
  let caller: Caller
  let query: QueryString
  let body: [UInt8]

  /// The kind of party that asks: an endpoint for publishers is not one of users.
  var askerKind: Party.Kind { route.endpoint.access.isForPublishers ? .publisher : .user }
}
