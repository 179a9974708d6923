// gzip (RFC 1952), by zlib: for files that are compressed once and sent many times.
//
// One call from bytes to bytes. zlib gives an upper bound for the result's length, so the memory is
// bounded before anything is compressed: by the input's size, a thousandth of it and a few bytes,
// and the 270 KB of zlib's own state, which is freed within the call.

internal import CZlib

/// Compression in the gzip format.
package enum Gzip {
  /// The most bytes that one call compresses.
  package static let inputBytesLimit = 64 * 1_024 * 1_024

  /// `bytes` as one gzip member, made as small as zlib can (level 9).
  ///
  /// The same bytes give the same result: it contains no time and no name. Pure, for any thread but
  /// a shard's, because 100 KB take milliseconds. More than `inputBytesLimit` is a programming
  /// error.
  package static func compress(_ bytes: [UInt8]) -> [UInt8] {
    precondition(bytes.count <= inputBytesLimit, "\(bytes.count) bytes to compress")
    var stream = unsafe z_stream()
    // SAFETY: zlib keeps the stream's address from its first call to its last, so all calls are
    // made within the one closure in which that address is valid.
    return unsafe withUnsafeMutablePointer(to: &stream) { stream in
      // 15 is the largest window, and 16 more asks for gzip's header and trailer; 9 is the most
      // memory for finding repetitions.
      let begun = unsafe deflateInit2_(
        stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      // Only an allocation can fail here, and Swift itself traps on that.
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
