// Measures Carillon's fan-out, idle memory and durable publishing on this machine.

internal import BenchmarkSupport
internal import CReactor
internal import Glibc

cl_signals_block()
_ = cl_raise_open_files()

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
