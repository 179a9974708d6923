// What a notification says, in the words of the HTTP API.
//
// It becomes the body of a publish, so that it meets the one parser and the one set of limits that
// a publisher's request meets; nothing is checked here.

internal import Notifications
internal import Wire

/// What a notification says, the same for each of the users it is for.
///
/// Only `type` and `title` are needed. Publishing checks the bounds and names the field that breaks
/// one.
public struct NotificationContent: Sendable, Equatable {
  /// How urgent a notification is.
  public enum Priority: String, Sendable, CaseIterable {
    case low, normal, high, urgent
  }

  /// Something that the user may do about it.
  public struct Action: Sendable, Equatable {
    /// What the button says: 1 to 128 bytes.
    public var label: String
    /// Where it leads: a path of the same origin, or https; at most 2,048 bytes.
    public var url: String

    /// An action.
    public init(label: String, url: String) {
      self.label = label
      self.url = url
    }
  }

  /// What happened: 1 to 64 of `[A-Za-z0-9_.:-]`.
  public var type: String
  /// At most 256 bytes.
  public var title: String
  /// At most 4,096 bytes.
  public var message: String
  /// How urgent it is.
  public var priority: Priority
  /// An object of your own: at most 16 KiB.
  public var data: JSONValue
  /// The kind of thing that it is about: at most 128 bytes.
  public var entityType: String?
  /// The thing that it is about: at most 256 bytes.
  public var entityID: String?
  /// Where that thing is: a path of the same origin, or https; at most 2,048 bytes.
  public var entityURL: String?
  /// At most 4.
  public var actions: [Action]
  /// Notifications that share it belong together: at most 256 bytes.
  public var groupKey: String?
  /// When it is no news any more, in milliseconds since 1970; nil for never.
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

  /// The draft of this content for those whom `writeAudience` names.
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
    do throws(DraftError) {
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
