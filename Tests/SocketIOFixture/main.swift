// A server for the conformance cases of Engine.IO and Socket.IO: the real server's layers with
// applications that echo messages.

import Reactor
import Server

Signals.block()
do {
  let server = try CarillonServer(
    try FixtureOptions(CommandLine.arguments.dropFirst()).configuration)
  say("listening on 127.0.0.1:\(server.port) and [::1]:\(server.port)")
  _ = Signals.wait(timeoutMilliseconds: -1)
  server.stop()
} catch {
  say("carillon-socketio-fixture: \(error)")
  endProcess(2)
}
