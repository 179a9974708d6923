// `GET` and `PUT /api/v1/preferences`: the notifications that the user of the token wants.
//
// PUT replaces the document as a whole. Both answer with all of it spelled out, so that a client
// can change the answer and send it back.

internal import Notifications
internal import Wire

extension Endpoints {
  /// Replaces the user's preferences; they apply to everything published after the answer.
  static func setPreferences(
    _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    try requireJSON(request)
    let preferences: Preferences
    do throws(DocumentError) {
      preferences = try Preferences.parse(request.body, zones: shard.core.timeZones)
    } catch {
      throw Refusal(error)
    }
    return try submit(
      .setPreferences(user: user(of: request), preferences), request, on: shard
    ) { .of(preferences) }
  }
}

extension Answer {
  /// A user's preferences.
  static func of(_ preferences: Preferences) -> Answer {
    .success { $0.append(contentsOf: preferences.json) }
  }
}
