// The `carillon` command. Everything is in `Program`, so that nothing here is bound to the main
// actor, as top-level code is.

endProcess(Program.run(CommandLine.arguments))
