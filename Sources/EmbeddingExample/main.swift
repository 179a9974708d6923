// A Swift program that embeds Carillon: it publishes and counts its connections without HTTP.

import Carillon

// In production, use the secret with which your login signs tokens, and a directory as the path:
// a notification is on disk when `publish` returns.
var configuration = BusConfiguration(
  dataPath: ":memory:", tokenSecret: BusConfiguration.makeSecret())
configuration.port = 0  // Any free port.
let bus = try NotificationBus.start(configuration)

let token = try bus.makeToken(for: "alice")
print("Listen as alice, then press Return:")
print("carillon listen --url http://127.0.0.1:\(bus.port) --token \(token)")
_ = readLine()

// Stored in her inbox, and sent to each of her devices now or when it reconnects.
let trade = NotificationContent(
  type: "trade.created", title: "Trade created", message: "100 shares of AAPL",
  data: ["symbol": "AAPL", "pnl": 125.5])
print("stored as", try await bus.publish(trade, to: "alice"))

// Not stored: sent only to the clients that are connected now.
try await bus.sendToUser("alice", .liveUpdate(type: "price", payload: ["AAPL": 187.25]))
try await bus.broadcastToUsers(["alice", "bob"], .dataUpdate(type: "board", payload: [3, 1, 2]))
try await bus.broadcastToAll(.systemMessage(title: "Back at noon"))

let stats = bus.stats
print("\(stats.totalUsers) users on \(stats.totalConnections) connections")
await bus.stop()
