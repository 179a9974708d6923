// gzip (RFC 1952), by zlib: for files that are compressed once and sent often.
//
// One call from bytes to bytes. zlib says beforehand how long a result can be at the most, so the
// memory is bounded before anything is compressed: by the input's size, a thousandth of it and a
// few bytes, and the 270 KB of zlib's own state, which is given back within the call.

internal import CZlib

/// Compression in the gzip format.
package enum Gzip {
  /// The most bytes that are compressed at once.
  package static let inputBytesLimit = 64 * 1_024 * 1_024

  /// `bytes` as one gzip member, made as small as zlib can (level 9).
  ///
  /// The same bytes give the same result: no time and no name is in it. Pure, for any thread;
  /// milliseconds for 100 KB, so not for a shard's. More than `inputBytesLimit` is a programming
  /// error.
  package static func compress(_ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count <= inputBytesLimit, "\(bytes.count) bytes to compress")
    var stream = unsafe z_stream()
    // SAFETY: zlib keeps the stream's address from its first call to its last, so all of them are
    // made within the one closure in which that address holds.
    return unsafe withUnsafeMutablePointer(to: &stream) { stream in
      // 15 is the largest window, and 16 more asks for gzip's header and trailer; 9 is the most
      // memory for finding what repeats.
      let begun = unsafe deflateInit2_(
        stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      // What is left to fail is memory, and Swift itself traps then.
      precondition(begun == Z_OK, "deflateInit2 failed with \(begun)")
      defer { unsafe deflateEnd(stream) }
      return unsafe finish(stream, bytes)
    }
  }

  /// Compresses all of `bytes` with a stream that has just begun.
  private static func finish(
    _ stream: UnsafeMutablePointer<z_stream>, _ bytes: [UInt8]
  ) -> [UInt8] {
    let bound = unsafe Int(deflateBound(stream, UInt(bytes.count)))
    return unsafe [UInt8](unsafeUninitializedCapacity: bound) { output, outputCount in
      unsafe bytes.withUnsafeBufferPointer { input in
        // SAFETY: zlib reads the input and writes at most `bound` bytes during the call alone, and
        // both buffers are live in these closures. An empty array's address is not read.
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(input.count)
        unsafe stream.pointee.next_out = output.baseAddress
        unsafe stream.pointee.avail_out = UInt32(bound)
        let ended = unsafe deflate(stream, Z_FINISH)
        precondition(ended == Z_STREAM_END, "deflate ended with \(ended)")
        outputCount = unsafe bound - Int(stream.pointee.avail_out)
      }
    }
  }
}
