// One request in flight: the state that libcurl's callbacks change, and its end.
//
// The address that a socket connects to decides whether a request leaves. The policy has already
// checked the addresses of the name; this second check holds if a name's addresses change, or if
// libcurl took the address from elsewhere.

internal import CCurl
internal import Reactor

/// A request in flight, from `start` to its result.
///
/// The owner's thread alone uses it: libcurl calls its callbacks during `perform`.
///
/// Invariant: `body` has at most `request.keptBodyBytes` bytes.
@safe final class Transfer {
  enum State {
    /// The name is not resolved.
    case resolving
    /// As many requests to its origin as may have a connection are running.
    case queued
    /// libcurl has it.
    case running
  }

  let id: UInt64
  let request: OutgoingRequest
  /// Monotonic milliseconds at which it fails.
  let deadline: UInt64
  private let policy: AddressPolicy
  /// Time of day in milliseconds when it began, for a `Retry-After` with a date.
  private let wallMilliseconds: Int64

  var state = State.resolving
  /// The origin of its destination, by which connections are counted.
  let origin: String
  /// The addresses that the policy allows; not empty when it is prepared.
  var addresses: [PeerAddress] = []
  /// Nil until it runs.
  private(set) var easy: EasyHandle?
  private var fields: UnsafeMutablePointer<curl_slist>?
  private var pins: UnsafeMutablePointer<curl_slist>?

  /// Whether a socket was refused by the policy.
  private var hasRefusedAddress = false
  /// Whether a socket was opened, and whether its connection became ready.
  private var hasOpened = false
  private var isConnected = false
  private var headByteCount = 0
  private var isHeadTooLong = false
  private var hasFinalHead = false
  private var retryAfter: Int64?
  private var maxAge: Int64?
  private var bodyByteCount = 0
  private var body: [UInt8] = []

  init(
    id: UInt64, request: OutgoingRequest, policy: AddressPolicy, deadline: UInt64,
    wallMilliseconds: Int64
  ) {
    self.id = id
    self.request = request
    origin = request.destination.origin
    self.policy = policy
    self.deadline = deadline
    self.wallMilliseconds = wallMilliseconds
    unsafe fields = nil
    unsafe pins = nil
  }

  deinit {
    // SAFETY: the owner has removed the handle from the multi handle; the lists outlive the handle.
    if let easy { unsafe cu_easy_cleanup(easy.raw) }
    if let fields = unsafe fields { unsafe cu_list_free(fields) }
    if let pins = unsafe pins { unsafe cu_list_free(pins) }
  }

  /// Makes the handle; nil if memory runs out or libcurl lacks an option.
  func prepare(
    isPinned: Bool, authorities: String?, connectMilliseconds: UInt64
  ) -> EasyHandle? {
    guard let handle = unsafe cu_easy_init() else { return nil }
    let easy = unsafe EasyHandle(raw: handle)
    self.easy = easy
    let isReady =
      unsafe setRequest(handle) && setTransport(handle, connectMilliseconds)
      && (!isPinned || setPins(handle)) && setCallbacks(handle)
      && (authorities == nil || cu_easy_set_text(handle, CURLOPT_CAINFO, authorities) == CURLE_OK)
    return isReady ? easy : nil
  }

  // MARK: Options

  private func setRequest(_ easy: UnsafeMutableRawPointer) -> Bool {
    var list: UnsafeMutablePointer<curl_slist>?
    // A field without a value removes the one that libcurl would add.
    var lines = ["Expect:"]
    lines += request.fields.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
    if !request.fields.contains(where: { $0.name.lowercased() == "content-type" }) {
      lines.append("Content-Type:")
    }
    for line in lines {
      // SAFETY: the text is copied; the list is freed with this transfer.
      guard let longer = unsafe cu_list_append(list, line) else { return false }
      unsafe list = longer
      unsafe fields = longer
    }
    // SAFETY: the handle is live; texts and the body are copied, the list outlives the handle.
    let results = unsafe [
      cu_easy_set_text(easy, CURLOPT_URL, request.destination.url),
      cu_easy_set_long(easy, CURLOPT_PATH_AS_IS, 1),
      cu_easy_set_list(easy, CURLOPT_HTTPHEADER, list),
      cu_easy_set_text(easy, CURLOPT_USERAGENT, "carillon"),
    ]
    guard results.allSatisfy({ $0 == CURLE_OK }) else { return false }
    switch request.method {
    case .get:
      return unsafe cu_easy_set_long(easy, CURLOPT_HTTPGET, 1) == CURLE_OK
    case .post:
      // SAFETY: the array is live for the call, which copies its bytes.
      return unsafe request.body.withUnsafeBytes { bytes in
        unsafe cu_easy_set_body(easy, bytes.baseAddress, Int64(bytes.count)) == CURLE_OK
      }
    }
  }

  private func setTransport(_ easy: UnsafeMutableRawPointer, _ connectMilliseconds: UInt64) -> Bool
  {
    // An empty name disables the proxies of the environment.
    // guard: no-proxy
    let proxy = ""
    // guard: no-redirects
    let followsRedirects = 0
    // guard: known-authority
    let checksAuthority = 1
    // guard: certificate-of-the-host
    let checksHost = 2
    let texts: [(CURLoption, String)] = [
      (CURLOPT_PROTOCOLS_STR, "http,https"),
      (CURLOPT_REDIR_PROTOCOLS_STR, "http,https"),
      (CURLOPT_PROXY, proxy),
    ]
    let numbers: [(CURLoption, Int)] = [
      (CURLOPT_NOSIGNAL, 1),
      (CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1),
      (CURLOPT_HTTP09_ALLOWED, 0),
      (CURLOPT_FOLLOWLOCATION, followsRedirects),
      (CURLOPT_NETRC, 0),
      (CURLOPT_SSL_VERIFYPEER, checksAuthority),
      (CURLOPT_SSL_VERIFYHOST, checksHost),
      (CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2),
      (CURLOPT_CONNECTTIMEOUT_MS, Int(clamping: connectMilliseconds)),
      (CURLOPT_BUFFERSIZE, 16 * 1_024),
      (CURLOPT_DNS_CACHE_TIMEOUT, 30),
    ]
    // SAFETY: the handle is live; texts are copied.
    return texts.allSatisfy { unsafe cu_easy_set_text(easy, $0.0, $0.1) == CURLE_OK }
      && numbers.allSatisfy { unsafe cu_easy_set_long(easy, $0.0, $0.1) == CURLE_OK }
  }

  /// Pins the name to its addresses, so that libcurl resolves nothing.
  private func setPins(_ easy: UnsafeMutableRawPointer) -> Bool {
    guard request.destination.address == nil else { return true }
    let texts = addresses.map { $0.family == .ipv6 ? "[\($0.text)]" : $0.text }
    // `+`: the entry ends with libcurl's cache, and does not stay for ever.
    let pin =
      "+\(request.destination.host):\(request.destination.port):\(texts.joined(separator: ","))"
    // SAFETY: the text is copied; the list is freed with this transfer.
    unsafe pins = unsafe cu_list_append(nil, pin)
    guard let pins = unsafe pins else { return false }
    // guard: pinned-addresses
    return unsafe cu_easy_set_list(easy, CURLOPT_RESOLVE, pins) == CURLE_OK
  }

  private func setCallbacks(_ easy: UnsafeMutableRawPointer) -> Bool {
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    // SAFETY: `context` is this object, which is live as long as the handle, because it owns it.
    // The owner keeps it until the handle is removed from the multi handle.
    let results = unsafe [
      cu_easy_on_open(easy, onSocket, context),
      cu_easy_on_connected(easy, onConnected, context),
      cu_easy_on_head(easy, onHead, context),
      cu_easy_on_body(easy, onBody, context),
    ]
    return results.allSatisfy { $0 == CURLE_OK }
  }

  // MARK: Callbacks

  /// Makes the socket for a connection, if the policy allows its address.
  fileprivate func open(_ address: UnsafePointer<curl_sockaddr>) -> curl_socket_t {
    var bytes = [UInt8](repeating: 0, count: Int(cu_address_capacity))
    // SAFETY: libcurl's address, live for the call; at most 16 bytes are written.
    let count = unsafe Int(cu_address(address, &bytes))
    // guard: connected-address-decides
    guard count > 0, policy.allows(PeerAddress(network: Array(bytes.prefix(count)))) else {
      hasRefusedAddress = true
      return CURL_SOCKET_BAD
    }
    hasOpened = true
    // SAFETY: as above.
    return unsafe cu_socket(address)
  }

  fileprivate func connectionIsReady() { isConnected = true }

  /// Takes one line of a head or of the trailers; false ends the transfer.
  fileprivate func receiveHead(_ line: [UInt8]) -> Bool {
    headByteCount += line.count
    // guard: answer-head-bounded
    guard headByteCount <= OutgoingLimits.headBytesLimit else {
      isHeadTooLong = true
      return false
    }
    // Trailers decide nothing.
    guard !hasFinalHead else { return true }
    let text = line.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
    if text.isEmpty {
      hasFinalHead = status >= 200
    } else if text.starts(with: Array("HTTP/".utf8)) {
      (retryAfter, maxAge) = (nil, nil)
    } else if let value = RetryAfter.value(ofField: Array(text)) {
      retryAfter = RetryAfter.seconds(value, wallMilliseconds: wallMilliseconds)
    } else if let seconds = CacheControl.maxAgeSeconds(inLine: Array(text)) {
      maxAge = seconds
    }
    return true
  }

  /// Takes bytes of the body; false ends the transfer.
  fileprivate func receiveBody(_ bytes: [UInt8]) -> Bool {
    bodyByteCount += bytes.count
    let room = request.keptBodyBytes - body.count
    if room > 0 { body.append(contentsOf: bytes.prefix(room)) }
    // guard: answer-body-bounded
    return bodyByteCount <= OutgoingLimits.bodyBytesLimit
  }

  private var status: Int {
    guard let easy else { return 0 }
    return unsafe cu_easy_long(easy.raw, CURLINFO_RESPONSE_CODE)
  }

  // MARK: The end

  /// The outcome of a transfer that libcurl has ended with this result.
  func outcome(_ result: CURLcode) -> OutgoingOutcome {
    let status = status
    if hasFinalHead, (200...599).contains(status) {
      let isComplete = result == CURLE_OK && body.count == bodyByteCount
      return .answered(
        OutgoingAnswer(
          status: status, retryAfterSeconds: retryAfter, maxAgeSeconds: maxAge, body: body,
          isBodyComplete: isComplete))
    }
    if hasRefusedAddress && !hasOpened { return .failed(.addressRefused) }
    if isHeadTooLong { return .failed(.headTooLong) }
    return .failed(Transfer.failure(of: result))
  }

  /// The failure of a transfer that has reached its deadline.
  var timeoutFailure: OutgoingFailure {
    if state == .resolving { return .nameTimedOut }
    return hasOpened && !isConnected ? .connectTimedOut : .timedOut
  }

  private static func failure(of result: CURLcode) -> OutgoingFailure {
    switch result {
    case CURLE_COULDNT_CONNECT: .connectFailed
    // Only the time to connect is libcurl's; the deadline is the owner's.
    case CURLE_OPERATION_TIMEDOUT: .connectTimedOut
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_ISSUER_ERROR: .certificateRefused
    case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM: .tlsFailed
    case CURLE_GOT_NOTHING, CURLE_RECV_ERROR, CURLE_SEND_ERROR, CURLE_PARTIAL_FILE:
      .connectionLost
    case CURLE_COULDNT_RESOLVE_HOST: .nameUnknown
    case CURLE_OK, CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_WRITE_ERROR,
      CURLE_BAD_CONTENT_ENCODING, CURLE_HTTP_RETURNED_ERROR:
      .malformedAnswer
    case CURLE_OUT_OF_MEMORY, CURLE_FAILED_INIT, CURLE_SSL_CACERT_BADFILE: .unavailable
    default: .transferFailed
    }
  }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer? {
  // SAFETY: `context` is a transfer that is live while libcurl has its handle.
  unsafe context.map { unsafe Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
}

private let onSocket: cu_open_socket = { context, _, address in
  guard let transfer = unsafe transfer(context), let address = unsafe address else {
    return CURL_SOCKET_BAD
  }
  return unsafe transfer.open(address)
}

private let onConnected: cu_connected = { context, _, _, _, _ in
  unsafe transfer(context)?.connectionIsReady()
  return CURL_PREREQFUNC_OK
}

private let onHead: cu_receive = { bytes, size, count, context in
  unsafe receive(bytes, size, count, context) { $0.receiveHead($1) }
}

private let onBody: cu_receive = { bytes, size, count, context in
  unsafe receive(bytes, size, count, context) { $0.receiveBody($1) }
}

/// Passes bytes on, and returns their number, or 0 to end the transfer.
private func receive(
  _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int,
  _ context: UnsafeMutableRawPointer?,
  _ body: (Transfer, [UInt8]) -> Bool
) -> Int {
  let (total, isTooLarge) = size.multipliedReportingOverflow(by: count)
  guard !isTooLarge, let transfer = unsafe transfer(context) else { return 0 }
  // SAFETY: libcurl's buffer of `size * count` bytes, live for the call.
  let buffer = unsafe UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : total)
  return body(transfer, unsafe Array(buffer)) ? total : 0
}
