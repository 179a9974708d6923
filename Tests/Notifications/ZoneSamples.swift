// Zone files for tests: samples of real ones, and files that a test assembles.

import Glibc
import Testing
import Wire

@testable import Notifications

/// Files of the system, and the offsets that Python reads in them; see `zones/generate`.
enum ZoneSamples {
  private static func contents(_ name: String) throws -> [UInt8] {
    let folder = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    let file = try #require(fopen("/\(folder)/zones/\(name)", "r"), "\(name)")
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      if count == 0 { return bytes }
      bytes += piece[..<count]
    }
  }

  static func file(_ name: String) throws -> [UInt8] {
    let lines = String(decoding: try contents("files.txt"), as: UTF8.self).split(separator: "\n")
    let line = try #require(lines.first { $0.hasPrefix(name + " ") }, "\(name)")
    return try #require(Base64.decode(String(line.dropFirst(name.utf8.count + 1))), "\(name)")
  }

  static func rules(_ name: String) throws -> TimeZoneRules {
    try TimeZoneRules(file(name))
  }

  /// A table with these zones.
  static func table(_ names: String...) throws -> TimeZoneTable {
    TimeZoneTable(try names.map { ($0, try rules($0)) })
  }

  /// The expected offsets of each zone, in seconds, by instant.
  static func expected() throws -> [(name: String, samples: [(instant: Int64, offset: Int)])] {
    var found: [(name: String, samples: [(instant: Int64, offset: Int)])] = []
    for line in String(decoding: try contents("expected.txt"), as: UTF8.self).split(separator: "\n")
    {
      let parts = line.split(separator: " ")
      let instant = try #require(Int64(parts[1]))
      let offset = try #require(Int(parts[2]))
      if found.last?.name != String(parts[0]) { found.append((String(parts[0]), [])) }
      found[found.count - 1].samples.append((instant, offset))
    }
    return found
  }
}

/// A zone file with one type for each offset.
struct ZoneFile {
  var version = UInt8(ascii: "2")
  var times: [Int64] = []
  var indices: [UInt8] = []
  var offsets: [Int32] = [0]
  var leapCount: UInt32 = 0
  var footer = "\nUTC0\n"

  private static func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.bigEndian) { Array($0) }
  }

  private func header(_ version: UInt8, times: Int, types: Int, leaps: UInt32) -> [UInt8] {
    Array("TZif".utf8) + [version] + [UInt8](repeating: 0, count: 15)
      + [0, 0, leaps, UInt32(times), UInt32(types), 4].flatMap { Self.bytes($0) }
  }

  var bytes: [UInt8] {
    var bytes = header(version, times: 0, types: 1, leaps: 0)
    bytes += [0, 0, 0, 0, 0, 0] + Array("UTC\0".utf8)
    bytes += header(version, times: times.count, types: offsets.count, leaps: leapCount)
    bytes += times.flatMap { Self.bytes($0) } + indices
    bytes += offsets.flatMap { Self.bytes($0) + [0, 0] } + Array("UTC\0".utf8)
    bytes += [UInt8](repeating: 0, count: Int(leapCount) * 12)
    return bytes + Array(footer.utf8)
  }
}
