// A client that was upgraded without a token, until a message brings one.

/// A client that was upgraded without a token.
final class PendingAuthentication {
  /// The cursor that it asked to resume from.
  let since: String?
  var assembly: MessageAssembly?

  init(since: String?) { self.since = since }
}
