// The zone files of the machine: which files become zones, and users' zones over HTTP.

import Glibc
import Notifications
import Testing

@testable import Server

@Suite("Zone files")
struct TimeZoneFilesTests {
  private static let utc: [UInt8] = {
    let header = { (types: UInt8) -> [UInt8] in
      Array("TZif2".utf8) + [UInt8](repeating: 0, count: 34) + [types, 0, 0, 0, 4]
    }
    let data: [UInt8] = [0, 0, 0, 0, 0, 0] + Array("UTC\0".utf8)
    return header(1) + data + header(1) + data + Array("\nUTC0\n".utf8)
  }()

  /// A table of one zone, for requests.
  private static func zones() throws -> TimeZoneTable {
    TimeZoneTable([("Area/City", try TimeZoneRules(utc))])
  }

  /// A directory that is removed with its contents.
  private final class Folder {
    let path: String
    /// What was made in it, each after the directory that has it.
    private var made: [String] = []

    init() {
      var template = Array("/tmp/carillon-test-XXXXXX".utf8CString)
      path = String(cString: mkdtemp(&template)!)
    }

    deinit {
      for name in made.reversed() { remove("\(path)/\(name)") }
      rmdir(path)
    }

    /// Writes a file, and makes the directories above it.
    func write(_ bytes: [UInt8], to name: String) throws {
      let parts = name.split(separator: "/")
      for count in 1..<max(parts.count, 1) {
        let directory = parts[..<count].joined(separator: "/")
        if mkdir("\(path)/\(directory)", 0o700) == 0 { made.append(directory) }
      }
      let file = try #require(fopen("\(path)/\(name)", "w"))
      defer { fclose(file) }
      made.append(name)
      #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }

    func link(_ name: String, to other: String) {
      #expect(symlink(other, "\(path)/\(name)") == 0)
      made.append(name)
    }

    func makePipe(_ name: String) {
      #expect(mkfifo("\(path)/\(name)", 0o600) == 0)
      made.append(name)
    }
  }

  @Test func `the zones of this machine are read, without copies in other forms`() {
    let table = TimeZoneFiles.table(in: TimeZoneFiles.standardPath)
    #expect(table.count > 400)
    for name in ["Europe/Zurich", "America/Argentina/Buenos_Aires", "UTC", "Etc/GMT+12", "EST5EDT"]
    {
      #expect(table[name] != nil, "\(name)")
    }
    for name in ["posix/Europe/Zurich", "right/UTC", "localtime", "posixrules", "Factory"] {
      #expect(table[name] == nil, "\(name)")
    }
  }

  @Test func `a file that is no zone is no name, and every other one is`() throws {
    let folder = Folder()
    for name in ["UTC", "Area/City", "Area/Land/City", "Etc/GMT+12", "Area/localtime"] {
      try folder.write(Self.utc, to: name)
    }
    folder.link("Link", to: "UTC")
    // A name of four parts, copies in another form, an invalid name, and files that are no zones.
    try folder.write(Self.utc, to: "Area/Land/Part/City")
    try folder.write(Self.utc, to: "posix/UTC")
    try folder.write(Self.utc, to: "zone.tab")
    try folder.write(Array(Self.utc.dropLast()), to: "Cut")
    try folder.write([], to: "Empty")
    try folder.write(Self.utc + [UInt8](repeating: 0, count: 65_536), to: "Long")
    folder.makePipe("Pipe")
    let table = TimeZoneFiles.table(in: folder.path)
    let names = ["UTC", "Area/City", "Area/Land/City", "Etc/GMT+12", "Link", "Area/localtime"]
    #expect(table.count == names.count)
    for name in names { #expect(table[name]?.offset(at: 0) == 0, "\(name)") }
  }

  @Test func `a link to the directory above it ends`() throws {
    let folder = Folder()
    try folder.write(Self.utc, to: "UTC")
    folder.link("Loop", to: ".")
    let table = TimeZoneFiles.table(in: folder.path)
    #expect(table["UTC"] != nil && table["Loop/Loop/UTC"] != nil && table.count == 3)
  }

  @Test("without files the table is empty", arguments: ["/nonexistent", "/dev/null", ""])
  func missing(path: String) {
    #expect(TimeZoneFiles.table(in: path).count == 0)
  }

  // MARK: Requests

  private static func put(
    _ clock: String, zones: TimeZoneTable
  ) throws -> (head: String, body: String, stored: Preferences?) {
    let fixture = try ShardFixture(timeZones: zones)
    let peer = try fixture.connect()
    let body = #"{"quiet_hours":{"start":"22:00","end":"07:00",\#(clock)}}"#
    peer.send(EndpointTests.request("PUT /api/v1/preferences", user: "u", body: body))
    try fixture.turn(until: { !fixture.store.commands.isEmpty || peer.receive().headEnd != nil })
    var stored: Preferences?
    if case .setPreferences(_, let preferences)? = fixture.store.commands.first?.command {
      stored = preferences
      try fixture.store.answer(.saved)
    }
    let answer = try EndpointTests.answer(to: peer, fixture)
    return (answer.head, answer.body, stored)
  }

  @Test func `a zone of the table is stored, and any other is 422`() throws {
    let known = try Self.put(#""time_zone":"Area/City""#, zones: Self.zones())
    #expect(known.head.hasPrefix("HTTP/1.1 200"))
    #expect(known.body.contains(#""end":"07:00","time_zone":"Area/City""#))
    #expect(known.stored?.quietHours?.clock == .timeZone("Area/City"))
    for name in ["Area/Town", "../Area/City", "area/city", "", "Area"] {
      let answer = try Self.put(#""time_zone":"\#(name)""#, zones: Self.zones())
      #expect(answer.head.hasPrefix("HTTP/1.1 422") && answer.stored == nil, "\(name)")
    }
  }

  @Test func `a server without zones takes offsets only, and says so`() throws {
    let answer = try Self.put(#""time_zone":"Area/City""#, zones: .empty)
    #expect(answer.head.hasPrefix("HTTP/1.1 422") && answer.stored == nil)
    #expect(answer.body.contains("this server has no time zones: give a utc_offset"))
    #expect(try Self.put(#""utc_offset":"+01:00""#, zones: .empty).head.hasPrefix("HTTP/1.1 200"))
  }
}
