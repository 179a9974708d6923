// Files for browsers, ready to send: each with its content type, in both codings, and with an ETag
// for each coding.
//
// All files are in one folder named by a digest of them all. So modules that import each other by
// relative paths always come from one build, and a browser may cache them forever: another build
// has another folder. Only the pages have stable URLs, and they refer to the current folder.
//
// Files are looked up by name in a table. No file system path is involved, so path traversal is
// impossible.

internal import Cryptography
internal import Wire

/// One file in both codings.
struct ClientFile: Sendable {
  /// The bytes of one coding, and their entity tag for If-None-Match.
  struct Form: Sendable {
    let bytes: [UInt8]
    let tag: String
  }

  let contentType: String
  let plain: Form
  let compressed: Form

  init(_ bytes: [UInt8], contentType: String) {
    self.contentType = contentType
    let tag = ClientFiles.hexadecimal(Digest.sha256(bytes).prefix(8))
    plain = Form(bytes: bytes, tag: tag)
    // Each coding needs its own tag: RFC 9110, section 8.8.3.3.
    compressed = Form(bytes: Gzip.compress(bytes), tag: tag + "-gzip")
  }

  func form(_ coding: ContentCoding) -> Form {
    switch coding {
    case .identity: plain
    case .gzip: compressed
    }
  }
}

/// All files for browsers, by name.
///
/// Created once and immutable, so all shards and all answers share the bytes.
struct ClientFiles: Sendable {
  /// The result of looking up a path below /client/.
  enum Location {
    case file(ClientFile)
    /// The file is at this path below /client/, in the current folder.
    case moved(String)
  }

  /// The files embedded in the binary; compressed at first use, when a server starts.
  static let embedded = ClientFiles(SourceFile.embedded())

  /// The digest of all files, which is the name of their folder.
  let hash: String
  /// Files by the path below the folder: "carillon.js", "pages/demo.js".
  private let files: [String: ClientFile]
  /// Pages by name: "demo.html".
  private let pages: [String: ClientFile]

  /// The placeholder for the folder's name in the sources of pages.
  private static let placeholder = Array("/client/~/".utf8)
  /// Digits of the folder's name: 64 bits, so that two builds do not get the same name.
  private static let hashDigits = 16

  /// Builds the table from source files with paths that begin with "client/" or "pages/".
  ///
  /// Two files with one name, or a file of an unknown type, are programming errors.
  init(_ sources: [SourceFile]) {
    let hash = ClientFiles.digest(of: sources)
    var files: [String: ClientFile] = [:]
    var pages: [String: ClientFile] = [:]
    for source in sources {
      let type = ClientFiles.contentType(of: source.path)
      if source.path.hasPrefix("pages/"), source.path.hasSuffix(".html") {
        let name = String(source.path.dropFirst("pages/".count))
        let bytes = ClientFiles.resolve(source.bytes, hash)
        precondition(pages.updateValue(ClientFile(bytes, contentType: type), forKey: name) == nil)
      } else {
        let isClient = source.path.hasPrefix("client/")
        let name = isClient ? String(source.path.dropFirst("client/".count)) : source.path
        let isScript = source.path.hasSuffix(".js")
        let bytes = isScript ? CommentStripper.of(source.bytes) : source.bytes
        let file = ClientFile(bytes, contentType: type)
        precondition(files.updateValue(file, forKey: name) == nil, "\(name) twice")
      }
    }
    self.hash = hash
    self.files = files
    self.pages = pages
  }

  /// The page of that name.
  func page(_ name: String) -> ClientFile? { pages[name] }

  /// Looks up the path after "/client/".
  ///
  /// In the current folder it finds the file. Without a folder, or with an earlier build's, it
  /// returns the file's current location.
  func location(of path: String) -> Location? {
    if files[path] != nil { return .moved(address(of: path)) }
    guard let slash = path.utf8.firstIndex(of: 0x2F) else { return nil }
    let folder = path[..<slash]
    let name = String(path[path.index(after: slash)...])
    guard ClientFiles.isDigest(folder), let file = files[name] else { return nil }
    // guard: client-file-of-earlier-build
    return folder == hash ? .file(file) : .moved(address(of: name))
  }

  private func address(of name: String) -> String { "\(hash)/\(name)" }

  /// Whether a folder's name has the form of a build's digest.
  private static func isDigest(_ folder: Substring) -> Bool {
    folder.utf8.count == hashDigits
      && folder.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }
  }

  /// The digest of all files: changes with any change of a name or byte.
  private static func digest(of sources: [SourceFile]) -> String {
    var text: [UInt8] = []
    for source in sources.sorted(by: { $0.path < $1.path }) {
      text.appendText(source.path)
      // No name contains a newline, so no two lists of files give the same text.
      text.appendText("\n\(source.bytes.count)\n")
      text += Digest.sha256(source.bytes)
    }
    return hexadecimal(Digest.sha256(text).prefix(hashDigits / 2))
  }

  static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 0x0F)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// Replaces the placeholder in a page by the folder's name.
  ///
  /// The address is relative, because a proxy may serve the pages below a path of its own.
  private static func resolve(_ page: [UInt8], _ hash: String) -> [UInt8] {
    // guard: pages-below-a-prefix
    Array(
      page.split(separator: placeholder, omittingEmptySubsequences: false)
        .joined(separator: Array("client/\(hash)/".utf8)))
  }

  private static func contentType(of path: String) -> String {
    let types = [
      (".js", "text/javascript; charset=utf-8"),
      (".css", "text/css; charset=utf-8"),
      (".html", "text/html; charset=utf-8"),
      // No type is registered for TypeScript. As text/plain a browser displays it; compilers and
      // editors go by the file name.
      (".d.ts", "text/plain; charset=utf-8"),
      (".svg", "image/svg+xml"),
      (".png", "image/png"),
      (".woff2", "font/woff2"),
    ]
    guard let type = types.first(where: { path.hasSuffix($0.0) }) else {
      preconditionFailure("no type for \(path)")
    }
    return type.1
  }
}
