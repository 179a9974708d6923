// User agents: shared, cut and bounded.

import Notifications
import Testing

@testable import Server

@Suite("User agents")
struct UserAgentTests {
  @Test(
    "a user agent is cut after the last whole character that fits",
    arguments: [
      ("", ""), (String(repeating: "x", count: 256), String(repeating: "x", count: 256)),
      (String(repeating: "x", count: 257), String(repeating: "x", count: 256)),
      (String(repeating: "é", count: 129), String(repeating: "é", count: 128)),
      ("x" + String(repeating: "é", count: 128), "x" + String(repeating: "é", count: 127)),
      ("xy" + String(repeating: "😀", count: 64), "xy" + String(repeating: "😀", count: 63)),
    ])
  func bounded(text: String, kept: String) {
    #expect(UserAgents.bounded(text) == kept)
    #expect(UserAgents.bounded(text).utf8.count <= UserAgents.byteCountLimit)
  }

  @Test func `connections with the same user agent share one text`() {
    var agents = UserAgents(countLimit: 4)
    let one = agents.shared("Mozilla/5.0 (X11; Linux x86_64)")
    let two = agents.shared(["Mozilla/5.0 (X11; ", "Linux x86_64)"].joined())
    #expect(one != nil && one === two)
    #expect(agents.count == 1)
  }

  @Test func `made-up names do not make the table grow, and one that is there stays`() {
    var agents = UserAgents(countLimit: 4)
    for number in 1...4 { #expect(agents.shared("program \(number)")?.text == "program \(number)") }
    #expect(agents.shared("program 2")?.text == "program 2" && agents.shared("") == nil)
    #expect(agents.count == 4)
    for number in 5...1_000 {
      #expect(agents.shared("program \(number)")?.text == "program \(number)")
      #expect(agents.count <= 4)
    }
  }
}

@Suite("The first of many users")
struct UserSelectionTests {
  @Test func `the first users come out in order, whatever order they came in`() {
    let users = (0..<500).map { "user \(1_000 + $0)" }
    for limit in [1, 2, 7, 250, 499, 500, 501] {
      for after in [nil, "", "user 1000", "user 1100", "user 1499", "z"] {
        var selection = UserSelection(limit: limit, after: after)
        for user in users.shuffled() { selection.offer(TextKey(user)) }
        let page = selection.finish()
        let expected = users.filter { $0 > after ?? "" }
        #expect(page.users == Array(expected.prefix(limit)), "\(limit) \(after ?? "")")
        #expect(page.hasMore == (expected.count > limit) && page.total == 500)
      }
    }
  }
}
