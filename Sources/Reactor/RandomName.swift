// Random names for ids and epochs.

/// Random names of `[0-9a-z]`.
package enum RandomName {
  /// A name of so many characters, each with 5.2 random bits.
  package static func make(characterCount: Int, _ kernel: Kernel) -> String {
    let alphabet = Array("0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    var name: [UInt8] = []
    while name.count < characterCount {
      // 252 is seven times 36: larger bytes would make the first letters more likely.
      for byte in kernel.randomBytes(count: 32) where byte < 252 && name.count < characterCount {
        name.append(alphabet[Int(byte) % alphabet.count])
      }
    }
    return String(decoding: name, as: UTF8.self)
  }
}
