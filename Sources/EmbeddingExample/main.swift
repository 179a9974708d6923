// A Swift program that embeds Carillon: it publishes, uses rooms and reads an inbox without HTTP.

import Carillon

// In production, use the secret with which your login signs tokens, and a directory as the path:
// a notification is on disk when `publish` returns.
var configuration = BusConfiguration(
  dataPath: ":memory:", tokenSecret: BusConfiguration.makeSecret())
configuration.port = 0  // Any free port.
let bus = try NotificationBus.start(configuration)

// The events of the bus from now on.
let events = try await bus.events()
let log = Task {
  for await event in events { print("event:", event) }
}

let token = try bus.makeToken(for: "alice")
print("Listen as alice, then press Return:")
print("carillon listen --url http://127.0.0.1:\(bus.port) --token \(token)")
_ = readLine()

// Stored in her inbox, and sent to each of her devices now or when it reconnects.
let trade = NotificationContent(
  type: "trade.created", title: "Trade created", message: "100 shares of AAPL",
  data: ["symbol": "AAPL", "pnl": 125.5])
let id = try await bus.publish(trade, to: "alice")
print("stored as", id)

// Not stored: sent only to the clients that are connected now.
try await bus.send(.liveUpdate(type: "price", payload: ["AAPL": 187.25]), to: "alice")
try await bus.send(.dataUpdate(type: "board", payload: [3, 1, 2]), to: ["alice", "bob"])
try await bus.broadcast(.systemMessage(title: "Back at noon"))

// A room is a name; the program may add users to it, and clients may join it themselves.
try await bus.addUser("alice", toRoom: "traders")
try await bus.send(RoomMessage(type: "news", title: "The market is open"), toRoom: "traders")
print("in the room:", try await bus.members(ofRoom: "traders").users)

print("unread:", try await bus.unreadCount(of: "alice"))
try await bus.markAsRead([id], of: "alice")
for notification in try await bus.inbox(of: "alice").notifications {
  print(notification.content.title, notification.isRead ? "(read)" : "(unread)")
}

let stats = bus.stats
print("\(stats.totalUsers) users on \(stats.totalConnections) connections")
await bus.stop()
await log.value
