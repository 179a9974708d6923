// libcurl's multi handle, which drives all transfers of one thread.

internal import CCurl

/// The handle of one transfer, which its transfer owns.
@safe struct EasyHandle: Hashable {
  let raw: UnsafeMutableRawPointer

  // Compared by address alone, which touches no memory.
  static func == (left: EasyHandle, right: EasyHandle) -> Bool { unsafe left.raw == right.raw }
  func hash(into hasher: inout Hasher) { unsafe hasher.combine(raw) }
}

/// A multi handle with the connections that its transfers share.
///
/// One thread, the owner, calls all functions but `wake`.
///
/// Invariant: each transfer that is added is removed before this object ends.
@safe final class CurlMulti: @unchecked Sendable {
  // Sendable because the handle is constant, only the owner's thread uses it, and
  // curl_multi_wakeup may be called from any thread (curl_multi_wakeup(3)).
  private let handle: UnsafeMutableRawPointer

  init(limits: OutgoingLimits) throws(CurlLibrary.Failure) {
    _ = try CurlLibrary.load()
    // SAFETY: libcurl is loaded.
    guard let handle = unsafe cu_multi_init() else {
      throw CurlLibrary.Failure(description: "curl_multi_init failed")
    }
    unsafe self.handle = handle
    let options: [(CURLMoption, Int)] = [
      (CURLMOPT_PIPELINING, 0),
      // libcurl's limits of connections are off: when one becomes free, it goes on with the request
      // that has waited longest, even if that is for another host, which then delays all others.
      (CURLMOPT_MAXCONNECTS, limits.idleConnections),
    ]
    for (option, value) in options {
      let result = unsafe cu_multi_set_long(handle, option, value)
      precondition(result == CURLM_OK, "curl_multi_setopt(\(option.rawValue)): \(result.rawValue)")
    }
  }

  deinit {
    // SAFETY: the last reference is gone, so no other thread wakes it.
    unsafe cu_multi_cleanup(handle)
  }

  /// Begins a transfer; false if libcurl has no memory for it.
  func add(_ easy: EasyHandle) -> Bool {
    // SAFETY: the caller's handle is live until it is removed.
    unsafe cu_multi_add(handle, easy.raw) == CURLM_OK
  }

  /// Removes a transfer, and closes its connection if it has not ended.
  func remove(_ easy: EasyHandle) {
    // SAFETY: the caller's handle was added and is live.
    let result = unsafe cu_multi_remove(handle, easy.raw)
    assert(result == CURLM_OK, "curl_multi_remove_handle: \(result.rawValue)")
  }

  /// Moves all transfers on, and calls `body` with each that has ended.
  ///
  /// `body` may remove it and add others.
  func perform(_ body: (EasyHandle, CURLcode) -> Void) {
    // SAFETY: the handle is live; callbacks get contexts that live as long as their transfers.
    // A transfer's own failure is its result. The call fails itself only if memory runs out, and
    // the next one goes on.
    _ = unsafe cu_multi_perform(handle)
    var result = CURLE_OK
    // SAFETY: as above; libcurl writes the result.
    while let easy = unsafe cu_multi_take_ended(handle, &result) {
      body(unsafe EasyHandle(raw: easy), result)
    }
  }

  /// Waits for a socket, a timer of libcurl, `wake` or this time.
  func poll(milliseconds: Int32) { _ = unsafe cu_multi_poll(handle, milliseconds) }

  /// Ends the wait, or the next one; any thread may call it.
  func wake() { _ = unsafe cu_multi_wakeup(handle) }
}
