// Pages of users that come and go in a room, at random, against a plain model of what they know.
//
// The two owners are real: that of the users and that of the room. The test keeps the mailboxes
// between them and the pages' shards, and chooses which message is handled next. No time passes, so
// each absence is a reload.

import Notifications
import TestSupport
import Testing

@testable import Server

/// A page that asked to be in the room.
private final class Page {
  let user: String
  /// Answers of the room's owner and updates, in the order of their sending.
  var inbox: [Item] = []
  var isInside = false
  var isOpen = true
  /// The status of each other user that it was listed or sent.
  var known: [String: PresenceStatus] = [:]
  /// The updates that it got.
  var received: [PresenceUpdate] = []

  enum Item {
    case entered([Roster.Entry])
    case update(PresenceUpdate)
  }

  init(_ user: String) { self.user = user }
}

private final class PresenceModel {
  enum UserMessage {
    case count(arrived: Bool)
    case note(PresenceNote)
  }

  enum RoomMessage {
    case question(RoomQuestion, Page)
    case update(UserOwner.Update)
  }

  let users = UserOwner(shard: 0, of: 2)
  let rooms = RoomOwner(roomsLimit: 10, presenceMembersLimit: 1_000)
  var toUsers: [(message: UserMessage, user: String)] = []
  var toRooms: [RoomMessage] = []
  var pages: [Page] = []
  /// The status that each user set last.
  var statuses: [String: PresenceStatus] = [:]
  private var now: UInt64 = 0
  /// Whether time passes before each return and each change of a status, so that none is deferred.
  var isSlow = false

  // MARK: What pages do

  func open(_ user: String) {
    let page = Page(user)
    pages.append(page)
    toUsers.append((.count(arrived: true), user))
    toRooms.append(.question(.enter, page))
  }

  /// Ends a page, or only takes it out of the room.
  func end(_ page: Page, isLeaving: Bool = false) {
    if page.isInside { toUsers.append((.note(.exited("r", isEnding: !isLeaving)), page.user)) }
    toRooms.append(.question(isLeaving ? .leave : .abandon, page))
    if !isLeaving { toUsers.append((.count(arrived: false), page.user)) }
    // A page that only left stays connected and is not used any more.
    page.isInside = false
    page.isOpen = false
    pages.removeAll { $0 === page }
  }

  func set(_ status: PresenceStatus, of user: String) {
    statuses[user] = status
    toUsers.append((.note(.set(status, answerTo: nil)), user))
  }

  /// Lets time pass, but no user without a page goes offline before the end of the model.
  func pass(milliseconds: UInt64) {
    guard now + milliseconds < UserOwner.graceMilliseconds else { return }
    now += milliseconds
    expire()
  }

  private func expire() {
    while let expired = users.expire(at: now) { toRooms += expired.updates.map { .update($0) } }
  }

  /// Handles all messages, and those of the updates that wait for their time.
  func rest(_ random: inout SeededGenerator) {
    while handleOne(&random) {}
    now += PresenceTracker.changeMilliseconds
    expire()
    while handleOne(&random) {}
  }

  // MARK: Messages

  /// Handles the next message of one mailbox; false if none is left in any.
  func handleOne(_ random: inout SeededGenerator) -> Bool {
    let readers = pages.filter { !$0.inbox.isEmpty }
    var choices = Array(readers.indices)
    if !toUsers.isEmpty { choices.append(-1) }
    if !toRooms.isEmpty { choices.append(-2) }
    guard let choice = choices.randomElement(using: &random) else { return false }
    switch choice {
    case -1: handleAtUsers()
    case -2: handleAtRooms()
    default: read(readers[choice])
    }
    return true
  }

  private func handleAtUsers() {
    let (message, user) = toUsers.removeFirst()
    switch message {
    case .count(let arrived): _ = users.count(user, arrived: arrived, at: now)
    case .note(.entered(let room)):
      if isSlow { now += PresenceTracker.changeMilliseconds }
      toRooms += users.entered(room, user, at: now).map { .update($0) }
    case .note(.exited(let room, let isEnding)):
      users.exited(room, user, isEnding: isEnding, at: now)
    case .note(.set(let status, _)):
      if isSlow { now += PresenceTracker.changeMilliseconds }
      toRooms += users.set(status, of: user, Directory { _ in user }, at: now).map { .update($0) }
    }
  }

  private func handleAtRooms() {
    switch toRooms.removeFirst() {
    case .question(let question, let page):
      let answer = rooms.answer(question, "r", page.user, at: now)
      if case .entered(let entries) = answer { page.inbox.append(.entered(entries)) }
    case .update(let (room, update, isReturn)): rooms.send(update, to: room, isReturn: isReturn)
    }
    for case .presence(let update) in rooms.takeUpdates().updates.map(\.body) {
      for page in pages where page.user != update.user { page.inbox.append(.update(update)) }
    }
  }

  private func read(_ page: Page) {
    switch page.inbox.removeFirst() {
    case .entered(let entries):
      page.isInside = true
      for entry in entries where entry.user != page.user { page.known[entry.user] = entry.status }
      toUsers.append((.note(.entered("r")), page.user))
    case .update(let update):
      guard page.isInside else { return }
      page.known[update.user] = update.status
      page.received.append(update)
    }
  }
}

@Suite("Presence model")
struct PresenceModelTests {
  private static let statuses: [PresenceStatus] = [.online, .away, .busy]

  @Test func `at rest each page knows the status of all users in its room`() {
    var random = SeededGenerator.announced()
    for _ in 0..<400 {
      let model = PresenceModel()
      for _ in 0..<60 {
        let user = "u\(Int.random(in: 0..<4, using: &random))"
        let page = model.pages.filter { $0.user == user }.randomElement(using: &random)
        switch (Int.random(in: 0..<12, using: &random), page) {
        case (0..<2, _): model.open(user)
        case (2, let page?): model.end(page, isLeaving: Bool.random(using: &random))
        case (3, let page?):
          model.end(page)
          model.open(user)
        case (4, let page?) where page.isInside:
          model.set((Self.statuses + [.offline]).randomElement(using: &random)!, of: user)
        case (5, _): model.pass(milliseconds: UInt64.random(in: 0..<400, using: &random))
        default: _ = model.handleOne(&random)
        }
      }
      model.rest(&random)
      for page in model.pages {
        for user in Set(model.pages.map(\.user)) where user != page.user {
          // A page that was listed nothing and sent nothing takes the user for offline.
          #expect(page.known[user] ?? .offline == model.statuses[user] ?? .online)
        }
      }
    }
  }

  @Test func `members that stay hear of a user that reloads only its changes of status`() {
    var random = SeededGenerator.announced()
    for _ in 0..<400 {
      let model = PresenceModel()
      model.isSlow = true
      for user in ["x", "y"] { model.open(user) }
      while model.handleOne(&random) {}
      let observers = model.pages
      for page in observers { page.received = [] }
      var due: [PresenceStatus] = [.online]
      for _ in 0..<100 {
        // Two for a moment: the server may take note of the next page first.
        let pages = model.pages.filter { $0.user == "u" }
        switch Int.random(in: 0..<8, using: &random) {
        case 0 where pages.count < 2: model.open("u")
        case 1 where !pages.isEmpty: model.end(pages[0])
        case 2 where pages.contains(where: \.isInside):
          let status = Self.statuses.filter { $0 != due.last }.randomElement(using: &random)!
          model.set(status, of: "u")
          due.append(status)
        default: _ = model.handleOne(&random)
        }
      }
      model.open("u")
      while model.handleOne(&random) {}
      for observer in observers { #expect(observer.received.map(\.status) == due) }
    }
  }
}
