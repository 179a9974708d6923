import Testing

@testable import Wire

@Suite("Routes")
struct RouterTests {
  private static let router: Router<String> = {
    var router = Router<String>()
    router.add(.get, "/", "root")
    router.add(.get, "/api/ws", "ws")
    router.add(.get, "/n", "list")
    router.add(.post, "/n", "publish")
    router.add(.delete, "/n", "clear")
    router.add(.get, "/n/count", "count")
    router.add(.put, "/n/:id/read", "read")
    router.add(.delete, "/n/:id", "delete")
    router.add(.get, "/n/:id", "one")
    router.add(.put, "/n/all/unread", "all unread")
    router.add(.get, "/u/:user/d/:device", "device")
    router.add(.head, "/own", "own head")
    router.add(.get, "/own", "own get")
    router.add(.get, "/f/*", "files")
    router.add(.get, "/f/:id/meta", "meta")
    router.add(.get, "/f/list", "file list")
    router.add(.post, "/f/list", "file post")
    return router
  }()

  static let vectors: [(HTTPMethod, String, RouteMatch<String>)] = [
    (.get, "/", .found("root", parameters: [])), (.get, "/api/ws", .found("ws", parameters: [])),
    (.post, "/n", .found("publish", parameters: [])),
    (.get, "/n/count", .found("count", parameters: [])),
    (.get, "/n/7", .found("one", parameters: ["7"])),
    // The literal takes precedence, but has no DELETE.
    (.delete, "/n/count", .found("delete", parameters: ["count"])),
    (.delete, "/n/all", .found("delete", parameters: ["all"])),
    (.put, "/n/all/unread", .found("all unread", parameters: [])),
    (.put, "/n/all/read", .found("read", parameters: ["all"])),
    (.get, "/u/a%20b/d/%E2%82%AC", .found("device", parameters: ["a b", "\u{20AC}"])),
    (.get, "/u/a+b/d/c%2Fd", .found("device", parameters: ["a+b", "c/d"])),
    (.head, "/n/7", .found("one", parameters: ["7"])),
    (.head, "/own", .found("own head", parameters: [])),
    (.post, "/api/ws", .methodNotAllowed(allow: "GET, HEAD, OPTIONS")),
    (.patch, "/n", .methodNotAllowed(allow: "DELETE, GET, HEAD, OPTIONS, POST")),
    (.head, "/n/7/read", .methodNotAllowed(allow: "OPTIONS, PUT")),
    (.other, "/n/count", .methodNotAllowed(allow: "DELETE, GET, HEAD, OPTIONS")),
    (.options, "/own", .methodNotAllowed(allow: "GET, HEAD, OPTIONS")),
    (.get, "", .notFound), (.get, "*", .notFound), (.options, "*", .notFound),
    (.connect, "a:443", .notFound), (.get, "n", .notFound), (.get, "//", .notFound),
    (.get, "//n", .notFound), (.get, "/n//read", .notFound),
    (.get, "/N", .notFound), (.get, "/%6E", .notFound), (.get, "/api", .notFound),
    (.get, "/n/7/8", .notFound), (.get, "/n/%", .notFound),
    (.get, "/n/%4", .notFound), (.get, "/n/%FF", .notFound), (.get, "/n/%zz", .notFound),
    (.put, "/n/7/read/x", .notFound), (.get, "/n?x", .notFound),
    (.get, "/f/a", .found("files", parameters: ["a"])),
    (.get, "/f/a/b/c/", .found("files", parameters: ["a/b/c/"])),
    (.get, "/f//a", .found("files", parameters: ["/a"])),
    (.get, "/f/../a%2F%2E", .found("files", parameters: ["../a/."])),
    (.head, "/f/a/b", .found("files", parameters: ["a/b"])),
    // A slash at the end is ignored where nothing is changed.
    (.get, "/n/", .found("list", parameters: [])),
    (.head, "/n/7/", .found("one", parameters: ["7"])),
    (.options, "/own/", .methodNotAllowed(allow: "GET, HEAD, OPTIONS")),
    (.get, "/api/ws/", .found("ws", parameters: [])), (.delete, "/n/", .notFound),
    (.post, "/n/", .notFound), (.delete, "/n/7/", .notFound), (.get, "/n//", .notFound),
    // The more specific pattern takes precedence; the wildcard matches all other paths.
    (.get, "/f/list", .found("file list", parameters: [])),
    (.get, "/f/a/meta", .found("meta", parameters: ["a"])),
    (.get, "/f/list/meta", .found("meta", parameters: ["list"])),
    (.get, "/f/a/meta/b", .found("files", parameters: ["a/meta/b"])),
    (.put, "/f/list", .methodNotAllowed(allow: "GET, HEAD, OPTIONS, POST")),
    (.post, "/f/a/b", .methodNotAllowed(allow: "GET, HEAD, OPTIONS")),
    (.get, "/f/", .notFound), (.get, "/f", .notFound), (.get, "/f/%zz", .notFound),
  ]

  @Test("a path finds its route, or the methods that it allows", arguments: vectors)
  func match(method: HTTPMethod, path: String, expected: RouteMatch<String>) {
    #expect(Self.router.match(method, path: path) == expected)
  }

  @Test("a head is matched like its method and path", arguments: vectors)
  func matchHead(method: HTTPMethod, path: String, expected: RouteMatch<String>) throws {
    guard path.hasPrefix("/"), !path.contains("?"), method != .connect else { return }
    let head = try parse("\(method.name) \(path)?q HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(Self.router.match(head) == expected)
    let absolute = try parse("\(method.name) http://a\(path)?q HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(Self.router.match(absolute) == expected)
  }

  @Test("an absolute target without a path is the root")
  func absoluteRoot() throws {
    let head = try parse("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n")
    #expect(Self.router.match(head) == .found("root", parameters: []))
  }

  // Case 34
  @Test("a path of any depth gets a result", arguments: [15, 16, 17, 32, 33, 100_000])
  func depth(count: Int) {
    var router = Router<Int>()
    router.add(.get, String(repeating: "/:p", count: 16), 16)
    let match = router.match(.get, path: String(repeating: "/x", count: count))
    if count == 16 {
      #expect(match == .found(16, parameters: [String](repeating: "x", count: 16)))
    } else {
      #expect(match == .notFound)
    }
    #expect(Self.router.match(.get, path: String(repeating: "/", count: count)) == .notFound)
  }

  @Test("ambiguous patterns are programming errors")
  func badPatterns() async {
    await #expect(processExitsWith: .failure) {
      var router = Router<Int>()
      router.add(.get, "n", 1)
    }
    await #expect(processExitsWith: .failure) {
      var router = Router<Int>()
      router.add(.get, "/n/:id", 1)
      router.add(.get, "/n/:name", 2)
    }
    await #expect(processExitsWith: .failure) {
      var router = Router<Int>()
      router.add(.get, String(repeating: "/a", count: 17), 1)
    }
  }
}
