// The files that browsers load: the path of each, its content coding and its cache lifetime.

import Testing

@testable import Server

@Suite("Files for browsers")
struct ClientFilesTests {
  /// A module, a module in a folder, a style, types, an icon and two pages.
  static let sources = [
    SourceFile(path: "client/carillon.js", bytes: Array("export const bell = '\u{1F514}'\n".utf8)),
    SourceFile(path: "client/carillon.d.ts", bytes: Array("export const bell: string\n".utf8)),
    SourceFile(path: "client/parts/a.js", bytes: Array("export const a = 1\n".utf8)),
    SourceFile(path: "pages/demo.js", bytes: Array("import '/client/~/carillon.js'\n".utf8)),
    SourceFile(path: "pages/demo.css", bytes: Array("a { color: red }\n".utf8)),
    SourceFile(path: "pages/icon.svg", bytes: Array("<svg/>".utf8)),
    SourceFile(path: "pages/demo.html", bytes: page),
    SourceFile(path: "pages/console.html", bytes: Array("<!doctype html>".utf8)),
    SourceFile(path: "pages/index.html", bytes: home),
  ]
  static let page = Array(
    ("<!doctype html>\n<script type=module src=/client/~/pages/demo.js></script>\n"
      + "<a href=/client/~/>").utf8)
  static let home = Array("<!doctype html>\n<title>Carillon</title>\n".utf8)
  static let files = ClientFiles(sources)
  static let folder = "/client/" + files.hash

  /// The answer to a request for `path`.
  static func get(
    _ path: String, _ fields: String = "", method: String = "GET", host: String = "localhost",
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> (head: String, body: [UInt8]) {
    let fixture = try ShardFixture(files: files, change)
    let peer = try fixture.connect()
    peer.send("\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n\(fields)Connection: close\r\n\r\n")
    try fixture.turn(until: {
      peer.receive()
      return peer.isEnded
    })
    let end = try #require(peer.received.headEnd)
    return (Array(peer.received[..<end]).text, Array(peer.received[end...]))
  }

  static func status(_ path: String, method: String = "GET") throws -> String {
    String(try get(path, method: method).head.dropFirst(9).prefix(3))
  }

  static let demo = DemoTokens(users: [("alice", "a.b.c")], publisher: "d.e.f")

  // MARK: Paths

  @Test func `each file is in the folder of its build, with its type`() throws {
    let types = [
      "carillon.js": "text/javascript; charset=utf-8", "carillon.d.ts": "text/plain; charset=utf-8",
      "parts/a.js": "text/javascript; charset=utf-8", "pages/demo.css": "text/css; charset=utf-8",
      "pages/icon.svg": "image/svg+xml",
    ]
    for (name, type) in types {
      let (head, body) = try Self.get("\(Self.folder)/\(name)")
      #expect(head.hasPrefix("HTTP/1.1 200 "), "\(name)")
      #expect(head.contains("\r\nContent-Type: \(type)\r\n"), "\(name)")
      #expect(head.contains("\r\nCache-Control: public, max-age=31536000, immutable\r\n"))
      let source = Self.sources.first { $0.path == name || $0.path == "client/" + name }
      #expect(body == source?.bytes, "\(name)")
    }
  }

  @Test(
    "without the folder, or with an old one, a path redirects uncached to the current folder",
    arguments: [
      ("carillon.js", "", "carillon.js"), ("0123456789abcdef/carillon.js", "../", "carillon.js"),
      ("pages/demo.js", "../", "pages/demo.js"),
      ("ffffffffffffffff/parts/a.js", "../../", "parts/a.js"),
      ("parts/a.js?since=1/2", "../", "parts/a.js"), ("carillon%2Ejs", "", "carillon.js"),
      ("ffffffffffffffff%2Fcarillon.js", "", "carillon.js"),
    ])
  func moved(path: String, up: String, name: String) throws {
    let (head, body) = try Self.get("/client/" + path)
    #expect(head.hasPrefix("HTTP/1.1 307 "))
    #expect(head.contains("\r\nLocation: \(up)\(Self.files.hash)/\(name)\r\n"))
    #expect(head.contains("\r\nCache-Control: no-cache\r\n"))
    #expect(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"))
    #expect(body.isEmpty)
  }

  @Test(
    "any other path is 404",
    arguments: [
      "/client", "/client/", "/client/~/carillon.js", "/client/other.js", "/client/CARILLON.js",
      "/client/0123456789abcdef", "/client/0123456789abcdef/", "/client/0123456789abcdef/x.js",
      "/client/0123456789ABCDEF/carillon.js", "/client/0123456789abcde/carillon.js",
      "/client/0123456789abcdeg/carillon.js", "/client/parts/carillon.js", "/client//carillon.js",
      "/client/carillon.js/", "/client/../client/carillon.js", "/client/./carillon.js",
      "/client/%2e%2e/%2e%2e/etc/passwd", "/client/..%2f..%2fetc/passwd", "/client/carillon.js%00",
      "/client/client/carillon.js", "/client/pages/demo.html", "/client/demo.html", "/demo.html",
      "/console//", "/console.html", "/pages/demo.js", "/carillon.js", "/index.html",
      "/demo/tokens",
      "/client/\(files.hash)//carillon.js", "/client/\(files.hash)/pages/../carillon.js",
      "/client/\(files.hash)/pages/demo.html", "/client/\(files.hash)/\(files.hash)/carillon.js",
    ])
  func nothing(path: String) throws {
    #expect(try Self.status(path) == "404")
  }

  @Test func `files allow only GET and HEAD`() throws {
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
      for path in ["\(Self.folder)/carillon.js", "/client/carillon.js", "/console"] {
        let (head, _) = try Self.get(path, method: method)
        #expect(head.hasPrefix("HTTP/1.1 405 "))
        #expect(head.contains("\r\nAllow: GET, HEAD, OPTIONS\r\n"))
      }
    }
  }

  @Test func `any change of a file's bytes or name changes the folder`() {
    #expect(Self.files.hash.count == 16)
    #expect(ClientFiles(Self.sources.reversed()).hash == Self.files.hash)
    for index in Self.sources.indices {
      var changed = Self.sources
      changed[index] = SourceFile(path: changed[index].path, bytes: changed[index].bytes + [0x0A])
      #expect(ClientFiles(changed).hash != Self.files.hash)
      let renamed = String(changed[index].path.replacing("/", with: "/x", maxReplacements: 1))
      changed[index] = SourceFile(path: renamed, bytes: Self.sources[index].bytes)
      #expect(ClientFiles(changed).hash != Self.files.hash)
      changed.remove(at: index)
      #expect(ClientFiles(changed).hash != Self.files.hash)
    }
  }

  @Test func `no embedded file is empty`() {
    let embedded = SourceFile.embedded()
    #expect(!embedded.isEmpty)
    for file in embedded {
      #expect(!file.bytes.isEmpty, "\(file.path)")
      #expect(file.path.hasPrefix("client/") || file.path.hasPrefix("pages/"))
    }
    #expect(ClientFiles(embedded).hash == ClientFiles.embedded.hash)
  }

  // MARK: Content

  @Test func `a script is sent without its comments and indentation`() {
    let cases = [
      ("// @ts-check\n\n// Why.\nlet a = 1;  // here\n", "let a = 1;  // here\n"),
      ("/** One. */\n  /** Two,\n   * three. */\n  f();\n", "f();\n"),
      ("  /** @type {any} */ a,\n", "/** @type {any} */ a,\n"),
      ("/*\n// a\n*/\nb\n/* c */ d /* e */\n", "b\n/* c */ d /* e */\n"),
      ("a = '*/';\n  b\n", "a = '*/';\nb\n"),
      // Inside a template literal white space is significant.
      ("a = `\n  // b\n\n  /* c */\n`;\n  d\n", "a = `\n  // b\n\n  /* c */\n`;\nd\n"),
      ("a = `${`b`}\n  c`;\n  d = `e`;\n  f\n", "a = `${`b`}\n  c`;\nd = `e`;\nf\n"),
      ("// a `quote`'s ` in a comment\n  b\n", "b\n"),
      ("/* ` */\n  a", "a\n"), ("", ""), ("\n", ""), ("//", ""), ("/*", ""), ("*/", "*/\n"),
    ]
    for (source, bare) in cases {
      #expect(CommentStripper.of(Array(source.utf8)).text == bare, "\(source)")
    }
  }

  @Test func `stripping keeps the code of every embedded script and all other files whole`() {
    for file in SourceFile.embedded() {
      let name = file.path.replacing("client/", with: "", maxReplacements: 1)
      guard
        case .file(let sent) = ClientFiles.embedded.location(
          of: "\(ClientFiles.embedded.hash)/\(name)")
      else {
        #expect(file.path.hasSuffix(".html"))
        continue
      }
      guard file.path.hasSuffix(".js") else {
        #expect(sent.plain.bytes == file.bytes, "\(name)")
        continue
      }
      // The comment stripper works line by line; no file has a construct that it would get wrong.
      #expect(file.bytes.count { $0 == UInt8(ascii: "`") } % 2 == 0, "\(name)")
      let code = { (bytes: [UInt8]) in
        bytes.text.split(separator: "\n").map { $0.drop { $0 == " " } }
          .filter { !$0.isEmpty && !$0.hasPrefix("/") && !$0.hasPrefix("*") }
      }
      #expect(code(sent.plain.bytes) == code(file.bytes), "\(name)")
    }
  }

  @Test func `a client that accepts gzip gets gzip and a Content-Encoding field`() throws {
    let path = "\(Self.folder)/carillon.js"
    let plain = try Self.get(path)
    let packed = try Self.get(path, "Accept-Encoding: gzip, br\r\n")
    #expect(!plain.head.contains("Content-Encoding"))
    #expect(packed.head.contains("\r\nContent-Encoding: gzip\r\n"))
    #expect(packed.body.prefix(3) == [0x1F, 0x8B, 8])
    for answer in [plain, packed] {
      #expect(answer.head.contains("\r\nVary: Accept-Encoding\r\n"))
      #expect(answer.head.contains("\r\nContent-Length: \(answer.body.count)\r\n"))
    }
    #expect(Self.tag(plain.head) != Self.tag(packed.head))
    // `q=0` refuses the coding.
    let refused = try Self.get(path, "Accept-Encoding: gzip;q=0\r\n")
    #expect(refused.body == plain.body)
    let neither = try Self.get(path, "Accept-Encoding: *;q=0\r\n")
    #expect(neither.head.hasPrefix("HTTP/1.1 406 "))
  }

  static func tag(_ head: String) -> String {
    head.firstMatch(of: /\r\nETag: ("[^"]+")\r\n/).map { String($0.1) } ?? ""
  }

  @Test func `a client that has a file already gets 304 without a body`() throws {
    for path in ["\(Self.folder)/carillon.js", "/console"] {
      for coding in ["", "Accept-Encoding: gzip\r\n"] {
        let first = try Self.get(path, coding)
        let tag = Self.tag(first.head)
        #expect(tag.count > 10)
        for known in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] {
          let (head, body) = try Self.get(path, coding + "If-None-Match: \(known)\r\n")
          #expect(head.hasPrefix("HTTP/1.1 304 "))
          #expect(body.isEmpty)
          #expect(!head.contains("Content-Length"))
          // A 304 repeats the validator and the cache fields of the full answer.
          for name in ["ETag", "Cache-Control", "Vary"] {
            #expect(Self.field(name, head) == Self.field(name, first.head), "\(name)")
          }
        }
        let other = try Self.get(path, coding + "If-None-Match: \"x\"\r\n")
        #expect(other.body == first.body)
      }
      // The tag of the plain form does not match the gzip form.
      let tag = Self.tag(try Self.get(path).head)
      let packed = try Self.get(path, "Accept-Encoding: gzip\r\nIf-None-Match: \(tag)\r\n")
      #expect(packed.head.hasPrefix("HTTP/1.1 200 "))
    }
  }

  static func field(_ name: String, _ head: String) -> Substring? {
    head.split(separator: "\r\n").first { $0.hasPrefix(name + ": ") }
  }

  @Test func `HEAD gets the same head as GET`() throws {
    let demo: (inout Configuration) -> Void = { $0.demoTokens = { _ in Self.demo } }
    for path in ["\(Self.folder)/carillon.js", "/client/carillon.js", "/console", "/"] {
      for coding in ["", "Accept-Encoding: gzip\r\n"] {
        let get = try Self.get(path, coding, demo)
        let head = try Self.get(path, coding, method: "HEAD", demo)
        #expect(head.head == get.head)
        #expect(head.body.isEmpty)
      }
    }
  }

  // MARK: Access

  @Test func `every origin may load the files, whatever origins may connect`() throws {
    for origins in [[], ["https://shop.example"], ["*"]] {
      for fields in ["", "Origin: https://other.example\r\n", "Origin: https://shop.example\r\n"] {
        for path in ["\(Self.folder)/carillon.js", "/client/carillon.js"] {
          let (head, _) = try Self.get(path, fields) { $0.allowedOrigins = origins }
          #expect(head.ranges(of: "Access-Control-").count == 1)
          #expect(head.contains("\r\nAccess-Control-Allow-Origin: *\r\n"))
          #expect(head.contains("\r\nCross-Origin-Resource-Policy: cross-origin\r\n"))
          #expect(head.contains("\r\nX-Content-Type-Options: nosniff\r\n"))
          #expect(head.contains("\r\nReferrer-Policy: no-referrer\r\n"))
        }
      }
    }
  }

  @Test func `pages use their build's folder, run under a strict policy and allow no other origin`()
    throws
  {
    let fields = "Origin: http://localhost:1\r\n"
    let (head, body) = try Self.get("/", fields) { $0.demoTokens = { _ in Self.demo } }
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    #expect(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"))
    #expect(head.contains("\r\nCache-Control: no-cache\r\n"))
    #expect(head.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "))
    #expect(head.contains("; frame-ancestors 'none'\r\n"))
    #expect(!head.contains("unsafe-"))
    #expect(head.contains("\r\nX-Content-Type-Options: nosniff\r\n"))
    #expect(head.contains("\r\nReferrer-Policy: no-referrer\r\n"))
    #expect(!head.contains("Access-Control-"))
    // Relative, because a proxy may serve the page below a path of its own.
    let folder = "client/\(Self.files.hash)/"
    #expect(body == Array(Self.page.text.replacing("/client/~/", with: folder).utf8))
    #expect(try Self.status("/console") == "200")
  }

  @Test func `without the demo, the server describes itself to anyone`() throws {
    let (head, body) = try Self.get("/", host: "notifications.example")
    #expect(head.hasPrefix("HTTP/1.1 200 "))
    #expect(head.contains("\r\nContent-Type: text/html; charset=utf-8\r\n"))
    #expect(head.contains("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "))
    #expect(body == Self.home)
    for method in ["POST", "PUT", "DELETE"] {
      #expect(try Self.status("/", method: method) == "405", "\(method)")
    }
  }
}
