// The URL of a server: `http://host:port` or `ws://host:port`, with an optional path prefix for
// every target.

internal import Reactor

/// The resolved address of a server.
package struct ServerURL: Equatable, Sendable {
  /// The numeric address to connect to.
  package let numericHost: String
  package let port: UInt16
  /// The value of the Host field: the name and port of the URL.
  package let hostField: String
  /// The prefix of every target: empty, or begins with a slash and does not end with one.
  package let basePath: String

  package init(numericHost: String, port: UInt16) {
    self.numericHost = numericHost
    self.port = port
    hostField = numericHost.contains(":") ? "[\(numericHost)]:\(port)" : "\(numericHost):\(port)"
    basePath = ""
  }

  /// Parses a URL and resolves its host, which may wait for the name service.
  package init(parsing text: String) throws(ClientError) {
    guard let schemeEnd = text.firstRange(of: "://") else {
      throw .badURL("\(text) does not begin with http:// or ws://")
    }
    let scheme = text[..<schemeEnd.lowerBound].lowercased()
    switch scheme {
    case "http", "ws": break
    case "https", "wss": throw .badURL("TLS is not supported; use http:// or ws://")
    default: throw .badURL("unknown scheme \(scheme)")
    }
    let rest = text[schemeEnd.upperBound...]
    let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    let path = rest[authority.endIndex...]
    guard !path.contains("?"), !path.contains("#") else {
      throw .badURL("\(text) has a query or a fragment")
    }
    guard !authority.contains("@") else { throw .badURL("\(text) contains a user name") }
    let (host, port) = try Self.split(authority)
    numericHost = try Self.resolve(host)
    self.port = port
    hostField = String(authority)
    var base = path
    while base.hasSuffix("/") { base = base.dropLast() }
    basePath = String(base)
  }

  /// Splits `host`, `host:port`, `[address]` or `[address]:port`; the port is 80 when absent.
  private static func split(_ authority: Substring) throws(ClientError) -> (String, UInt16) {
    let host: Substring
    let after: Substring
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw .badURL("missing ] in the host") }
      host = authority[authority.index(after: authority.startIndex)..<end]
      after = authority[authority.index(after: end)...]
    } else {
      host = authority.prefix { $0 != ":" }
      after = authority[host.endIndex...]
    }
    guard !host.isEmpty else { throw .badURL("the host is missing") }
    if after.isEmpty { return (String(host), 80) }
    guard after.first == ":", let port = UInt16(after.dropFirst()), port > 0 else {
      throw .badURL("bad port in \(authority)")
    }
    return (String(host), port)
  }

  private static func resolve(_ host: String) throws(ClientError) -> String {
    guard let numeric = HostLookup.numericAddress(of: host) else {
      throw .badURL("cannot resolve the host \(host)")
    }
    return numeric
  }
}
