// `carillon token`: print a token for experiments.

internal import Tokens

/// `carillon token`.
enum TokenCommand {
  static let command = Command(
    name: "token", summary: "print a token signed with JWT_SECRET",
    examples: [
      "carillon token --user alice --ttl 10m",
      "carillon token --user backend --scope publish",
    ],
    flags: [
      Flag("user", "ID", "user id"),
      Flag("scope", "LIST", "scopes, comma-separated; publish makes a publisher"),
      Flag("rooms", "LIST", "rooms it may join, comma-separated; * matches any text"),
      Flag("ttl", "TIME", "lifetime (1h)"),
      Flag(
        "jwt-secret", nil, environment: ["JWT_SECRET"], isSecret: true, "secret that signs it"),
      Flag(
        "jwt-algorithm", "NAME", environment: ["JWT_ALGORITHM"], "HS256, HS384 or HS512 (HS256)"),
      Flag("jwt-issuer", "TEXT", environment: ["JWT_ISSUER"], "iss of the token"),
      Flag("jwt-audience", "TEXT", environment: ["JWT_AUDIENCE"], "aud of the token"),
    ], run: run)

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let user = try arguments.required("user")
    guard let secret = arguments.value("jwt-secret"), !secret.isEmpty else {
      throw UsageError("JWT_SECRET is not set")
    }
    let algorithm = try arguments.signingAlgorithm()
    let scopes = (arguments.value("scope") ?? "").split(whereSeparator: { $0 == "," || $0 == " " })
    let rooms = (arguments.value("rooms") ?? "").split(separator: ",")
    let now = Host.now
    let seconds = try arguments.duration("ttl", otherwise: 3_600_000) / 1_000
    let (end, overflow) = now.addingReportingOverflow(seconds)
    guard !overflow else { throw UsageError("--ttl is too long") }
    Terminal.print(
      TokenSigner.sign(
        userID: user, scopes: scopes.map(String.init), rooms: rooms.map(String.init),
        issuedAtSeconds: now,
        expiresAtSeconds: end, secret: Array(secret.utf8), algorithm: algorithm,
        issuer: arguments.value("jwt-issuer"), audience: arguments.value("jwt-audience")))
    return 0
  }
}
