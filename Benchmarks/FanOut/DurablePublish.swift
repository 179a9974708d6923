// Measures durable publishes per second, in batches and one per request.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient

struct DurableFigures {
  static let batchConnections = 4
  static let batchLineCount = 1_000
  static let singleConnections = 64

  let batches: RequestReport
  let singles: RequestReport

  /// Publishes to users in turn, with a store on disk.
  static func measure(
    _ options: Options, _ credentials: Credentials, _ server: RunningServer
  ) throws -> DurableFigures {
    let bodies = (0..<8).map { number in batch(firstUser: number * batchLineCount) }
    let ndjson = credentials.publisher + [HTTPField("Content-Type", "application/x-ndjson")]
    let batches = try RequestLoop.run(
      server: server.url, connections: batchConnections,
      milliseconds: options.durableMilliseconds, stallMilliseconds: 30_000,
      units: { successCount($0.body) },
      request: { number in
        HTTPRequest(
          "POST", "/api/v1/notifications/batch", fields: ndjson,
          body: bodies[number % bodies.count])
      })
    let json = credentials.publisher + [HTTPField("Content-Type", "application/json")]
    let singles = try RequestLoop.run(
      server: server.url, connections: singleConnections,
      milliseconds: options.durableMilliseconds, stallMilliseconds: 30_000,
      request: { number in
        HTTPRequest("POST", "/api/v1/notifications", fields: json, body: line(user: number))
      })
    return DurableFigures(batches: batches, singles: singles)
  }

  /// An NDJSON body with one line per user.
  private static func batch(firstUser: Int) -> [UInt8] {
    var body: [UInt8] = []
    for number in firstUser..<firstUser + batchLineCount {
      body += line(user: number)
      body.append(UInt8(ascii: "\n"))
    }
    return body
  }

  /// One notification as JSON, to one of 10,000 users.
  private static func line(user number: Int) -> [UInt8] {
    let user = Credentials.userID(number % 10_000)
    return Array(
      """
      {"user_id":"\(user)","type":"bench","title":"Build finished",\
      "message":"The build that you started has finished without errors."}
      """.utf8)
  }

  /// The number of lines in a batch's answer that report success.
  private static func successCount(_ body: [UInt8]) -> Int {
    let mark = Array("\"success\":true".utf8)
    return body.split(separator: 10).reduce(0) { count, line in
      count + (line.firstRange(of: mark) == nil ? 0 : 1)
    }
  }
}
