// What a program that runs a server in its own process asks of it, without HTTP.
//
// Everything here may be called on any thread but a shard's, and goes the way that a request goes:
// through the store's queue, or into the ring, which has many producers. Both are bounded, and full
// ones refuse. After `stop` nothing may be asked any more.

internal import Broadcast
package import Notifications
internal import Reactor

/// A body that the HTTP endpoint of the same name would refuse, and the first field that is wrong.
package struct UnusableBody: Error {
  package let field: String
  package let reason: String

  /// Takes apart what an endpoint says of a body: `field: reason`.
  init(_ refusal: Refusal) {
    let parts = (refusal.message ?? "").split(separator: ":", maxSplits: 1)
    field = parts.count == 2 ? String(parts[0]) : "body"
    reason = parts.last.map { String($0.drop { $0 == " " }) } ?? ""
  }
}

extension CarillonServer {
  /// Hands a draft to the store: the ids of its notifications, in the order of its users.
  ///
  /// Nil when the store's queue is full; `reply` is then never called, else once, on the store's
  /// thread, when all of them are durable or none is stored.
  package func publish(
    _ draft: Draft, reply: @escaping @Sendable (StoreOutcome) -> Void
  ) -> [NotificationID]? {
    let pending = draft.expand(createdAt: wallMilliseconds) { makeNotificationID() }
    let isTaken = core.store.submit(
      .publish(
        drafts: pending, idempotency: nil, answer: [],
        takenAt: core.kernel.monotonicNanoseconds),
      reply: reply)
    return isTaken ? pending.map(\.id) : nil
  }

  /// Tells those connected now something that is not stored; false when the ring is full.
  package func tell(_ audience: Audience, _ body: Event.Body) -> Bool {
    core.ring.offer(
      Event(
        audience: audience, body: body, timestamp: wallMilliseconds,
        takenAt: core.kernel.monotonicNanoseconds))
  }

  /// The message that a body of `POST …/send/system` describes.
  package func systemMessage(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .system(try Endpoints.systemMessage(in: body, id: makeNotificationID()))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// The update that a body of `POST …/live/update` describes.
  package func liveUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .liveUpdate(try Endpoints.update(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// The update that a body of `POST …/live/data` describes.
  package func dataUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .dataUpdate(try Endpoints.update(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  /// The update that a body of `POST …/live/payment` describes.
  package func paymentUpdate(in body: [UInt8]) throws(UnusableBody) -> Event.Body {
    do throws(Refusal) {
      return .payment(try Endpoints.paymentUpdate(in: body))
    } catch {
      throw UnusableBody(error)
    }
  }

  private func makeNotificationID() -> NotificationID {
    NotificationID(milliseconds: wallMilliseconds, random: core.kernel.randomWords())
  }

  /// The time of day that the server goes by, in milliseconds since 1970.
  package var wallMilliseconds: Int64 { core.kernel.wallMilliseconds }

  /// Users with an open session at this moment, or a moment ago.
  package var userCount: Int { core.metrics.total(.users) }
}
