// `carillon token`: print a token for experiments, or explain why one is accepted or refused.

internal import Tokens
internal import Wire

/// `carillon token`.
enum TokenCommand {
  static let command = Command(
    name: "token", summary: "print a token signed with JWT_SECRET, or check one",
    examples: [
      "carillon token --user alice --ttl 10m",
      "carillon token --user backend --scope publish",
      "carillon token --check \"$TOKEN\"",
    ],
    flags: [
      Flag("user", "ID", "user id"),
      Flag(
        "scope", "LIST",
        "scopes, comma-separated; publish makes a publisher, admin an administrator"),
      Flag("rooms", "LIST", "rooms it may join, comma-separated; * matches any text"),
      Flag("ttl", "TIME", "lifetime (1h)"),
      Flag("check", "TOKEN", "say whether serve accepts it, and if not why; - is standard input"),
      Flag("json", nil, "print the result of --check as JSON"),
    ] + TokenSettings.flags, run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    if let token = arguments.value("check") { return try check(token, arguments) }
    let user = try arguments.required("user")
    guard let secret = arguments.value("jwt-secret"), !secret.isEmpty else {
      throw UsageError(
        "JWT_SECRET is not set; a development server prints the line that sets it")
    }
    let settings = try TokenSettings(arguments, secret: secret)
    guard try !arguments.isOn("json") else { throw UsageError("--json needs --check") }
    let scopes = (arguments.value("scope") ?? "").split(whereSeparator: { $0 == "," || $0 == " " })
    let rooms = (arguments.value("rooms") ?? "").split(separator: ",")
    let token = settings.token(
      of: user, scopes: scopes.map(String.init), rooms: rooms.map(String.init), from: Host.now,
      forSeconds: try arguments.duration("ttl", otherwise: 3_600_000) / 1_000)
    guard let token else { throw UsageError("--ttl is too long") }
    Terminal.print(token)
    return 0
  }

  /// Verifies a token as `carillon serve` does with the same settings, and prints the result.
  ///
  /// Returns 0 for a token that is accepted, else 1. A token that is valid, names no user and is
  /// not a publisher's counts as refused, because the server lets it do nothing.
  private static func check(_ given: String, _ arguments: Arguments) throws -> Int32 {
    for name in ["user", "scope", "rooms", "ttl"] where arguments.value(name) != nil {
      throw UsageError("--check and --\(name) cannot be used together")
    }
    let secret = arguments.value("jwt-secret") ?? ""
    let settings = try TokenSettings(arguments, secret: secret.isEmpty ? nil : secret)
    guard !settings.policy.keys.isEmpty else {
      throw UsageError(
        "JWT_SECRET is not set, nor JWT_PUBLIC_KEY; a development server prints the line that sets "
          + "the secret")
    }
    let verifier = TokenVerifier(policy: settings.policy)
    let token = given == "-" ? Terminal.readInputLine() ?? "" : given
    guard !token.isEmpty else { throw UsageError("--check needs a token") }
    let now = Host.now
    let isJSON = try arguments.isOn("json")
    let claims: Claims
    do throws(TokenError) {
      claims = try verifier.verify(token, nowSeconds: now)
    } catch {
      return refuse(
        verifier.reason(forRefusing: token, nowSeconds: now) ?? .malformed, asJSON: isJSON)
    }
    guard claims.userID != nil || claims.isPublisher else {
      return refuse(verifier.reason(forNoUserIn: token), asJSON: isJSON)
    }
    accept(claims, asJSON: isJSON)
    return 0
  }

  private static func refuse(_ reason: TokenReason, asJSON isJSON: Bool) -> Int32 {
    guard isJSON else {
      Terminal.print("refused: \(reason.text)")
      if let remedy = reason.remedy { Terminal.print("remedy: \(remedy)") }
      return 1
    }
    printObject { json in
      json.member("accepted", false)
      json.member("code", reason.code)
      json.member("reason", reason.text)
      json.member("remedy", reason.remedy)
    }
    return 1
  }

  private static func accept(_ claims: Claims, asJSON isJSON: Bool) {
    // A date up to the year 9999, so the product cannot overflow.
    let expiry = claims.expiresAtSeconds.map { RFC3339.string(milliseconds: $0 * 1_000) }
    guard isJSON else {
      Terminal.print("accepted")
      Terminal.print("user       \(claims.userID ?? "none")")
      Terminal.print("publisher  \(claims.isPublisher ? "yes" : "no")")
      Terminal.print("expires    \(expiry ?? "never")")
      return
    }
    printObject { json in
      json.member("accepted", true)
      json.member("user", claims.userID)
      json.member("publisher", claims.isPublisher)
      json.member("expires_at", expiry)
    }
  }

  private static func printObject(_ body: (inout [UInt8]) -> Void) {
    var json: [UInt8] = []
    json.openObject()
    body(&json)
    json.closeObject()
    Terminal.print(String(decoding: json, as: UTF8.self))
  }
}
