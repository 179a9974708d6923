// The driver's command line.

internal import BenchmarkSupport

/// The parameters of a run.
struct Options {
  static let usage = """
    usage: Bystanders [--smoke] [--only ATTACK,ATTACK] [--rounds 5] [--seconds 8]
                      [--bystanders 200] [--rate 100] [--payload 64] [--shards 2]
                      [--frames-per-minute 10000000] [--zero-window-readers 5000]
                      [--channel-rate 1000] [--channel-payload 1024] [--held-bodies 200]
                      [--idle-strangers 1350] [--server PATH] [--json FILE]
      --smoke     two short rounds and 200 zero-window readers: checks that it works, not speed
      --only      the attacks to run:
                  paced-flood        small frames at a fixed pace
                  unpaced-flood      small frames as fast as the server accepts them
                  pings              pings of 125 bytes, whose pongs are never read
                  zero-window        readers with a closed window in their own room
                  stalled-broadcast  stalled readers of the bystanders' broadcast
                  taken-rooms        40 accounts that open all the rooms that they are granted
                  request-flood      pipelined requests of one user
                  typing-toggles     18,000 changes of typing a second in a room of 20
                  unread-pages       users that ask for large pages and take none
                  busy-reader        one user that reads pages on 50 connections
                  fetch-flood        one user that fetches pages over 20 sockets
                  own-lists          one user that lists its connections on 95 connections
                  held-bodies        clients without a token that hold bodies
                  idle-strangers     idle clients without a token, and a server of 1,000 files
      --seconds   duration of each window, quiet or attacked
    """

  var attacks = Attack.allCases
  var rounds = 5
  var windowMilliseconds = 8_000
  var bystanders = 200
  var rate = 100
  var payloadBytes = 64
  var shards = 2
  var framesPerMinute = 10_000_000
  var zeroWindowReaders = 5_000
  var channelRate = 1_000
  var channelPayloadBytes = 1_024
  var heldBodies = 200
  var idleStrangers = 1_350
  var server = System.productDirectory() + "/carillon"
  var jsonPath: String?

  /// Reads the arguments; nil when they are invalid.
  init?(_ arguments: [String]) {
    var rest = arguments[...]
    // The smoke size first, so that every other flag can change it.
    if rest.contains("--smoke") {
      rounds = 2
      windowMilliseconds = 1_000
      zeroWindowReaders = 200
    }
    while let flag = rest.popFirst() {
      if flag == "--smoke" { continue }
      guard let value = rest.popFirst(), take(flag, value) else { return nil }
    }
  }

  private mutating func take(_ flag: String, _ value: String) -> Bool {
    switch flag {
    case "--server": server = value
    case "--json": jsonPath = value
    case "--only":
      attacks = value.split(separator: ",").compactMap { Attack(rawValue: String($0)) }
      return !attacks.isEmpty
    default:
      guard let number = Int(value), number > 0, number <= 1_000_000_000 else { return false }
      return take(flag, number)
    }
    return true
  }

  private mutating func take(_ flag: String, _ number: Int) -> Bool {
    switch flag {
    case "--rounds": rounds = number
    case "--seconds": windowMilliseconds = number * 1_000
    case "--bystanders": bystanders = number
    case "--rate": rate = number
    case "--payload": payloadBytes = number
    case "--shards": shards = number
    case "--frames-per-minute": framesPerMinute = number
    case "--zero-window-readers": zeroWindowReaders = number
    case "--channel-rate": channelRate = number
    case "--channel-payload": channelPayloadBytes = number
    case "--held-bodies": heldBodies = number
    case "--idle-strangers": idleStrangers = number
    default: return false
    }
    return true
  }
}
