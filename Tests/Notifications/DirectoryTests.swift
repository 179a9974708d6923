// Who listens where: against a plain dictionary of arrays.

import Notifications
import TestSupport
import Testing

@Suite("The directory of who listens where")
struct DirectoryTests {
  @Test("a user's places come in the order they were inserted")
  func order() {
    var directory = Directory()
    for place: UInt32 in [7, 3, 12] { directory.insert(place: place, user: "u") }
    directory.insert(place: 5, user: "v")
    #expect(directory.places(of: "u") == [7, 3, 12])
    #expect(directory.places(of: "v") == [5])
    #expect(directory.places(of: "w").isEmpty)
    #expect(directory.userCount == 2)
    #expect(directory.placeCount == 4)
  }

  @Test("any place of a ring can be taken out: first, middle, last, only")
  func removal() {
    for removed: UInt32 in [0, 1, 2] {
      var directory = Directory()
      for place: UInt32 in [0, 1, 2] { directory.insert(place: place, user: "u") }
      let wasThere1 = directory.remove(place: removed, user: "u")
      #expect(wasThere1)
      let wasThere2 = directory.remove(place: removed, user: "u")
      #expect(!wasThere2)
      #expect(directory.places(of: "u") == [0, 1, 2].filter { $0 != removed })
      // A place is free again for anyone.
      directory.insert(place: removed, user: "v")
      #expect(directory.places(of: "v") == [removed])
    }
    var directory = Directory()
    directory.insert(place: 9, user: "u")
    let wasThere3 = directory.remove(place: 9, user: "u")
    #expect(wasThere3)
    #expect(!directory.contains(user: "u"))
    #expect(directory.userCount == 0)
    let wasThere4 = directory.remove(place: 1_000_000, user: "u")
    #expect(!wasThere4)
  }

  @Test("two spellings of one letter are two users")
  func spellings() {
    var directory = Directory()
    directory.insert(place: 1, user: "\u{E9}")
    #expect(directory.contains(user: "\u{E9}"))
    #expect(!directory.contains(user: "e\u{301}"))
    directory.insert(place: 2, user: "e\u{301}")
    #expect(directory.places(of: "\u{E9}") == [1])
    #expect(directory.places(of: "e\u{301}") == [2])
  }

  @Test("after random operations it says what a dictionary of arrays says")
  func model() {
    var random = SeededGenerator.announced()
    var directory = Directory()
    var model: [String: [UInt32]] = [:]
    var owners: [UInt32: String] = [:]
    for _ in 0..<50_000 {
      let place = UInt32.random(in: 0..<200, using: &random)
      if let owner = owners[place] {
        let wasThere5 = directory.remove(place: place, user: owner)
        #expect(wasThere5)
        owners[place] = nil
        model[owner]?.removeAll { $0 == place }
        if model[owner]?.isEmpty == true { model[owner] = nil }
      } else {
        let user = "user-\(Int.random(in: 0..<40, using: &random))"
        directory.insert(place: place, user: user)
        owners[place] = user
        model[user, default: []].append(place)
      }
      let user = "user-\(Int.random(in: 0..<40, using: &random))"
      #expect(directory.places(of: user) == model[user] ?? [])
      #expect(directory.count(of: user) == model[user]?.count ?? 0)
      #expect(directory.contains(user: user) == (model[user] != nil))
      #expect(directory.userCount == model.count)
      #expect(directory.placeCount == owners.count)
    }
    var users: [String] = []
    directory.forEachUser { users.append($0.text) }
    #expect(users.sorted() == model.keys.sorted())
  }

  @Test("a place that is there already is a programming error")
  func doubleInsertion() async {
    await #expect(processExitsWith: .failure) {
      var directory = Directory()
      directory.insert(place: 1, user: "u")
      directory.insert(place: 1, user: "v")
    }
  }
}
