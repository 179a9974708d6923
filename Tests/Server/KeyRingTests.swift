// The API keys in memory: which secret finds which key, and until when.

import Notifications
import Testing
import Wire

@testable import Server

@Suite("The API keys in memory")
struct KeyRingTests {
  static let time: Int64 = 1_700_000_000_000

  private static func refusal(_ text: String, _ keys: [APIKey], at time: Int64) -> KeyRefusal? {
    do throws(KeyRefusal) {
      _ = try KeyRing(keys).find(text, at: time)
      return nil
    } catch {
      return error
    }
  }

  @Test("a secret finds its own key, with the rights of the key")
  func found() throws {
    let one = TestKey(1, [.publish], types: ["a_*"])
    let two = TestKey(2, [.read, .admin])
    let ring = KeyRing([one.key, two.key])
    #expect(try ring.find(one.secret, at: Self.time).rights == one.key.rights)
    let use = try ring.find(two.secret, at: Self.time)
    #expect(use.id == two.key.id && use.rights == two.key.rights)
    #expect(ring.end(of: use) == .max)
  }

  @Test("no other text finds a key")
  func unknown() throws {
    let one = TestKey(1)
    let two = TestKey(2)
    let secret = one.secret
    var texts = [
      "", "ck_", "ck", two.secret, secret + "x", String(secret.dropLast()), " " + secret,
      secret.uppercased(), one.key.id.text, one.key.id.prefix, one.key.id.prefix + "_",
      "ck_\u{E9}\u{301}" + secret, secret + "\u{301}",
    ]
    // The secret of another key after the id of this one, an unknown id, and a long text.
    texts.append(one.key.id.prefix + String(two.secret.dropFirst(19)))
    texts.append("ck_" + String(repeating: "z", count: 16) + String(secret.dropFirst(19)))
    texts.append(String(repeating: "ck_", count: 3_000))
    for index in secret.indices.dropLast() {
      texts.append(String(secret[..<index]) + "~" + String(secret[secret.index(after: index)...]))
    }
    for text in texts {
      #expect(Self.refusal(text, [one.key], at: Self.time) == .unknown, "\(text)")
      #expect(Self.refusal(text, [], at: Self.time) == .unknown)
    }
    #expect(Self.refusal(secret, [one.key], at: Self.time) == nil)
  }

  @Test("a key is refused from its end on, and once it is revoked")
  func ended() throws {
    let expiring = TestKey(1, until: Self.time)
    #expect(Self.refusal(expiring.secret, [expiring.key], at: Self.time - 1) == nil)
    #expect(Self.refusal(expiring.secret, [expiring.key], at: Self.time) == .expired)
    var revoked = TestKey(2, until: Self.time)
    let use = try KeyRing([revoked.key]).find(revoked.secret, at: 0)
    #expect(KeyRing([revoked.key]).end(of: use) == Self.time)
    revoked.key.revoke(at: 5)
    #expect(Self.refusal(revoked.secret, [revoked.key], at: 0) == .revoked)
    #expect(KeyRing([revoked.key]).end(of: use) == nil)
    #expect(KeyRing([]).end(of: use) == nil)
  }

  @Test("after a rotation two secrets are valid, the earlier one until the end of the overlap")
  func rotated() throws {
    var one = TestKey(1)
    let before = try KeyRing([one.key]).find(one.secret, at: Self.time)
    let newer = TestKey.secret(of: one.key.id, 7)
    one.key.rotate(to: TestKey.digest(of: newer), at: Self.time, overlapMilliseconds: 1_000)
    let ring = KeyRing([one.key])
    #expect(try ring.find(newer, at: Self.time + 9_999).secretNumber == 1)
    let earlier = try ring.find(one.secret, at: Self.time + 999)
    #expect(earlier == before && ring.end(of: earlier) == Self.time + 1_000)
    #expect(Self.refusal(one.secret, [one.key], at: Self.time + 1_000) == .expired)
    let newest = TestKey.secret(of: one.key.id, 8)
    one.key.rotate(to: TestKey.digest(of: newest), at: Self.time, overlapMilliseconds: 1_000)
    #expect(Self.refusal(one.secret, [one.key], at: Self.time) == .unknown)
    #expect(Self.refusal(newer, [one.key], at: Self.time) == nil)
    #expect(KeyRing([one.key]).end(of: before) == nil)
  }

  @Test("an earlier secret ends with its key, if that is sooner")
  func rotatedExpiring() throws {
    var one = TestKey(1, until: Self.time + 500)
    let newer = TestKey.secret(of: one.key.id, 7)
    one.key.rotate(to: TestKey.digest(of: newer), at: Self.time, overlapMilliseconds: 1_000)
    let ring = KeyRing([one.key])
    let use = try ring.find(one.secret, at: Self.time)
    #expect(ring.end(of: use) == Self.time + 500)
  }
}
