// The URL of a document that the server fetches itself.
//
// It is a setting of the operator, so it may name any server. But over plain http anybody on the
// way could answer, so http is for this machine only, where a proxy or a sidecar answers.

/// The URL of a document: `https`, or `http` to this machine.
package struct DownloadURL: Sendable {
  package let destination: Destination

  /// Whether it is plain http, which only an address of this machine may answer.
  package var isPlain: Bool { !destination.isSecure }

  /// The addresses that may answer.
  ///
  /// A name such as localhost could resolve to another machine's address.
  package var policy: AddressPolicy {
    isPlain ? .loopbackOnly : AddressPolicy(allowsPrivateDestinations: true)
  }

  /// Nil for a text that is no destination, and for http to another machine.
  package init?(_ text: String) {
    guard let destination = try? Destination(text) else { return nil }
    // guard: plain-http-loopback-name
    guard destination.isSecure || ["localhost", "127.0.0.1", "::1"].contains(destination.host)
    else { return nil }
    self.destination = destination
  }
}
