// The order in which parties' questions are asked: their turns, their parts, and shared answers.

import Notifications
import TestSupport
import Testing

@testable import Server

@Suite("Round robin over parties")
struct FairQueueTests {
  private typealias Queue = FairQueue<Int, Int>

  private static func user(_ name: String) -> Party { Party(.user, name) }

  @Test func `a party with a hundred questions delays another party's by one`() {
    var queue = Queue(limit: 1, users: 1, publishers: 1)
    for question in 0..<100 {
      _ = queue.add(question, of: Self.user("a"), for: 0, isShared: false) { _ in true }
    }
    let first = queue.next()
    #expect(first?.party == Self.user("a"))
    for name in ["b", "c"] {
      _ = queue.add(1, of: Self.user(name), for: 0, isShared: false) { _ in true }
    }
    var names: [String] = []
    var entry = first
    while let ended = entry, names.count < 5 {
      queue.finish(ended)
      entry = queue.next()
      names.append(entry?.party.name.text ?? "none")
      queue.checkInvariants()
    }
    // `a` waits for its next turn after `b` and `c`.
    #expect(names == ["b", "c", "a", "a", "a"])
  }

  @Test func `a party has one question in flight, and others go on`() {
    var queue = Queue(limit: 8, users: 8, publishers: 8)
    for party in ["a", "a", "a", "b"] {
      _ = queue.add(0, of: Self.user(party), for: 0, isShared: false) { _ in true }
    }
    #expect(queue.next()?.party == Self.user("a"))
    #expect(queue.next()?.party == Self.user("b"))
    #expect(queue.next() == nil && queue.inFlightCount == 2)
    _ = queue.add(0, of: Self.user("a"), for: 0, isShared: false) { _ in true }
    #expect(queue.next() == nil && queue.inFlightCount == 2)
  }

  @Test func `users and publishers cannot take each other's part`() {
    for (many, few) in [(Party.Kind.user, Party.Kind.publisher), (.publisher, .user)] {
      var queue = Queue(limit: 8, users: 6, publishers: 6)
      for name in 0..<100 {
        _ = queue.add(0, of: Party(many, "\(name)"), for: 0, isShared: false) { _ in true }
      }
      for _ in 0..<6 { #expect(queue.next() != nil) }
      #expect(queue.next() == nil)
      _ = queue.add(0, of: Party(few, "x"), for: 0, isShared: false) { _ in true }
      #expect(queue.next()?.party.kind == few)
      queue.checkInvariants()
    }
  }

  @Test func `equal questions share an answer until it is asked for`() {
    var queue = Queue(limit: 8, users: 8, publishers: 8)
    let party = Self.user("a")
    let first = queue.add(7, of: party, for: 1, isShared: true) { _ in true }
    let second = queue.add(7, of: party, for: 2, isShared: true) { _ in true }
    #expect(first === second && queue.next()?.askers == [1, 2])
    // The answer in flight may be older than this question.
    let third = queue.add(7, of: party, for: 3, isShared: true) { _ in true }
    let fourth = queue.add(8, of: party, for: 4, isShared: true) { _ in true }
    let alone = queue.add(7, of: party, for: 5, isShared: false) { _ in true }
    #expect(third !== first && fourth !== third && alone !== third)
    // The same question of another party has another answer.
    #expect(queue.add(7, of: Self.user("b"), for: 6, isShared: true) { _ in true } !== third)
    // One letter, spelled as one character and as two, names two users.
    let composed = queue.add(7, of: Self.user("\u{E9}"), for: 7, isShared: true) { _ in true }
    let other = queue.add(7, of: Self.user("e\u{301}"), for: 8, isShared: true) { _ in true }
    #expect(composed !== other)
    queue.checkInvariants()
  }

  @Test func `askers that have ended are no more than those that wait`() {
    var queue = Queue(limit: 1, users: 1, publishers: 1)
    var open: Set<Int> = []
    for asker in 0..<10_000 {
      // Each asker ends as the next one but two comes.
      open.insert(asker)
      open.remove(asker - 3)
      let party = Self.user("\(asker % 50)")
      _ = queue.add(asker % 2, of: party, for: asker, isShared: asker % 3 == 0) {
        open.contains($0)
      }
      #expect(queue.waitingCounts.reduce(0, +) <= 130)
    }
    queue.checkInvariants()
  }

  /// A plain model: the questions of each party, and the parties in the order of their turns.
  private struct Model {
    var waiting: [Party: [(question: Int, isShared: Bool, askers: [Int])]] = [:]
    var inFlight: Set<Party> = []
    var turns: [Party.Kind: [Party]] = [:]

    mutating func add(_ question: Int, of party: Party, for asker: Int, isShared: Bool) {
      let known = waiting[party]?.firstIndex { $0.isShared && isShared && $0.question == question }
      if let known {
        waiting[party]?[known].askers.append(asker)
      } else {
        waiting[party, default: []].append((question, isShared, [asker]))
      }
      giveTurn(party)
    }

    mutating func giveTurn(_ party: Party) {
      guard !inFlight.contains(party), waiting[party]?.isEmpty == false,
        turns[party.kind]?.contains(party) != true
      else { return }
      turns[party.kind, default: []].append(party)
    }

    func count(of kind: Party.Kind) -> Int { inFlight.count { $0.kind == kind } }

    func mayAsk(_ kind: Party.Kind, limit: Int, part: Int) -> Bool {
      inFlight.count < limit && count(of: kind) < part && turns[kind]?.isEmpty == false
    }
  }

  @Test func `a random walk keeps the order of turns, the parts and the invariant`() throws {
    var random = SeededGenerator.announced()
    for _ in 0..<20 {
      let limit = Int.random(in: 1...6, using: &random)
      let part = Int.random(in: 1...limit, using: &random)
      var queue = Queue(limit: limit, users: part, publishers: part)
      var model = Model()
      var flying: [Queue.Entry] = []
      for asker in 0..<1_000 {
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
          let kind = Party.Kind.allCases.randomElement(using: &random) ?? .user
          let party = Party(kind, "\(Int.random(in: 0..<5, using: &random))")
          let question = Int.random(in: 0..<3, using: &random)
          let isShared = Bool.random(using: &random)
          _ = queue.add(question, of: party, for: asker, isShared: isShared) { _ in true }
          model.add(question, of: party, for: asker, isShared: isShared)
        case 1:
          let entry = queue.next()
          let isDue = Party.Kind.allCases.contains {
            model.mayAsk($0, limit: limit, part: part)
          }
          #expect((entry != nil) == isDue)
          guard let entry else { break }
          let kind = entry.party.kind
          #expect(model.mayAsk(kind, limit: limit, part: part))
          #expect(model.turns[kind]?.first == entry.party)
          model.turns[kind]?.removeFirst()
          let expected = try #require(model.waiting[entry.party]?.first)
          model.waiting[entry.party]?.removeFirst()
          #expect(entry.question == expected.question && entry.askers == expected.askers)
          #expect(!model.inFlight.contains(entry.party))
          model.inFlight.insert(entry.party)
          flying.append(entry)
        default:
          guard let index = flying.indices.randomElement(using: &random) else { break }
          let entry = flying.remove(at: index)
          queue.finish(entry)
          model.inFlight.remove(entry.party)
          model.giveTurn(entry.party)
        }
        queue.checkInvariants()
        #expect(queue.inFlightCount == flying.count)
      }
    }
  }
}
