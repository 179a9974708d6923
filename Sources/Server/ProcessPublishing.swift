// Publishing by a program that runs a server in its own process, without HTTP.
//
// Every function here may be called on any thread except a shard's. It takes the same path as an
// HTTP request: through the store's queue, or into the ring, which has many producers. Both are
// bounded and refuse when full. No call is allowed after `stop`.

internal import Broadcast
package import Notifications
internal import Reactor

/// A body that the corresponding HTTP endpoint would refuse, with its first invalid field.
package struct UnusableBody: Error {
  package let field: String
  package let reason: String

  /// Splits an endpoint's refusal of a body, `field: reason`, into its parts.
  init(_ refusal: Refusal) {
    let parts = (refusal.message ?? "").split(separator: ":", maxSplits: 1)
    field = parts.count == 2 ? String(parts[0]) : "body"
    reason = parts.last.map { String($0.drop { $0 == " " }) } ?? ""
  }
}

extension CarillonServer {
  /// Submits a draft to the store and returns its notifications' ids, in the order of its users.
  ///
  /// Returns nil if the store's queue is full, and then never calls `reply`. Otherwise `reply` is
  /// called once, on the store's thread, when all notifications are durable or none is stored.
  package func publish(
    _ draft: Draft, reply: @escaping @Sendable (StoreOutcome) -> Void
  ) -> [NotificationID]? {
    let pending = draft.expand(createdAt: wallMilliseconds) { makeNotificationID() }
    let isTaken = core.store.submit(
      .publish(
        drafts: pending, idempotency: nil, answer: [],
        takenAt: core.kernel.monotonicNanoseconds),
      reply: bounded(reply))
    return isTaken ? pending.map(\.id) : nil
  }

  /// Submits a change of the user's inbox; false if the store's queue is full.
  ///
  /// `reply` is then never called; otherwise it is called once, on the store's thread.
  package func change(
    _ change: InboxChange, of user: UserID, reply: @escaping @Sendable (StoreOutcome) -> Void
  ) -> Bool {
    core.store.submit(.change(user: user, change, at: wallMilliseconds), reply: bounded(reply))
  }

  /// The reply that answers `.unknown` if the store has not called it in time.
  private func bounded(
    _ reply: @escaping @Sendable (StoreOutcome) -> Void
  ) -> @Sendable (StoreOutcome) -> Void {
    let limit = core.configuration.limits.storeTimeoutMilliseconds
    return core.waitingCallers.add(reply, until: core.kernel.monotonicMilliseconds + limit)
  }

  /// Submits a query; false if the store's queue is full.
  ///
  /// `reply` is then never called; otherwise it is called once, on a store's thread.
  package func read(
    _ query: StoreQuery, reply: @escaping @Sendable (StoreAnswer) -> Void
  ) -> Bool {
    core.store.read(query, reply: reply)
  }

  /// Sends a transient event to the connected part of the audience; false if the ring is full.
  package func tell(_ audience: Audience, _ body: Event.Body) -> Bool {
    core.ring.offer(
      Event(
        audience: audience, body: body, timestamp: wallMilliseconds,
        takenAt: core.kernel.monotonicNanoseconds))
  }

  /// Parses a body of `POST …/send/system` into a message.
  package func systemMessage(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .system(try Endpoints.systemMessage(in: body, id: makeNotificationID()))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// Parses a body of `POST …/live/update` into an update.
  package func liveUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .liveUpdate(try Endpoints.update(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// Parses a body of `POST …/live/data` into an update.
  package func dataUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .dataUpdate(try Endpoints.update(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// Parses a body of `POST …/live/payment` into an update.
  package func paymentUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .payment(try Endpoints.paymentUpdate(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// Parses a body of `POST …/send/room` into a message.
  package func roomMessage(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .room(try Endpoints.roomMessage(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  private func makeNotificationID() -> NotificationID {
    NotificationID(milliseconds: wallMilliseconds, random: core.kernel.randomWords())
  }

  /// The server's wall-clock time, in milliseconds since 1970.
  package var wallMilliseconds: Int64 { core.kernel.wallMilliseconds }

  /// Number of users with an open session, as last published by the shards.
  package var userCount: Int { core.metrics.total(.users) }
}
