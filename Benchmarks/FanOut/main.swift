// Measures Carillon's fan-out, idle memory and durable publishing on this machine.

internal import BenchmarkSupport
internal import Glibc
internal import Reactor

Signals.block()
ProcessResources.raiseOpenFilesLimit()

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
  say(Options.usage)
  exit(2)
}
do {
  exit(try Benchmark(options).run() ? 0 : 1)
} catch {
  say("FanOut: \(error)")
  exit(1)
}
