// Which web pages may connect: RFC 6455, section 10.2.

import Testing

@testable import Server

@Suite("RFC 6455, 10.2: origin considerations")
struct OriginPolicyTests {
  static let host = "carillon.example:8080"
  static let listed = OriginPolicy(allowed: ["https://app.example", "http://other.example:3000"])

  // Case 53
  @Test(
    "a page may connect if and only if its origin is listed or the server's own",
    arguments: [
      ("https://app.example", true), ("HTTPS://APP.EXAMPLE", true),
      ("http://other.example:3000", true), ("http://carillon.example:8080", true),
      ("https://carillon.example:8080", true), ("http://carillon.example", false),
      ("http://app.example", false), ("https://app.example:443", true),
      ("https://app.example:444", false), ("https://app.example:0443", false),
      ("https://app.example:", false), ("https://app.example:65979", false),
      ("https://carillon.example.evil:8080", false), ("ftp://carillon.example:8080", false),
      ("https://app.example.evil.example", false), ("https://evil-app.example", false),
      ("https://evilapp.example", false), ("https://app.example/", false),
      ("https://app.example@evil.example", false), ("http://other.example", false),
      ("http://other.example:30001", false), ("http://other.example:3000:3000", false),
      ("null", false), ("NULL", false), ("", false), ("file://", false), ("*", false),
      ("https://", false), ("app.example", false), ("https://app.example, https://x", false),
      ("http://localhost", false), ("http://127.0.0.1:8080", false),
    ])
  func table(origin: String, isAllowed: Bool) {
    #expect(Self.listed.allows([origin], host: Self.host) == isAllowed)
  }

  // Case 53
  @Test(
    "without a list only this machine's own names may connect, on any port",
    arguments: [
      ("http://localhost", true), ("http://localhost:3000", true), ("https://localhost:1", true),
      ("http://127.0.0.1:9", true), ("http://[::1]:80", true), ("http://localhost.evil", false),
      ("http://localhost:", false), ("http://localhost:80x", false), ("http://127.0.0.10", false),
      ("http://localhost@evil:80", false), ("ftp://localhost", false), ("null", false),
      ("http://app.example", false), ("https://[::1]", true), ("http://[::2]:80", false),
    ])
  func standard(origin: String, isAllowed: Bool) {
    #expect(OriginPolicy(allowed: []).allows([origin], host: "x") == isAllowed)
  }

  // Case 53
  @Test func `two origins are refused even if each would be allowed`() {
    #expect(!Self.listed.allows(["https://app.example", "https://app.example"], host: Self.host))
    #expect(!OriginPolicy(allowed: ["*"]).allows(["http://a", "http://b"], host: nil))
  }

  @Test(
    "a page that a proxy serves over TLS is the server's own, with the ports of the schemes",
    arguments: [
      ("https://a.example", "a.example", true), ("http://a.example", "a.example", true),
      ("https://a.example", "A.Example", true), ("https://a.example", "a.example:443", true),
      ("https://a.example:443", "a.example", true), ("http://a.example", "a.example:80", true),
      ("https://a.example", "a.example:80", false), ("http://a.example", "a.example:443", false),
      ("https://a.example:8443", "a.example:8443", true),
      ("https://a.example:8443", "a.example", false), ("https://[::5]", "[::5]", true),
      ("https://a.example", "b.example", false), ("https://a.example", "a.example.evil", false),
      ("app://a.example", "a.example", false), ("https://a.example", "", false),
    ])
  func behindTLS(origin: String, host: String, isAllowed: Bool) {
    #expect(Self.listed.allows([origin], host: host) == isAllowed)
  }

  @Test(
    "an origin of an application's own pages is compared like any other",
    arguments: ["capacitor://localhost", "chrome-extension://abcdefgh", "app://app"])
  func otherSchemes(origin: String) {
    #expect(OriginPolicy.fault(in: origin) == nil)
    #expect(OriginPolicy(allowed: [origin]).allows([origin], host: nil))
    #expect(!OriginPolicy(allowed: ["https://a.example"]).allows([origin], host: nil))
  }

  @Test func `a program that is no browser sends no origin and may connect`() {
    #expect(Self.listed.allows([], host: nil))
  }

  @Test func `a star allows every origin but null`() {
    let policy = OriginPolicy(allowed: ["*"])
    #expect(policy.allows(["https://anything.example"], host: nil))
    #expect(!policy.allows(["null"], host: nil))
  }
}
