// `carillon check`: the values in force with their sources, and what is in the way of a server: a
// missing key, and the limits of this machine that are too low, each with its remedy. With --limits
// the bounds of a server with these settings.

internal import Reactor
internal import Server
internal import Tokens
internal import Wire

/// `carillon check`.
enum CheckCommand {
  static let command = Command(
    name: "check", summary: "show the configuration and this machine's limits",
    examples: [
      "carillon check --strict",
      "carillon check --port 8081 --json",
      "carillon check --limits --connections-per-address 500",
    ],
    flags: ServeSettings.flags + [
      Flag("json", nil, "print it as JSON"),
      Flag("strict", nil, "exit with status 1 when something is missing or too low"),
      Flag("limits", nil, "show every bound of a server with these settings instead"),
    ], run: run)

  /// One limit of the machine, or of the settings.
  private struct Limit {
    let name: String
    let value: ShownValue
    let isEnough: Bool
    let remedy: String

    /// Its mark in the text.
    var mark: String {
      if case .none = value { return "none" }
      return isEnough ? "ok" : "low"
    }
  }

  @Sendable private static func run(_ arguments: Arguments) throws -> Int32 {
    let settings = try ServeSettings(arguments)
    let isStrict = try arguments.isOn("strict")
    if try arguments.isOn("limits") {
      guard !isStrict else {
        throw UsageError("--strict is about this machine: run it without --limits")
      }
      let table = LimitTable(settings.configuration)
      let isJSON = try arguments.isOn("json")
      Terminal.print(isJSON ? String(decoding: table.json, as: UTF8.self) : table.text)
      return 0
    }
    let limits = hostLimits() + [zoneFiles(settings)] + secretProblems(settings)
    if try arguments.isOn("json") {
      Terminal.print(json(settings, limits))
    } else {
      for entry in settings.entries {
        Terminal.print(
          "\(Program.padded(entry.name, 24)) \(Program.padded(entry.text, 28)) \(entry.source)")
      }
      Terminal.print("")
      for limit in limits {
        let value = limit.value.text ?? "not set"
        Terminal.print(
          "\(Program.padded(limit.mark, 4)) \(Program.padded(limit.name, 28)) \(value)")
        if !limit.isEnough { Terminal.print("     remedy: \(limit.remedy)") }
      }
    }
    // guard: strict-check-fails
    return isStrict && !limits.allSatisfy(\.isEnough) ? 1 : 0
  }

  /// A row for a secret that is missing without any other key, so that `serve` does not start, or
  /// that is shorter than its digest, which `serve` warns about, too.
  private static func secretProblems(_ settings: ServeSettings) -> [Limit] {
    // guard: check-without-secret
    guard settings.hasKey else {
      guard !settings.isDevelopment else { return [] }
      return [
        Limit(
          name: "JWT_SECRET", value: .none, isEnough: false,
          remedy: "export JWT_SECRET=\"$(openssl rand -hex 64)\", JWT_PUBLIC_KEY or JWT_JWKS_URL, "
            + "or serve --dev")
      ]
    }
    guard settings.configuration.tokenPolicy.keys.contains(where: { $0.isShort }) else { return [] }
    return [
      Limit(
        name: "length of JWT_SECRET", value: .text("short"), isEnough: false,
        remedy: "openssl rand -hex 64")
    ]
  }

  /// A row for the time zones of quiet hours.
  private static func zoneFiles(_ settings: ServeSettings) -> Limit {
    let count = TimeZoneFiles.count(in: settings.configuration.timeZonePath)
    return Limit(
      name: "time zones", value: .number(count), isEnough: count > 0,
      remedy: "apt-get install tzdata, or name the directory of the zone files by --time-zones")
  }

  private static func hostLimits() -> [Limit] {
    let files = ProcessResources.raiseOpenFilesLimit()
    var limits = [
      Limit(
        name: "open files", value: .number(Int(clamping: files)), isEnough: files >= 100_000,
        remedy: "ulimit -n 1048576, or LimitNOFILE=1048576 in the unit")
    ]
    let leasts: [(name: String, path: String, least: Int, setting: String)] = [
      ("backlog of a listener", "net/core/somaxconn", 4_096, "net.core.somaxconn=4096"),
      (
        "half-open connections", "net/ipv4/tcp_max_syn_backlog", 4_096,
        "net.ipv4.tcp_max_syn_backlog=4096"
      ),
      ("open files of all", "fs/file-max", 1_000_000, "fs.file-max=2000000"),
    ]
    for number in leasts {
      guard let text = setting(number.path), let value = Int(text) else {
        continue
      }
      limits.append(
        Limit(
          name: number.name, value: .number(value), isEnough: value >= number.least,
          remedy: "sysctl -w \(number.setting)"))
    }
    if let range = numbers(in: "net/ipv4/ip_local_port_range"), range.count == 2 {
      let count = range[1] - range[0] + 1
      limits.append(
        Limit(
          name: "ports for outgoing", value: .number(count), isEnough: count >= 50_000,
          remedy: "sysctl -w net.ipv4.ip_local_port_range=\"1024 65535\" (load tests, proxies)"))
    }
    if let pages = numbers(in: "net/ipv4/tcp_mem"), pages.count == 3 {
      // 100,000 connections with 8 KiB each in the kernel's queues.
      let needed = 100_000 * 2
      limits.append(
        Limit(
          name: "tcp memory, pages", value: .number(pages[2]), isEnough: pages[2] >= needed,
          remedy: "sysctl -w net.ipv4.tcp_mem=\"\(needed / 2) \(needed * 3 / 4) \(needed)\""))
    }
    return limits
  }

  /// The numbers of a file under /proc/sys; nil when it cannot be read.
  private static func numbers(in path: String) -> [Int]? {
    setting(path)?.split { $0 == " " || $0 == "\t" }.compactMap { Int($0) }
  }

  /// The text of a file under /proc/sys without its newline; nil when it cannot be read.
  private static func setting(_ path: String) -> String? {
    guard let text = BlockingFile.read("/proc/sys/" + path) else { return nil }
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  private static func json(_ settings: ServeSettings, _ limits: [Limit]) -> String {
    var json: [UInt8] = []
    json.openObject()
    json.member(
      "settings",
      object: { members in
        for entry in settings.entries { entry.write(to: &members) }
      })
    json.member(
      "limits",
      object: { members in
        for limit in limits {
          members.member(
            limit.name,
            object: { one in
              limit.value.write("value", to: &one)
              one.member("ok", limit.isEnough)
              if !limit.isEnough { one.member("remedy", limit.remedy) }
            })
        }
      })
    json.closeObject()
    return String(decoding: json, as: UTF8.self)
  }
}
