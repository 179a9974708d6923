// The `carillon` command. All code is in `Program`, because top-level code is isolated to the main
// actor.

endProcess(Program.run(CommandLine.arguments))
