// The directory of connections by user, against a plain dictionary of arrays.

import Notifications
import TestSupport
import Testing

/// A directory, and the users of its slots.
private final class Fixture {
  final class Users {
    var bySlot: [UInt32: String] = [:]
  }

  private let users = Users()
  var directory: Directory

  init() {
    directory = Directory { [users] in users.bySlot[$0] ?? "" }
  }

  func insert(_ slot: UInt32, _ user: String) {
    users.bySlot[slot] = user
    directory.insert(slot: slot)
  }

  /// Gives a slot another user without a call to the directory.
  func set(_ user: String, at slot: UInt32) { users.bySlot[slot] = user }
}

@Suite("The directory of connections by user")
struct DirectoryTests {
  @Test("a user's connections are listed in insertion order")
  func order() {
    let fixture = Fixture()
    for slot: UInt32 in [7, 3, 12] { fixture.insert(slot, "u") }
    fixture.insert(5, "v")
    #expect(fixture.directory.slots(of: "u") == [7, 3, 12])
    #expect(fixture.directory.slots(of: "v") == [5])
    #expect(fixture.directory.slots(of: "w").isEmpty)
    #expect(fixture.directory.userCount == 2)
    #expect(fixture.directory.connectionCount == 4)
  }

  @Test("any connection of a ring can be removed: first, middle, last, only")
  func removal() {
    for removed: UInt32 in [0, 1, 2] {
      let fixture = Fixture()
      for slot: UInt32 in [0, 1, 2] { fixture.insert(slot, "u") }
      let wasThere1 = fixture.directory.remove(slot: removed)
      #expect(wasThere1)
      let wasThere2 = fixture.directory.remove(slot: removed)
      #expect(!wasThere2)
      #expect(fixture.directory.slots(of: "u") == [0, 1, 2].filter { $0 != removed })
      // A removed index can be inserted again for any user.
      fixture.insert(removed, "v")
      #expect(fixture.directory.slots(of: "v") == [removed])
    }
    let fixture = Fixture()
    fixture.insert(9, "u")
    let wasThere3 = fixture.directory.remove(slot: 9)
    #expect(wasThere3)
    #expect(!fixture.directory.contains(user: "u"))
    #expect(fixture.directory.userCount == 0)
    let wasThere4 = fixture.directory.remove(slot: 1_000_000)
    #expect(!wasThere4)
  }

  @Test("two spellings of one letter are two users")
  func spellings() {
    let fixture = Fixture()
    fixture.insert(1, "\u{E9}")
    #expect(fixture.directory.contains(user: "\u{E9}"))
    #expect(!fixture.directory.contains(user: "e\u{301}"))
    fixture.insert(2, "e\u{301}")
    #expect(fixture.directory.slots(of: "\u{E9}") == [1])
    #expect(fixture.directory.slots(of: "e\u{301}") == [2])
  }

  @Test("after random operations it equals a dictionary of arrays")
  func model() {
    var random = SeededGenerator.announced()
    let fixture = Fixture()
    var model: [String: [UInt32]] = [:]
    var owners: [UInt32: String] = [:]
    for _ in 0..<50_000 {
      let slot = UInt32.random(in: 0..<200, using: &random)
      if let owner = owners[slot] {
        let wasThere5 = fixture.directory.remove(slot: slot)
        #expect(wasThere5)
        owners[slot] = nil
        model[owner]?.removeAll { $0 == slot }
        if model[owner]?.isEmpty == true { model[owner] = nil }
      } else {
        let user = "user-\(Int.random(in: 0..<40, using: &random))"
        fixture.insert(slot, user)
        owners[slot] = user
        model[user, default: []].append(slot)
      }
      let user = "user-\(Int.random(in: 0..<40, using: &random))"
      #expect(fixture.directory.slots(of: user) == model[user] ?? [])
      #expect(fixture.directory.count(of: user) == model[user]?.count ?? 0)
      #expect(fixture.directory.contains(user: user) == (model[user] != nil))
      #expect(fixture.directory.userCount == model.count)
      #expect(fixture.directory.connectionCount == owners.count)
      fixture.directory.checkInvariants()
    }
    var users: [String] = []
    fixture.directory.forEachUser { users.append($0.text) }
    #expect(users.sorted() == model.keys.sorted())
  }

  @Test("removing a connection index whose user has changed is a programming error")
  func changedUser() async {
    await #expect(processExitsWith: .failure) {
      let fixture = Fixture()
      fixture.insert(1, "u")
      fixture.set("v", at: 1)
      fixture.directory.remove(slot: 1)
    }
  }

  @Test("inserting a connection index twice is a programming error")
  func doubleInsertion() async {
    await #expect(processExitsWith: .failure) {
      let fixture = Fixture()
      fixture.insert(1, "u")
      fixture.insert(1, "v")
    }
  }
}
