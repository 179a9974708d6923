// The directory of connections by user, against a plain dictionary of arrays.

import Notifications
import TestSupport
import Testing

@Suite("The directory of connections by user")
struct DirectoryTests {
  @Test("a user's connections are listed in insertion order")
  func order() {
    var directory = Directory()
    for slot: UInt32 in [7, 3, 12] { directory.insert(slot: slot, user: "u") }
    directory.insert(slot: 5, user: "v")
    #expect(directory.slots(of: "u") == [7, 3, 12])
    #expect(directory.slots(of: "v") == [5])
    #expect(directory.slots(of: "w").isEmpty)
    #expect(directory.userCount == 2)
    #expect(directory.connectionCount == 4)
  }

  @Test("any connection of a ring can be removed: first, middle, last, only")
  func removal() {
    for removed: UInt32 in [0, 1, 2] {
      var directory = Directory()
      for slot: UInt32 in [0, 1, 2] { directory.insert(slot: slot, user: "u") }
      let wasThere1 = directory.remove(slot: removed, user: "u")
      #expect(wasThere1)
      let wasThere2 = directory.remove(slot: removed, user: "u")
      #expect(!wasThere2)
      #expect(directory.slots(of: "u") == [0, 1, 2].filter { $0 != removed })
      // A removed index can be inserted again for any user.
      directory.insert(slot: removed, user: "v")
      #expect(directory.slots(of: "v") == [removed])
    }
    var directory = Directory()
    directory.insert(slot: 9, user: "u")
    let wasThere3 = directory.remove(slot: 9, user: "u")
    #expect(wasThere3)
    #expect(!directory.contains(user: "u"))
    #expect(directory.userCount == 0)
    let wasThere4 = directory.remove(slot: 1_000_000, user: "u")
    #expect(!wasThere4)
  }

  @Test("two spellings of one letter are two users")
  func spellings() {
    var directory = Directory()
    directory.insert(slot: 1, user: "\u{E9}")
    #expect(directory.contains(user: "\u{E9}"))
    #expect(!directory.contains(user: "e\u{301}"))
    directory.insert(slot: 2, user: "e\u{301}")
    #expect(directory.slots(of: "\u{E9}") == [1])
    #expect(directory.slots(of: "e\u{301}") == [2])
  }

  @Test("after random operations it equals a dictionary of arrays")
  func model() {
    var random = SeededGenerator.announced()
    var directory = Directory()
    var model: [String: [UInt32]] = [:]
    var owners: [UInt32: String] = [:]
    for _ in 0..<50_000 {
      let slot = UInt32.random(in: 0..<200, using: &random)
      if let owner = owners[slot] {
        let wasThere5 = directory.remove(slot: slot, user: owner)
        #expect(wasThere5)
        owners[slot] = nil
        model[owner]?.removeAll { $0 == slot }
        if model[owner]?.isEmpty == true { model[owner] = nil }
      } else {
        let user = "user-\(Int.random(in: 0..<40, using: &random))"
        directory.insert(slot: slot, user: user)
        owners[slot] = user
        model[user, default: []].append(slot)
      }
      let user = "user-\(Int.random(in: 0..<40, using: &random))"
      #expect(directory.slots(of: user) == model[user] ?? [])
      #expect(directory.count(of: user) == model[user]?.count ?? 0)
      #expect(directory.contains(user: user) == (model[user] != nil))
      #expect(directory.userCount == model.count)
      #expect(directory.connectionCount == owners.count)
    }
    var users: [String] = []
    directory.forEachUser { users.append($0.text) }
    #expect(users.sorted() == model.keys.sorted())
  }

  @Test("inserting a connection index twice is a programming error")
  func doubleInsertion() async {
    await #expect(processExitsWith: .failure) {
      var directory = Directory()
      directory.insert(slot: 1, user: "u")
      directory.insert(slot: 1, user: "v")
    }
  }
}
