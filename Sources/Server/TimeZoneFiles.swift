// The zone files of the machine, read when the server starts.
//
// Debian and others install them in /usr/share/zoneinfo, a file for each name of the IANA database.
// All are read at once, so that no path is ever made of a name in a request, and a request never
// waits for a file. An update of the files takes effect with the next start.

internal import Notifications
internal import Reactor

/// Reads the zone files of the machine.
package enum TimeZoneFiles {
  package static let standardPath = "/usr/share/zoneinfo"
  /// Parts of the longest name: America/Argentina/Buenos_Aires.
  static let depthLimit = 3
  /// Entries of one directory; further ones are not read.
  static let entryCountLimit = 4_096
  /// Bytes of all files; past it, further ones are not read.
  static let bytesLimit = 16 << 20

  /// Copies of the same zones in other forms, and names that are no place.
  private static let skipped: Set = ["posix", "right", "posixrules", "localtime", "Factory"]

  /// The line of the log when there are none.
  static let absence =
    "no zone files were found: quiet hours take a utc_offset, and a time_zone is refused; install "
    + "tzdata, or name their directory by --time-zones"

  /// The files of the standard directory, which a process reads once.
  private static let standard = read(standardPath)

  /// The zones in a directory; an empty table when there are none.
  ///
  /// Blocks: 598 names take 40 ms of processor time in a debug build, and 0.6 MiB of memory.
  static func table(in path: String) -> TimeZoneTable {
    path == standardPath ? standard : read(path)
  }

  /// The number of zones in a directory.
  package static func count(in path: String) -> Int { table(in: path).count }

  private static func read(_ path: String) -> TimeZoneTable {
    var walk = Walk()
    walk.visit(path, prefix: "", depth: 1)
    return TimeZoneTable(walk.zones)
  }

  private struct Walk {
    /// The zones found, each name once: a directory has each of its names once.
    var zones: [(name: String, rules: TimeZoneRules)] = []
    /// The rules of each file, because many names are links to one.
    private var known: [[UInt8]: TimeZoneRules] = [:]
    private var byteCount = 0

    mutating func visit(_ path: String, prefix: String, depth: Int) {
      // In the order of their names, so that a limit leaves out the same ones each time.
      for entry in BlockingFile.names(in: path, limit: entryCountLimit).sorted() {
        let name = prefix + entry
        guard TimeZoneTable.isName(name), depth > 1 || !skipped.contains(entry),
          zones.count < TimeZoneTable.countLimit, byteCount < bytesLimit
        else { continue }
        let file = "\(path)/\(entry)"
        if let bytes = BlockingFile.read(file, limit: TimeZoneRules.fileByteCountLimit) {
          add(name, bytes)
        } else if depth < depthLimit {
          visit(file, prefix: name + "/", depth: depth + 1)
        }
      }
    }

    private mutating func add(_ name: String, _ bytes: [UInt8]) {
      byteCount += bytes.count
      if let rules = known[bytes] {
        zones.append((name, rules))
      } else if let rules = try? TimeZoneRules(bytes) {
        // Another file of the directory is no zone, and a damaged one is an unknown zone.
        known[bytes] = rules
        zones.append((name, rules))
      }
    }
  }
}
