// Measures the cost of floods and stalled readers to other clients: cases 9, 15, 38, 62 and 63.

internal import BenchmarkSupport
internal import Glibc
internal import Reactor

Signals.block()
ProcessResources.raiseOpenFilesLimit()

let arguments = Array(CommandLine.arguments.dropFirst())
do {
  // An attacker is this program in a second process.
  if arguments.first == AttackOrder.word {
    guard let order = AttackOrder(arguments), let credentials = Credentials.inherited else {
      exit(2)
    }
    let tools = AttackTools(order, credentials)
    switch order.attack {
    case .takenRooms, .requestFlood, .typingToggles: try ShareAttacker(tools).run()
    case .unreadPages, .busyReader, .fetchFlood, .ownLists: try ReadAttacker(tools).run()
    case .pacedFlood, .unpacedFlood, .pings, .zeroWindowReaders, .stalledReaders, .heldBodies,
      .idleStrangers:
      try Attacker(tools).run()
    }
    exit(0)
  }
  guard let options = Options(arguments) else {
    say(Options.usage)
    exit(2)
  }
  exit(try Benchmark(options).run() ? 0 : 1)
} catch {
  say("Bystanders: \(error)")
  exit(1)
}
