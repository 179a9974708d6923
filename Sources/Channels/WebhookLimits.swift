// The bounds of sending webhooks.

/// The limits of the thread that sends webhooks: each has its standard value.
package struct WebhookLimits: Sendable {
  /// Attempts in flight at one endpoint.
  package static let endpointInFlightLimit = 32
  /// The same at an endpoint that keeps failing, and the places that each endpoint has of its own.
  package static let endpointInFlightMinimum = 2
  /// Attempts in flight in all, besides the endpoints' own places.
  package static let sharedInFlightLimit = 256
  /// Deliveries of an endpoint that are read at once.
  package static let pageRowsLimit = 512
  /// Results that one command saves.
  package static let settledRowsLimit = 512
  /// Results that wait to be saved; no attempt begins while there are more.
  package static let unsettledRowsLimit = 4_096
  /// The time for one attempt, connecting included.
  package static let attemptMilliseconds: UInt64 = 20_000
  /// Succeeded deliveries of an endpoint that operators can list.
  package static let recentCountLimit = 100

  package var endpointInFlight = endpointInFlightLimit
  package var endpointPlaces = endpointInFlightMinimum
  package var sharedInFlight = sharedInFlightLimit
  package var pageRows = pageRowsLimit
  package var settledRows = settledRowsLimit
  package var unsettledRows = unsettledRowsLimit

  package init() {}

  /// The limits of the HTTP client that follow from these, for so many endpoints.
  func outgoing(endpointCount: Int) -> OutgoingLimits {
    var outgoing = OutgoingLimits()
    outgoing.transfers = sharedInFlight + endpointCount * endpointPlaces
    // The limits of each endpoint apply, also where several have one host.
    outgoing.hostConnections = outgoing.transfers
    return outgoing
  }
}
