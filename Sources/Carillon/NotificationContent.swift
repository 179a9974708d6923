// The content of a notification, with the field names of the HTTP API.
//
// It is encoded as the body of a publish, so the parser and the limits of a publisher's request
// apply to it; this file checks nothing.

internal import Notifications
internal import Wire

/// The content of a notification, the same for each of its users.
///
/// Only `type` and `title` are required. Publishing checks the bounds and names the field that
/// exceeds one.
public struct NotificationContent: Sendable, Equatable {
  /// The urgency of a notification.
  public enum Priority: String, Sendable, CaseIterable {
    case low, normal, high, urgent
  }

  /// An action that a notification offers to the user.
  public struct Action: Sendable, Equatable {
    /// The label of the button: 1 to 128 bytes.
    public var label: String
    /// The target of the button: a path of the same origin, or https; at most 2,048 bytes.
    public var url: String

    /// An action.
    public init(label: String, url: String) {
      self.label = label
      self.url = url
    }
  }

  /// The kind of event: 1 to 64 of `[A-Za-z0-9_.:-]`.
  public var type: String
  /// The title: at most 256 bytes.
  public var title: String
  /// The text: at most 4,096 bytes.
  public var message: String
  /// The urgency.
  public var priority: Priority
  /// An object with data of the application: at most 16 KiB.
  public var data: JSONValue
  /// The kind of the entity concerned: at most 128 bytes.
  public var entityType: String?
  /// The id of the entity concerned: at most 256 bytes.
  public var entityID: String?
  /// The URL of the entity concerned: a path of the same origin, or https; at most 2,048 bytes.
  public var entityURL: String?
  /// At most 4 actions.
  public var actions: [Action]
  /// Notifications with the same key form a group: at most 256 bytes.
  public var groupKey: String?
  /// The time at which it expires, in milliseconds since 1970; nil for never.
  public var expiresAtMilliseconds: Int64?

  /// A notification's content.
  public init(
    type: String, title: String, message: String = "", priority: Priority = .normal,
    data: JSONValue = [:], entityType: String? = nil, entityID: String? = nil,
    entityURL: String? = nil, actions: [Action] = [], groupKey: String? = nil,
    expiresAtMilliseconds: Int64? = nil
  ) {
    self.type = type
    self.title = title
    self.message = message
    self.priority = priority
    self.data = data
    self.entityType = entityType
    self.entityID = entityID
    self.entityURL = entityURL
    self.actions = actions
    self.groupKey = groupKey
    self.expiresAtMilliseconds = expiresAtMilliseconds
  }

  /// The draft of this content for the audience that `writeAudience` writes.
  func draft(
    at now: Int64, for writeAudience: (inout [UInt8]) -> Void
  ) throws(BusError) -> Draft {
    var json: [UInt8] = []
    json.openObject()
    writeAudience(&json)
    json.member("type", type)
    json.member("title", title)
    json.member("message", message)
    json.member("priority", priority.rawValue)
    json.member("data", json: data.text)
    json.member("entity_type", entityType)
    json.member("entity_id", entityID)
    json.member("entity_url", entityURL)
    json.member(
      "actions",
      json: JSONValue.array(
        actions.map { ["label": .string($0.label), "url": .string($0.url)] }
      ).text)
    json.member("group_key", groupKey)
    json.member("expires_at", time: expiresAtMilliseconds)
    json.closeObject()
    do throws(DocumentError) {
      let draft = try Draft.parse(json, in: 0..<json.count)
      try draft.checkExpiry(at: now)
      return draft
    } catch {
      switch error {
      case .malformed(let reason): throw .invalid(field: "body", reason: reason)
      case .invalid(let field, let reason): throw .invalid(field: field, reason: reason)
      }
    }
  }
}
