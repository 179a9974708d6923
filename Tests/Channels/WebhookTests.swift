import Channels
import Notifications
import Testing

@Suite("Standard Webhooks: secrets and signatures")
struct WebhookTests {
  // The example of the specification's reference libraries.
  private static let known = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

  @Test("the example of the reference libraries has its signature")
  func vector() throws {
    let secret = try #require(WebhookSecret(Self.known))
    let fields = WebhookSignature.fields(
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330,
      body: Array(#"{"test": 2432232314}"#.utf8), secrets: [secret])
    #expect(fields.map(\.0) == ["webhook-id", "webhook-timestamp", "webhook-signature"])
    #expect(
      fields.map(\.1) == [
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
      ])
  }

  @Test("while a secret rotates there is a signature of each")
  func rotation() throws {
    let secrets = [UInt8(1), 2].map {
      WebhookSecret(randomBytes: [UInt8](repeating: $0, count: 32))
    }
    func signature(_ secrets: [WebhookSecret]) -> String {
      WebhookSignature.fields(id: "a", seconds: -1, body: [], secrets: secrets)[2].1
    }
    #expect(
      signature(secrets) == "\(signature([secrets[0]])) \(signature([secrets[1]]))")
    #expect(signature([secrets[0]]) != signature([secrets[1]]))
  }

  @Test("a secret has its text form back", arguments: [24, 25, 26, 32, 63, 64])
  func roundTrip(count: Int) throws {
    let secret = WebhookSecret(randomBytes: (0..<count).map { UInt8($0) })
    let text = secret.reveal()
    #expect(text.hasPrefix("whsec_"))
    #expect(try #require(WebhookSecret(text)).reveal() == text)
  }

  @Test(
    "other texts are no secret",
    arguments: [
      "", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS=",
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", " whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-", "whsec_" + String(repeating: "AAAA", count: 7),
      "whsec_" + String(repeating: "AAAA", count: 22), "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "whsec_" + String(repeating: "A", count: 1 << 20),
    ])
  func refused(text: String) {
    #expect(WebhookSecret(text) == nil)
  }

  @Test("no description of a secret shows it")
  func descriptions() throws {
    let secret = try #require(WebhookSecret(Self.known))
    var dumped = ""
    dump(secret, to: &dumped)
    dump([secret], to: &dumped)
    for text in ["\(secret)", String(reflecting: secret), "\([secret])", "\((secret, 1))", dumped] {
      #expect(!text.contains("MfKQ") && !text.contains("49"), "\(text)")
    }
  }
}
