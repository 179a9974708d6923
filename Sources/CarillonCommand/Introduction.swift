// The text that a development server prints at its start: variables, links and commands to paste.

/// The lines that make the first session work without further settings.
struct Introduction {
  private let settings: ServeSettings
  private let address: String

  /// `address` is the server's URL.
  init(_ settings: ServeSettings, at address: String) {
    self.settings = settings
    self.address = address
  }

  /// The text.
  ///
  /// It has a token and, if it is a random one, the secret: the server listens on loopback only.
  var text: String {
    let now = Host.now
    let tokens = DevelopmentTokens(settings: settings.tokens)
    let publisher = tokens.token("backend", scopes: ["publish"], at: now)
    // guard: server-address-printed
    var variables = [
      ("CARILLON_URL", address), ("TOKEN", tokens.token("alice", at: now)),
      ("CARILLON_TOKEN", publisher),
    ]
    // A development server always has a secret.
    let secret = settings.tokens.secret ?? ""
    // guard: random-secret-printed
    // guard: own-secret-not-printed
    if !settings.hasSecret { variables.append(("JWT_SECRET", secret)) }
    variables += settings.tokens.variables.map { ($0.name, $0.value) }
    let command = Self.quoted(CommandLine.arguments[0])
    let socket = "ws" + address.dropFirst(4)
    return """
      \(Terminal.bold("carillon \(Program.version), for development"))
      \(aboutSecret)

      Paste into another terminal:

      \(variables.map { "  export \($0.0)=\(Self.quoted($0.1))" }.joined(separator: "\n"))

      Open in a browser:
        \(address)/
          the demo: two users and their bells
        \(address)/console#token=\(publisher)
          the operators' console, signed in

      Listen as alice:
        \(command) listen
      Publish to her:
        \(command) publish --user alice --title "It rings"
      Make a token of another user:
        \(command) token --user bob
      Measure:
        \(command) bench --connections 100 --duration 5s
      Or receive with websocat:
        websocat -n -t "\(socket)/api/v1/ws/notifications?token=$TOKEN"

      """
  }

  private var aboutSecret: String {
    settings.hasSecret
      ? "Tokens are signed with your JWT_SECRET, which carillon token and bench need, too."
      : "The secret is new at each start, so tokens from an earlier start are rejected."
  }

  /// `text` as one word of a shell.
  static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"),
        UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: ":"):
        true
      default: false
      }
    }
    if isPlain, !text.isEmpty { return text }
    return "'"
      + text.split(separator: "'", omittingEmptySubsequences: false)
      .joined(separator: #"'\''"#) + "'"
  }
}
