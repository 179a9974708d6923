// API keys in the store: their changes, their number, their removal, and damage.

import Notifications
import Reactor
import Testing

@testable import Storage

extension APIKeyID {
  /// A distinct id for each number.
  static func test(_ number: Int) -> APIKeyID {
    let digits = String(number)
    return APIKeyID(characters: String(repeating: "0", count: 16 - digits.count) + digits)!
  }
}

extension SecretDigest {
  /// 32 equal bytes.
  static func test(_ byte: UInt8) -> SecretDigest {
    SecretDigest([UInt8](repeating: byte, count: byteCount))!
  }
}

extension StoreFixture {
  static let day: Int64 = 86_400_000

  func key(_ number: Int, until end: Int64? = nil) -> APIKey {
    APIKey(
      id: .test(number), name: "key \(number)",
      rights: APIRights(verbs: [.publish, .admin], types: ["incident_*", "a.b"]),
      createdAt: 1_000, expiresAt: end, digest: .test(1))
  }

  func run(_ command: APIKeyCommand) -> APIKeyOutcome? {
    guard case .apiKeys(let outcome) = submit(.apiKeys(command)) else { return nil }
    return outcome
  }

  /// The ids of all keys that the store lists, read in pages of that size.
  func listedKeys(pageOf limit: Int = 100) -> [APIKey] {
    var keys: [APIKey] = []
    var after: UInt64?
    repeat {
      guard case .apiKeys(let page, let next) = read(.apiKeys(after: after, limit: limit)) else {
        Issue.record("no page of keys")
        return keys
      }
      #expect(page.count <= limit)
      keys += page
      after = next
    } while after != nil
    return keys
  }
}

@Suite("API keys in the store", .timeLimit(.minutes(10)))
struct APIKeyTests {
  @Test("a key is created, rotated and revoked, and is the same after a restart")
  func changes() throws {
    let fixture = try StoreFixture()
    let first = fixture.key(1)
    #expect(fixture.run(.create(first)) == .changed(first, all: [first]))
    let second = fixture.key(2, until: 9_000)
    #expect(fixture.run(.create(second)) == .changed(second, all: [first, second]))
    var rotated = first
    rotated.rotate(to: .test(2), at: 2_000, overlapMilliseconds: 500)
    #expect(rotated.earlier == APIKey.EarlierSecret(digest: .test(1), endsAt: 2_500))
    #expect(
      fixture.run(.rotate(first.id, to: .test(2), at: 2_000, overlapMilliseconds: 500))
        == .changed(rotated, all: [rotated, second]))
    var revoked = second
    revoked.revoke(at: 3_000)
    #expect(
      fixture.run(.revoke(second.id, at: 3_000)) == .changed(revoked, all: [rotated, revoked]))
    #expect(fixture.store.metrics.apiKeys == 1)
    #expect(
      fixture.run(.revoke(second.id, at: 4_000)) == .changed(revoked, all: [rotated, revoked]))
    #expect(fixture.listedKeys() == [rotated, revoked])
    #expect(fixture.store.metrics.lastOffset == 0 && fixture.events.current.isEmpty)
    fixture.store.close()
    let again = try StoreFixture(in: fixture.directory)
    #expect(again.store.apiKeys == [rotated, revoked])
    #expect(again.store.metrics.apiKeys == 1 && again.store.metrics.corruptRows == 0)
  }

  @Test("an unknown key and one that has ended are not changed")
  func refusals() throws {
    let fixture = try StoreFixture()
    #expect(fixture.run(.revoke(.test(1), at: 1)) == .unknown)
    #expect(
      fixture.run(.rotate(.test(1), to: .test(2), at: 1, overlapMilliseconds: 0)) == .unknown)
    let expiring = fixture.key(2, until: 2_000)
    _ = fixture.run(.create(expiring))
    #expect(
      fixture.run(.rotate(.test(2), to: .test(2), at: 2_000, overlapMilliseconds: 0)) == .ended)
    _ = fixture.run(.create(fixture.key(3)))
    _ = fixture.run(.revoke(.test(3), at: 1_500))
    #expect(
      fixture.run(.rotate(.test(3), to: .test(2), at: 1_600, overlapMilliseconds: 0)) == .ended)
    #expect(fixture.listedKeys().map(\.digest) == [.test(1), .test(1)])
  }

  @Test("a rotation ends a secret from before the latest one, and without overlap both")
  func secrets() throws {
    var key = try StoreFixture().key(1)
    key.rotate(to: .test(2), at: 10, overlapMilliseconds: 100)
    key.rotate(to: .test(3), at: 20, overlapMilliseconds: 100)
    #expect(key.digest == .test(3) && key.secretNumber == 2)
    #expect(key.earlier == APIKey.EarlierSecret(digest: .test(2), endsAt: 120))
    key.rotate(to: .test(4), at: 30, overlapMilliseconds: 0)
    #expect(key.digest == .test(4) && key.earlier == nil)
  }

  @Test("at the limit, keys that have ended make room, the oldest end first, and others do not")
  func limit() throws {
    let fixture = try StoreFixture()
    for number in 0..<APIKey.countLimit {
      let end: Int64? = [7: 5_000, 8: 4_000, 9: 900_000][number]
      guard case .changed = fixture.run(.create(fixture.key(number, until: end))) else {
        Issue.record("key \(number) is refused")
        return
      }
    }
    func create(_ number: Int, at time: Int64) -> APIKeyOutcome? {
      let new = APIKey(
        id: .test(number), name: "n", rights: .all, createdAt: time, expiresAt: nil,
        digest: .test(1))
      return fixture.run(.create(new))
    }
    let full = APIKeyOutcome.full(limit: APIKey.countLimit)
    #expect(create(2_000, at: 3_000) == full)
    guard case .changed = create(2_001, at: 6_000) else {
      Issue.record("no room")
      return
    }
    let ids = fixture.listedKeys(pageOf: 64).map(\.id)
    #expect(ids.count == APIKey.countLimit)
    #expect(!ids.contains(.test(8)) && ids.contains(.test(7)) && ids.last == .test(2_001))
    guard case .changed = create(2_002, at: 6_000) else {
      Issue.record("no room")
      return
    }
    #expect(create(2_003, at: 6_000) == full)
  }

  @Test("a key is removed 30 days after it has ended, in the store's own time")
  func removal() throws {
    let fixture = try StoreFixture()
    _ = fixture.run(.create(fixture.key(1, until: 2_000)))
    _ = fixture.run(.create(fixture.key(2)))
    _ = fixture.run(.create(fixture.key(3)))
    #expect(fixture.store.nextExpiry == 2_000 + 30 * StoreFixture.day)
    _ = fixture.run(.revoke(.test(3), at: 1_500))
    let due = 1_500 + 30 * StoreFixture.day
    #expect(fixture.store.nextExpiry == due)
    #expect(fixture.submit(.expire(at: due - 1)) == .expired(hasMore: false))
    #expect(fixture.listedKeys().count == 3)
    #expect(fixture.submit(.expire(at: due)) == .expired(hasMore: false))
    #expect(fixture.listedKeys().map(\.id) == [.test(1), .test(2)])
    #expect(fixture.store.nextExpiry == due + 500)
    fixture.store.close()
    let again = try StoreFixture(in: fixture.directory)
    #expect(again.store.nextExpiry == due + 500)
    #expect(again.submit(.expire(at: .max)) == .expired(hasMore: false))
    #expect(again.submit(.expire(at: .min)) == .expired(hasMore: false))
    #expect(again.listedKeys().map(\.id) == [.test(2)])
    #expect(again.store.nextExpiry == nil && again.store.metrics.apiKeys == 1)
  }

  @Test("the time of the last use only rises, and changes no checksum")
  func uses() throws {
    let fixture = try StoreFixture()
    _ = fixture.run(.create(fixture.key(1)))
    _ = fixture.run(.create(fixture.key(2)))
    #expect(fixture.listedKeys().map(\.lastUsedAt) == [nil, nil])
    #expect(fixture.run(.noteUses([.test(1): 120_000, .test(9): 60_000])) == .noted)
    #expect(fixture.run(.noteUses([.test(1): 60_000, .test(2): 60_000])) == .noted)
    #expect(fixture.listedKeys().map(\.lastUsedAt) == [120_000, 60_000])
    fixture.sql(
      "PRAGMA ignore_check_constraints = 1; UPDATE api_key SET last_used_at = \(Int64.max)")
    #expect(fixture.listedKeys().map(\.lastUsedAt) == [nil, nil])
    #expect(fixture.store.metrics.corruptRows == 0)
  }

  @Test(
    "a damaged row is no key, and is reported",
    arguments: [
      "id = '000000000000000z'", "name = 'other'", "verbs = 'publish read admin'", "verbs = ''",
      "verbs = 'publish admin root'", "types = ''", "types = 'incident_* a.b *'",
      "created_at = 1001", "expires_at = NULL", "expires_at = \(Int64.max)", "revoked_at = 5",
      "digest = zeroblob(32)", "digest = x'00'", "secret_number = 2", "secret_number = -1",
      "earlier_digest = NULL", "earlier_digest = zeroblob(32)", "earlier_ends_at = 9999",
      "earlier_ends_at = NULL", "checksum = checksum + 1",
    ])
  func damage(change: String) throws {
    let fixture = try StoreFixture()
    _ = fixture.run(.create(fixture.key(1, until: 9_000_000)))
    _ = fixture.run(.create(fixture.key(2)))
    let rotation = APIKeyCommand.rotate(
      .test(1), to: .test(5), at: 2_000, overlapMilliseconds: 1_000)
    #expect(fixture.run(rotation) != .unknown)
    fixture.sql("UPDATE api_key SET \(change) WHERE id LIKE '%1'")
    #expect(fixture.listedKeys().map(\.id) == [.test(2)])
    #expect(fixture.store.metrics.corruptRows > 0)
    #expect(fixture.run(rotation) == .unknown)
    let last = fixture.key(3)
    #expect(fixture.run(.create(last)) == .changed(last, all: [fixture.key(2), last]))
    fixture.store.close()
    let again = try StoreFixture(in: fixture.directory)
    #expect(again.store.apiKeys == [fixture.key(2), last])
    #expect(again.store.metrics.corruptRows == 1)
    #expect(again.notices.current.contains(.damage("1 API keys, which are refused")))
  }

  @Test(
    "a store of each earlier format takes keys",
    arguments: ["format1", "format2", "format2-preferences", "format3", "format4"])
  func formats(format: String) throws {
    let fixture = try StoreFixture(in: StoreFixture.directory(ofFormat: format))
    #expect(fixture.store.apiKeys.isEmpty)
    let key = fixture.key(1)
    #expect(fixture.run(.create(key)) == .changed(key, all: [key]))
    #expect(fixture.listedKeys() == [key])
  }

  @Test("a command that fails changes no key")
  func rollback() throws {
    let fixture = try StoreFixture()
    let key = fixture.key(1)
    _ = fixture.run(.create(key))
    // The id is taken.
    let outcome = fixture.submit(.apiKeys(.create(fixture.key(1, until: 5_000))))
    guard case .readOnly = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(fixture.listedKeys() == [key])
    #expect(fixture.store.failure == nil)
  }

  @Test("a key of which the commit fails is not acknowledged, and the next start finds all or none")
  func failedCommit() throws {
    let directory = TemporaryDirectory()
    let key: APIKey
    do {
      let files = FaultFileSystem()
      let fixture = try StoreFixture(in: directory, fileSystem: files)
      key = fixture.key(1)
      #expect(fixture.run(.create(key)) == .changed(key, all: [key]))
      files.fail(.sync(.log))
      guard case .unknown = fixture.submit(.apiKeys(.revoke(key.id, at: 5))) else {
        Issue.record("a revocation that is not on the disk was acknowledged")
        return
      }
      guard case .readOnly = fixture.submit(.apiKeys(.create(fixture.key(2)))) else {
        Issue.record("a failed store accepted a key")
        return
      }
      #expect(fixture.store.metrics.apiKeys == 1)
      files.fail()
    }
    var revoked = key
    revoked.revoke(at: 5)
    let found = try StoreFixture(in: directory).store.apiKeys
    #expect(found == [key] || found == [revoked])
  }

  @Test("the file holds the digest of a secret, and printing a key shows not even that")
  func digests() throws {
    let key = try StoreFixture().key(1)
    var text = ""
    dump(key, to: &text)
    for printed in ["\(key)", String(reflecting: key), text] {
      #expect(printed.contains("digest") && !printed.contains("1, 1, 1"), "\(printed)")
    }
  }
}
