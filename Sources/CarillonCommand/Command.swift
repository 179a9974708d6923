// The commands of the program, its help and its exit statuses: 0 success, 1 failure, 2 a usage
// error.

internal import LoadClient
internal import Server
internal import Wire

/// One command.
struct Command: Sendable {
  let name: String
  let summary: String
  /// Command lines for its help.
  let examples: [String]
  let flags: [Flag]
  /// The placeholder of the word that it needs besides its flags; nil if it takes none.
  let operand: String?
  /// The commands of a group, which does nothing itself.
  let subcommands: [Command]
  let run: @Sendable (Arguments) throws -> Int32

  init(
    name: String, summary: String, examples: [String], flags: [Flag], operand: String? = nil,
    run: @escaping @Sendable (Arguments) throws -> Int32
  ) {
    self.name = name
    self.summary = summary
    self.examples = examples
    self.flags = flags
    self.operand = operand
    self.subcommands = []
    self.run = run
  }

  /// A group of commands; the name of each begins with that of the group.
  init(name: String, summary: String, subcommands: [Command]) {
    self.name = name
    self.summary = summary
    self.subcommands = subcommands
    examples = []
    flags = []
    operand = nil
    run = { _ in throw UsageError("name one of its commands") }
  }

  /// The last word of its name.
  var word: String { String(name.split(separator: " ").last ?? "") }
}

/// The program.
enum Program {
  /// The version, as `carillon version` prints it.
  static let version = CarillonServer.version

  static let commands: [Command] = [
    ServeCommand.command, TokenCommand.command, PublishCommand.command, ListenCommand.command,
    BenchCommand.command, CheckCommand.command, KeyCommand.command,
    Command(
      name: "version", summary: "print the version", examples: ["carillon version"], flags: []
    ) { _ in
      Terminal.print("carillon \(version)")
      return 0
    },
  ]

  /// Runs a command line and returns the exit status.
  static func run(_ words: [String]) -> Int32 {
    Terminal.prepare()
    let rest = words.dropFirst()
    guard let name = rest.first else {
      Terminal.say(help)
      return 2
    }
    // guard: help-of-command
    if helpWords.contains(name) { return printHelp(rest.dropFirst()) }
    // guard: short-version-flag
    let word = ["--version", "-V"].contains(name) ? "version" : name
    guard let command = commands.first(where: { $0.name == word }) else {
      return refuse(unknown: name)
    }
    return run(command, rest.dropFirst())
  }

  private static func run(_ command: Command, _ words: ArraySlice<String>) -> Int32 {
    if !command.subcommands.isEmpty { return run(of: command, words) }
    if words.contains(where: { $0 == "--help" || $0 == "-h" }) {
      Terminal.print(help(for: command))
      return 0
    }
    do {
      return try command.run(
        Arguments(words, flags: command.flags, operand: command.operand))
    } catch let error as UsageError {
      Terminal.say(
        "carillon \(command.name): \(error.message); see carillon \(command.name) --help")
      return 2
    } catch ClientError.badURL(let reason) {
      Terminal.say("carillon \(command.name): \(reason); see carillon \(command.name) --help")
      return 2
    } catch let error as ServerError {
      Terminal.say("carillon \(command.name): \(error.withRemedy)")
      return 1
    } catch let error as ClientError {
      Terminal.say("carillon \(command.name): \(error.withRemedy)")
      return 1
    } catch {
      Terminal.say("carillon \(command.name): \(error)")
      return 1
    }
  }

  /// Runs the command of a group that the first word names.
  private static func run(of group: Command, _ words: ArraySlice<String>) -> Int32 {
    guard let name = words.first else {
      Terminal.say(help(for: group))
      return 2
    }
    guard !helpWords.contains(name) else { return printHelp([group.name] + words.dropFirst()) }
    guard let command = group.subcommands.first(where: { $0.word == name }) else {
      return refuse(unknown: name, of: group)
    }
    return run(command, words.dropFirst())
  }

  /// The words that ask for help in place of a command.
  private static let helpWords = ["help", "--help", "-h"]

  /// Prints the help of a command, `carillon help serve`, or without one that of the program.
  private static func printHelp(_ words: ArraySlice<String>) -> Int32 {
    guard let name = words.first, !helpWords.contains(name) else {
      Terminal.print(help)
      return 0
    }
    guard var command = commands.first(where: { $0.name == name }) else {
      return refuse(unknown: name)
    }
    var rest = words.dropFirst()
    if !command.subcommands.isEmpty, let word = rest.popFirst() {
      guard let found = command.subcommands.first(where: { $0.word == word }) else {
        return refuse(unknown: word, of: command)
      }
      command = found
    }
    guard rest.isEmpty else {
      Terminal.say("carillon help: one command at a time; see carillon --help")
      return 2
    }
    Terminal.print(help(for: command))
    return 0
  }

  /// Refuses a word that names no command, of the program or of a group.
  private static func refuse(unknown name: String, of group: Command? = nil) -> Int32 {
    // guard: nearest-command-named
    let near = Suggestion.nearest(
      to: name, among: (group?.subcommands ?? commands).map(\.word) + ["help"])
    let suggestion = near.map { " (did you mean \($0)?)" } ?? ""
    let program = group.map { "carillon \($0.name)" } ?? "carillon"
    Terminal.say("\(program): unknown command '\(name)'\(suggestion); see \(program) --help")
    return 2
  }

  private static var help: String {
    var text = "carillon: a real-time notification server\n\nUsage: carillon COMMAND [FLAGS]\n\n"
    for command in commands { text += "  \(padded(command.name, 10)) \(command.summary)\n" }
    return text + "\nFor the flags of a command and examples: carillon help COMMAND"
  }

  private static func help(for command: Command) -> String {
    var text = "carillon \(command.name): \(command.summary)\n"
    if !command.subcommands.isEmpty {
      text += "\n"
      for one in command.subcommands { text += "  \(padded(one.name, 12)) \(one.summary)\n" }
      return text + "\nFor the flags and examples: carillon help \(command.name) COMMAND"
    }
    if let operand = command.operand {
      text += "\nUsage: carillon \(command.name) \(operand) [FLAGS]\n"
    }
    for flag in command.flags {
      let name =
        flag.isSecret ? flag.environment[0] : "--\(flag.name)" + (flag.value.map { " \($0)" } ?? "")
      text += "\n  \(padded(name + " ", 26)) \(flag.help)"
      if !flag.environment.isEmpty, !flag.isSecret {
        text += " [\(flag.environment.joined(separator: ", "))]"
      }
    }
    text += command.examples.count == 1 ? "\n\nExample:" : "\n\nExamples:"
    for example in command.examples { text += "\n  \(example)" }
    return text
  }

  /// `text`, padded with trailing spaces to at least `width`.
  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
