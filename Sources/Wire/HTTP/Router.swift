// The router: maps a method and a path to a route.

/// The router's result for a request.
package enum RouteMatch<Route> {
  /// The route, and the values of its parameters in this path, decoded, in the pattern's order.
  case found(Route, parameters: [String])
  /// The path exists with other methods: the value of an Allow field, in alphabetical order.
  case methodNotAllowed(allow: String)
  case notFound
}

extension RouteMatch: Sendable where Route: Sendable {}
extension RouteMatch: Equatable where Route: Equatable {}

/// A tree of path segments.
///
/// A pattern consists of literal segments and parameters: "/users/:id/online". A literal takes
/// precedence over a parameter, segment by segment from the left. If the literal has no route for
/// this method, the parameter is tried, and last the wildcard: "/files/*" matches every path below
/// "/files/", and the rest of the path becomes the last parameter, slashes included. HEAD falls
/// back to the route for GET. Paths are compared as they were sent: a literal with escapes is not
/// found, and neither is a path with an empty segment, except within a wildcard's part. One slash
/// at the end is ignored where nothing is changed: for GET, HEAD and OPTIONS. A DELETE with it may
/// be one with an empty last segment. Matching a path without parameters allocates nothing; every
/// node of the tree is visited at most twice, whatever the path.
package struct Router<Route: Sendable>: Sendable {
  private var tree = RouteTree()
  private var routes: [Route] = []
  /// The routes' methods and patterns, in the order in which they were added.
  package private(set) var patterns: [(method: HTTPMethod, pattern: String)] = []

  package init() {}

  /// Adds a route; adding the same pattern twice for a method is a programming error.
  package mutating func add(_ method: HTTPMethod, _ pattern: String, _ route: Route) {
    tree.add(method, pattern, routes.count)
    routes.append(route)
    patterns.append((method, pattern))
  }

  /// The match for this method and path; `path` is as it was sent, without the query.
  package func match(_ method: HTTPMethod, path: String) -> RouteMatch<Route> {
    let bytes = path.utf8.span
    return result(of: tree.match(method, bytes, in: 0..<bytes.count))
  }

  /// The match for this request, without making a string of its path.
  package func match(_ head: HTTPRequestHead) -> RouteMatch<Route> {
    guard !head.target.path.isEmpty else { return match(head.method, path: "/") }
    return result(of: tree.match(head.method, head.fields.bytes.span, in: head.target.path))
  }

  private func result(of match: RouteMatch<Int>) -> RouteMatch<Route> {
    switch match {
    case .found(let index, let parameters): .found(routes[index], parameters: parameters)
    case .methodNotAllowed(let allow): .methodNotAllowed(allow: allow)
    case .notFound: .notFound
    }
  }
}

/// The tree of a router, with the indices of its routes.
///
/// Separate from `Router` because it is not generic: code of a generic type that another module
/// uses is not specialized, and looks up its types at run time.
private struct RouteTree: Sendable {
  /// A literal segment, as a range of `text`, and the node below it.
  private struct Literal {
    let segment: Range<Int>
    let node: Int
  }

  private struct Node {
    var literals: [Literal] = []
    var parameter: Int?
    /// The node of the wildcard "*".
    var rest: Int?
    var routes: [(method: HTTPMethod, route: Int)] = []

    func route(for method: HTTPMethod) -> Int? {
      for entry in routes where entry.method == method { return entry.route }
      return nil
    }
  }

  /// The most segments of a pattern, which bounds the depth of a search.
  private let segmentCountLimit = 16
  private var nodes = [Node()]
  /// The bytes of all literal segments: one array, so that a match retains nothing for a segment.
  private var text: [UInt8] = []

  mutating func add(_ method: HTTPMethod, _ pattern: String, _ route: Int) {
    precondition(pattern.utf8.first == HTTPCharacter.slash, "a pattern begins with /: \(pattern)")
    var node = 0
    var count = 0
    for segment in pattern.utf8.dropFirst().split(
      separator: HTTPCharacter.slash, omittingEmptySubsequences: false)
    {
      node = child(of: node, segment)
      count += 1
    }
    precondition(count <= segmentCountLimit, "too many segments: \(pattern)")
    precondition(!pattern.contains("*/"), "* is not the last segment: \(pattern)")
    precondition(nodes[node].route(for: method) == nil, "\(method.name) \(pattern) added twice")
    nodes[node].routes.append((method, route))
  }

  private mutating func child(of node: Int, _ segment: Substring.UTF8View) -> Int {
    if segment.first == HTTPCharacter.colon { return child(of: node, \.parameter) }
    if segment.elementsEqual([HTTPCharacter.asterisk]) { return child(of: node, \.rest) }
    return literal(of: node, segment)
  }

  private mutating func child(of node: Int, _ path: WritableKeyPath<Node, Int?>) -> Int {
    if let child = nodes[node][keyPath: path] { return child }
    nodes.append(Node())
    nodes[node][keyPath: path] = nodes.count - 1
    return nodes.count - 1
  }

  private mutating func literal(of node: Int, _ segment: Substring.UTF8View) -> Int {
    for literal in nodes[node].literals where text[literal.segment].elementsEqual(segment) {
      return literal.node
    }
    let start = text.count
    text += segment
    nodes.append(Node())
    nodes[node].literals.append(Literal(segment: start..<text.count, node: nodes.count - 1))
    return nodes.count - 1
  }

  func match(
    _ method: HTTPMethod, _ bytes: borrowing Span<UInt8>, in path: Range<Int>
  ) -> RouteMatch<Int> {
    let match = matchExactly(method, bytes, in: path)
    // guard: trailing-slash-of-reads-only
    guard case .notFound = match, [.get, .head, .options].contains(method), path.count > 2,
      bytes[path.upperBound - 1] == HTTPCharacter.slash
    else { return match }
    return matchExactly(method, bytes, in: path.dropLast())
  }

  private func matchExactly(
    _ method: HTTPMethod, _ bytes: borrowing Span<UInt8>, in path: Range<Int>
  ) -> RouteMatch<Int> {
    guard let first = path.first, bytes[first] == HTTPCharacter.slash else { return .notFound }
    var search = Search(method: method, path: path)
    if let route = descend(from: 0, at: first, bytes, &search) {
      var parameters: [String] = []
      for range in search.parameters {
        guard let text = Percent.decode(bytes, in: range, plusIsSpace: false) else {
          return .notFound
        }
        parameters.append(text)
      }
      return .found(route, parameters: parameters)
    }
    guard search.methods != 0 else { return .notFound }
    return .methodNotAllowed(allow: search.allow)
  }

  /// The state of one search of the tree.
  private struct Search {
    let method: HTTPMethod
    let path: Range<Int>
    var parameters: [Range<Int>] = []
    /// The methods of the path's routes, one bit each, if the requested one is not among them.
    var methods: UInt16 = 0

    var allow: String {
      // OPTIONS is answered at every path.
      let methods = methods | 1 << UInt16(HTTPMethod.options.rawValue)
      var names: [String] = []
      for method in HTTPMethod.allCases where methods >> UInt16(method.rawValue) & 1 == 1 {
        names.append(method.name)
      }
      return names.sorted().joined(separator: ", ")
    }
  }

  // `slash` is the position of the next segment's slash, or the path's end. A path that is longer
  // than every pattern runs out of nodes, so the tree bounds the depth, not the peer.
  private func descend(
    from node: Int, at slash: Int, _ bytes: borrowing Span<UInt8>,
    _ search: inout Search
  ) -> Int? {
    guard slash < search.path.upperBound else { return route(at: node, &search) }
    var end = slash + 1
    while end < search.path.upperBound, bytes[end] != HTTPCharacter.slash { end += 1 }
    let segment = (slash + 1)..<end
    if let literal = literal(of: node, bytes, segment),
      let route = descend(from: literal, at: end, bytes, &search)
    {
      return route
    }
    if let parameter = nodes[node].parameter, !segment.isEmpty {
      search.parameters.append(segment)
      if let route = descend(from: parameter, at: end, bytes, &search) {
        return route
      }
      search.parameters.removeLast()
    }
    let rest = (slash + 1)..<search.path.upperBound
    guard let node = nodes[node].rest, !rest.isEmpty else { return nil }
    search.parameters.append(rest)
    if let route = route(at: node, &search) { return route }
    search.parameters.removeLast()
    return nil
  }

  private func route(at node: Int, _ search: inout Search) -> Int? {
    if let route = nodes[node].route(for: search.method) { return route }
    if search.method == .head, let route = nodes[node].route(for: .get) { return route }
    for entry in nodes[node].routes {
      search.methods |= 1 << UInt16(entry.method.rawValue)
      if entry.method == .get { search.methods |= 1 << UInt16(HTTPMethod.head.rawValue) }
    }
    return nil
  }

  /// The node below `node` for a literal segment.
  private func literal(
    of node: Int, _ bytes: borrowing Span<UInt8>, _ segment: Range<Int>
  ) -> Int? {
    for literal in nodes[node].literals where literal.segment.count == segment.count {
      var offset = 0
      while offset < segment.count,
        text[literal.segment.lowerBound + offset] == bytes[segment.lowerBound + offset]
      {
        offset += 1
      }
      if offset == segment.count { return literal.node }
    }
    return nil
  }
}
