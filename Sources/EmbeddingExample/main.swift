// A Swift program with Carillon inside: it publishes and counts its connections without HTTP.

import Carillon

// In production the secret is the one that your login signs tokens with, and the path is a
// directory: what `publish` returned for is then on disk.
var configuration = BusConfiguration(
  dataPath: ":memory:", tokenSecret: BusConfiguration.makeSecret())
configuration.port = 0  // Any that is free.
let bus = try NotificationBus.start(configuration)

let token = try bus.makeToken(for: "alice")
print("Listen as alice, then press Return:")
print("carillon listen --url http://127.0.0.1:\(bus.port) --token \(token)")
_ = readLine()

// Kept in her inbox, and on each of her devices now or when it comes back.
let trade = NotificationContent(
  type: "trade.created", title: "Trade created", message: "100 shares of AAPL",
  data: ["symbol": "AAPL", "pnl": 125.5])
print("stored as", try await bus.publish(trade, to: "alice"))

// Not kept: for whoever is connected at this moment.
try await bus.sendToUser("alice", .liveUpdate(type: "price", payload: ["AAPL": 187.25]))
try await bus.broadcastToUsers(["alice", "bob"], .dataUpdate(type: "board", payload: [3, 1, 2]))
try await bus.broadcastToAll(.systemMessage(title: "Back at noon"))

let stats = bus.stats
print("\(stats.totalUsers) users on \(stats.totalConnections) connections")
await bus.stop()
