// Webhook endpoints in the store: changes, rotation, limits and damage.

import Notifications
import Storage
import Testing

@Suite("Webhook endpoints in the store", .timeLimit(.minutes(10)))
struct WebhookRowTests {
  @Test("an endpoint is stored, changed, and read back after a restart")
  func changes() throws {
    let directory = TemporaryDirectory()
    var changed: WebhookEndpoint?
    do {
      let fixture = try StoreFixture(in: directory)
      let stored = try #require(fixture.addWebhook(types: WebhookTypes([.userOnline])))
      #expect(fixture.webhooks() == [stored])
      #expect(stored.isEnabled && stored.types.names == ["user.online"])
      var change = WebhookChange()
      change.url = "https://example.com/new"
      change.types = WebhookTypes([.roomVacated, .roomOccupied])
      change.about = "New"
      change.disabledReason = .some(.gone)
      guard case .outbox(.webhook(let found)) = fixture.outbox(.change("wh_1", change, at: 9))
      else {
        Issue.record("not changed")
        return
      }
      #expect(found.types.names == ["room.occupied", "room.vacated"])
      #expect(found.disabledReason == .gone && found.updatedAt == 9 && found.key == stored.key)
      changed = found
      #expect(fixture.outbox(.change("wh_2", change, at: 9)) == .outbox(.unknownWebhook))
      #expect(fixture.outbox(.test("wh_2", at: 9)) == .outbox(.unknownWebhook))
      fixture.store.close()
    }
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.webhooks() == [try #require(changed)])
  }

  @Test("a rotated secret signs together with the old one until that ends")
  func rotation() throws {
    let fixture = try StoreFixture()
    let stored = try #require(fixture.addWebhook())
    var change = WebhookChange()
    change.secret = WebhookSecret(randomBytes: [UInt8](repeating: 8, count: 32))
    change.previousSecretEndsAt = 100
    _ = fixture.outbox(.change("wh_1", change, at: 50))
    let rotated = try #require(fixture.webhooks().first)
    let new = try #require(change.secret)
    #expect(rotated.secrets(at: 99) == [new, stored.secret])
    #expect(rotated.secrets(at: 100) == [new])
  }

  @Test("a disabled endpoint gets no events, and its waiting deliveries stay")
  func disabled() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    fixture.publish("ann")
    var change = WebhookChange()
    change.disabledReason = .some(.byRequest)
    _ = fixture.outbox(.change("wh_1", change, at: 9))
    fixture.publish("ann")
    #expect(fixture.first(one).map(\.sequence) == [1])
    change.disabledReason = .some(nil)
    _ = fixture.outbox(.change("wh_1", change, at: 9))
    fixture.publish("ann")
    #expect(fixture.first(one).map(\.sequence) == [1, 2])
  }

  @Test("a test is an event for one endpoint, of any types, and also for a disabled one")
  func tests() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook("wh_1", types: WebhookTypes([.userOnline])))
    let two = try #require(fixture.addWebhook("wh_2"))
    guard case .outbox(.recorded(let id)) = fixture.outbox(.test("wh_1", at: 9)) else {
      Issue.record("not recorded")
      return
    }
    let row = try #require(fixture.first(one).first)
    #expect(row.messageID == id && row.type == .test)
    #expect(
      row.text
        == #"{"type":"webhook.test","timestamp":"1970-01-01T00:00:00.009Z","#
        + #""data":{"webhook":"wh_1","seq":1}}"#)
    #expect(fixture.first(two).isEmpty)
  }

  @Test("a hundred endpoints are the limit")
  func limit() throws {
    let fixture = try StoreFixture()
    for number in 0..<100 { #expect(fixture.addWebhook("wh_\(number)") != nil) }
    let endpoint = WebhookEndpoint(
      id: "wh_x", url: "https://example.com", types: .all, about: "",
      secret: WebhookSecret(randomBytes: [UInt8](repeating: 8, count: 32)), createdAt: 1)
    #expect(fixture.outbox(.create(endpoint)) == .refused(.webhooks(limit: 100)))
  }

  @Test(
    "a damaged endpoint is left out and reported, and a damaged message is never sent",
    arguments: [
      "UPDATE webhook SET url = 'https://evil.example'", "UPDATE webhook SET secret = x'00'",
      "UPDATE webhook SET types = 1", "UPDATE webhook SET disabled_reason = 9",
    ])
  func damage(change: String) throws {
    let directory = TemporaryDirectory()
    do {
      let fixture = try StoreFixture(in: directory)
      fixture.addWebhook("wh_1", types: WebhookTypes([.userOnline]))
      fixture.store.close()
    }
    StoreFixture.sql(change, at: directory.databasePath)
    let fixture = try StoreFixture(in: directory)
    #expect(fixture.webhooks().isEmpty)
    #expect(fixture.notices.current.contains(.damage("a webhook endpoint cannot be right")))
    #expect(fixture.outbox(.test("wh_1", at: 1)) == .outbox(.unknownWebhook))
  }

  @Test(
    "a damaged message has no body",
    arguments: [
      "body = x'7b7d'", "message_id = 'msg_other'", "subject = 'uother'", "type = 99",
    ])
  func damagedMessage(change: String) throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    fixture.publish("ann")
    #expect(fixture.first(one).first?.body != nil)
    fixture.sql("UPDATE outbox_event SET \(change)")
    #expect(fixture.first(one).map(\.body) == [nil])
  }

  @Test("printing an endpoint shows nothing of its secrets")
  func printing() throws {
    let fixture = try StoreFixture()
    let one = try #require(fixture.addWebhook())
    var text = ""
    dump(one, to: &text)
    #expect(!(text + "\(one)" + String(reflecting: one)).contains("7, 7"))
  }
}
