// What browsers are given, ready to be sent: each file with its type, in both codings, each with
// the tag by which a browser asks for it again.
//
// All files lie in one folder whose name is a digest of them all, so that modules which import each
// other by relative paths always come from one build, and may be kept for ever: another build is
// another folder. Only the pages themselves have addresses that stay, and name the present folder.
//
// A file is found in a table by its name. There is no path to walk, so none to walk out of.

internal import Cryptography
internal import Wire

/// One file in both of its forms.
struct ClientFile: Sendable {
  /// The bytes that are sent, and what stands for them in If-None-Match.
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
    // Another form is another tag: RFC 9110, section 8.8.3.3.
    compressed = Form(bytes: Gzip.compress(bytes), tag: tag + "-gzip")
  }

  func form(_ coding: ContentCoding) -> Form {
    switch coding {
    case .identity: plain
    case .gzip: compressed
    }
  }
}

/// Every file, and where it is.
///
/// Made once and immutable, so all shards and all answers share the bytes.
struct ClientFiles: Sendable {
  /// Where a path below /client/ leads.
  enum Location {
    case file(ClientFile)
    /// The file is there under the present digest, at this path.
    case moved(String)
  }

  /// What is in the binary; compressed when a process first asks for it, at a server's start.
  static let embedded = ClientFiles(SourceFile.embedded())

  /// The digest of all files, the name of the folder that they are in.
  let hash: String
  /// By the path below the folder: "carillon.js", "pages/demo.js".
  private let files: [String: ClientFile]
  /// The pages by their name: "demo.html".
  private let pages: [String: ClientFile]

  /// What pages write in place of the folder's name.
  private static let placeholder = Array("/client/~/".utf8)
  /// Digits of the folder's name: 64 bits, against a build that is taken for another one.
  private static let hashDigits = 16

  /// Takes the source's files, whose paths begin with "client/" or "pages/".
  ///
  /// Two of one name, or one of a type that has none here, are programming errors.
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

  /// Where the path behind "/client/" leads: into the present folder, or, without a folder or with
  /// an earlier one, to where the file is now.
  func location(of path: String) -> Location? {
    if files[path] != nil { return .moved(address(of: path)) }
    guard let slash = path.utf8.firstIndex(of: 0x2F) else { return nil }
    let folder = path[..<slash]
    let name = String(path[path.index(after: slash)...])
    guard ClientFiles.isDigest(folder), let file = files[name] else { return nil }
    // guard: client-file-of-earlier-build
    return folder == hash ? .file(file) : .moved(address(of: name))
  }

  private func address(of name: String) -> String { "/client/\(hash)/\(name)" }

  /// Whether a folder's name can have been a build's.
  private static func isDigest(_ folder: Substring) -> Bool {
    folder.utf8.count == hashDigits
      && folder.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x66 ~= $0 }
  }

  /// What stands for all files together: any change of any name or byte makes it another.
  private static func digest(of sources: [SourceFile]) -> String {
    var text: [UInt8] = []
    for source in sources.sorted(by: { $0.path < $1.path }) {
      text.appendText(source.path)
      // Neither is in a name, so no two lists of files are written alike.
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

  /// A page with the folder's name where its placeholder stands.
  private static func resolve(_ page: [UInt8], _ hash: String) -> [UInt8] {
    Array(
      page.split(separator: placeholder, omittingEmptySubsequences: false)
        .joined(separator: Array("/client/\(hash)/".utf8)))
  }

  private static func contentType(of path: String) -> String {
    let types = [
      (".js", "text/javascript; charset=utf-8"),
      (".css", "text/css; charset=utf-8"),
      (".html", "text/html; charset=utf-8"),
      // No type is registered for TypeScript. As text a browser shows it to whoever opens it, and
      // compilers and editors go by the name.
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
