import Channels
import Reactor
import TestSupport
import Testing

@Suite("The URL of another server")
struct DestinationTests {
  @Test(
    "a URL has its canonical form",
    arguments: [
      ("http://a.example", "http://a.example:80/"),
      ("https://a.example", "https://a.example:443/"),
      ("HTTPS://A.Example:8443/X?y=Z", "https://a.example:8443/X?y=Z"),
      ("http://a.example?b", "http://a.example:80/?b"),
      ("http://a.example/?", "http://a.example:80/?"),
      ("http://a_b.c-d.e1:1/", "http://a_b.c-d.e1:1/"),
      ("http://localhost:65535/a/../b//c", "http://localhost:65535/a/../b//c"),
      ("http://a/%2F%ff-._~!$&'()*+,;=:@/?:@?/", "http://a:80/%2F%ff-._~!$&'()*+,;=:@/?:@?/"),
      ("http://127.0.0.1/", "http://127.0.0.1:80/"), ("http://[::1]/", "http://[::1]:80/"),
      ("http://[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080/"),
      ("http://[::ffff:127.0.0.1]/", "http://127.0.0.1:80/"),
      ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example:80/"),
      ("http://1.2.3.4.example/", "http://1.2.3.4.example:80/"),
      ("http://0x7f.example/", "http://0x7f.example:80/"),
      ("http://a.0xg/", "http://a.0xg:80/"),
    ])
  func canonical(text: String, url: String) throws {
    let destination = try Destination(text)
    #expect(destination.url == url)
    #expect(try Destination(url).url == url)
  }

  @Test("an address is one, and a name is none")
  func address() throws {
    #expect(try Destination("http://10.1.2.3/").address?.text == "10.1.2.3")
    #expect(try Destination("http://[fe80::1]/").address?.text == "fe80::1")
    #expect(try Destination("http://[::ffff:10.0.0.1]/").address?.text == "10.0.0.1")
    #expect(try Destination("http://a.example/").address == nil)
  }

  @Test(
    "every other text is refused, with its reason",
    arguments: [
      ("", .scheme), ("a.example", .scheme), ("//a.example", .scheme), ("ftp://a/", .scheme),
      ("file:///etc/passwd", .scheme), ("gopher://a/", .scheme), ("http:/a", .scheme),
      ("http:a", .scheme), (" http://a/", .scheme), ("javascript:alert(1)", .scheme),
      ("https:\\\\a/", .scheme), ("http://", .host), ("http:///a", .host), ("http://:80/", .host),
      ("http://?a", .host), ("http://a@b/", .userInformation),
      ("http://a:b@c/", .userInformation), ("http://@a/", .userInformation),
      ("http://a/#b", .fragment), ("http://a#@b/", .fragment), ("http://a/b?c#", .fragment),
      ("http://a\\@b/", .userInformation), ("http://a\\b/", .host), ("http://a b/", .host),
      ("http://a\r\nHost: b/", .host), ("http://a%00b/", .host), ("http://%31/", .host),
      ("http://ä.example/", .host), ("http://a。b/", .host), ("http://a.example./", .host),
      ("http://.a/", .host), ("http://a..b/", .host), ("http://-a/", .host), ("http://a-/", .host),
      ("http://a.b-.c/", .host), ("http://*/", .host), ("http://[::1/", .host),
      ("http://::1/", .host), ("http://[]/", .host), ("http://[1.2.3.4]/", .host),
      ("http://[a]/", .host), ("http://[fe80::1%25eth0]/", .host), ("http://[fe80::1%1]/", .host),
      ("http://[::1]a/", .host), ("http://[::1][::1]/", .host), ("http://[v1.a:b]/", .host),
      ("http://a:/", .port), ("http://a:0/", .port), ("http://a:65536/", .port),
      ("http://a:080/", .port), ("http://a:-1/", .port), ("http://a:+1/", .port),
      ("http://a: 1/", .port), ("http://a:1 /", .port), ("http://a:99999999999999999999/", .port),
      ("http://a:１/", .port), ("http://a:1:2/", .port), ("http://a:b/", .port),
      ("http://a/ ", .character), ("http://a/\t", .character), ("http://a/\r\nX: y", .character),
      ("http://a/\u{0}", .character), ("http://a/\u{7F}", .character), ("http://a/ä", .character),
      ("http://a/%", .character), ("http://a/%2", .character), ("http://a/%zz", .character),
      ("http://a/\"", .character), ("http://a/<", .character), ("http://a/{b}", .character),
      ("http://a/\\b", .character), ("http://a/[b]", .character), ("http://a/^|`", .character),
      ("http://" + String(repeating: "a", count: 64) + "/", .host),
      ("http://" + String(repeating: "a.", count: 127) + "aa/", .host),
      ("http://a/" + String(repeating: "b", count: 2_040), .tooLong),
      (String(repeating: "http://", count: 1 << 18), .tooLong),
    ] as [(String, DestinationError)])
  func refused(text: String, reason: DestinationError) {
    #expect(throws: reason) { try Destination(text) }
  }

  @Test(
    "an IPv4 address has no other spelling than four decimal numbers",
    arguments: [
      "127.1", "127.0.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001",
      "0177.0.0.1", "127.0.0.01", "127.0.0.0x1", "127.0.0.1.", "127.0.0.256", "256.0.0.1",
      "1.2.3.4.5", "0", "0x", "0X7F.1", "00", "1", "127.0.0.1.0x7f", "4294967296", "a.1", "a.0x1",
      "0300.0250.0.1", "99999999999999999999", "127。0。0。1", "１２７.0.0.1",
    ])
  func addressSpellings(host: String) {
    #expect(throws: DestinationError.host) { try Destination("http://\(host)/") }
    #expect(throws: DestinationError.host) { try Destination("https://\(host):8080/a") }
  }

  @Test("the longest URL is allowed")
  func longest() throws {
    let text = "http://a/" + String(repeating: "b", count: 2_039)
    #expect(text.utf8.count == Destination.bytesLimit)
    #expect(try Destination(text).target.utf8.count == 2_040)
  }

  @Test("random changes of a URL never make one that reads differently a second time")
  func mutants() throws {
    var generator = SeededGenerator.announced()
    let alphabet = Array(":/?#[]@.%0x1a\\ \r\n\u{0}-_Ä".utf8)
    for _ in 0..<20_000 {
      var bytes = Array("http://[::1].a.1:8/b%20?c@d".utf8)
      for _ in 0..<Int.random(in: 1...6, using: &generator) {
        let index = Int.random(in: 0..<bytes.count, using: &generator)
        let byte = alphabet.randomElement(using: &generator)!
        if Bool.random(using: &generator) { bytes[index] = byte } else { bytes.remove(at: index) }
      }
      guard let destination = try? Destination(String(decoding: bytes, as: UTF8.self)) else {
        continue
      }
      #expect(try Destination(destination.url).url == destination.url)
      #expect(destination.url.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    }
  }
}
