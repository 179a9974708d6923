// The remedies for errors of the machine, in terms of the command's own flags.

internal import Glibc
internal import LoadClient
internal import Reactor
internal import Server

extension ServerError {
  /// The error and its remedy in one sentence.
  var withRemedy: String {
    switch self {
    case .keySource: return "\(self)"
    case .store(_, _, EMFILE?): return "\(self)\(openFilesRemedy(EMFILE))"
    case .store: return "\(self); choose another directory with --data"
    case .system(let error): return "\(self)\(openFilesRemedy(error.code))"
    case .listen(_, _, let error):
      switch error.code {
      case EADDRINUSE:
        return "\(self); another process has the port, choose another with --port"
      case EADDRNOTAVAIL:
        return "\(self); this machine does not have the address, choose another with --host"
      case EACCES:
        return "\(self); low ports need the capability CAP_NET_BIND_SERVICE, choose another with "
          + "--port"
      default: return "\(self)\(openFilesRemedy(error.code))"
      }
    }
  }
}

extension ClientError {
  /// The error and, if there is one, its remedy in one sentence.
  var withRemedy: String {
    switch self {
    case .unreachable(_, ECONNREFUSED):
      "\(self); start the server with carillon serve, or choose another with --url"
    case .unreachable(_, EADDRNOTAVAIL):
      "\(self); carillon check shows how many ports this machine has for connections"
    case .unreachable(_, let code), .system(_, let code): "\(self)\(openFilesRemedy(code))"
    case .badURL, .broken, .upgradeRefused, .refused, .closedByServer, .timedOut,
      .interrupted, .malformed:
      "\(self)"
    }
  }
}

/// How to raise the limit of open files, if it was the cause.
private func openFilesRemedy(_ code: Int32) -> String {
  code == EMFILE ? "; raise the limit with ulimit -n 1048576" : ""
}
