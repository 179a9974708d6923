// Five minutes of metrics, for a console that has just connected.
//
// The first shard adds a sample each second, see `MetricsSampler.swift`. The memory does not depend
// on the number of shards, clients or events. Any shard reads the history, when a console connects
// to it.

internal import Wire

/// The samples of the last five minutes, oldest first.
///
/// Invariant: every column has `sampleCount` values, at most `capacity`, and the values at one
/// index belong to one sample.
struct MetricsHistory {
  /// Samples that are kept: five minutes of one a second.
  ///
  /// With them the event is about 45 kB long where every number has many digits, so that it stays
  /// below a client's backlog limit.
  static let capacity = 300

  /// One array for each name, used as a ring.
  private var columns = MetricsSample.names.map { _ in [Int?]() }
  /// Index of the oldest sample, once the ring is full.
  private var oldest = 0

  /// The number of samples.
  var sampleCount: Int { columns[0].count }

  /// Adds a sample, in place of the oldest when there are `capacity`.
  mutating func append(_ sample: MetricsSample) {
    // guard: history-of-five-minutes
    let isFull = sampleCount == MetricsHistory.capacity
    for (column, value) in sample.values.enumerated() {
      if isFull {
        columns[column][oldest] = value
      } else {
        columns[column].append(value)
      }
    }
    if isFull { oldest = (oldest + 1) % MetricsHistory.capacity }
    checkInvariants()
  }

  /// Writes the event of the history.
  func write(to frames: inout FrameWriter) {
    frames.envelope("type", "history") { data in
      data.member("interval", Int(MetricsSampler.intervalMilliseconds))
      for (name, column) in zip(MetricsSample.names, columns) {
        data.member(name, array: column.indices) { data, index in
          data.append(decimalOrNull: column[(oldest + index) % column.count])
        }
      }
    }
  }

  private func checkInvariants() {
    assert(sampleCount <= MetricsHistory.capacity)
    assert(columns.allSatisfy { $0.count == sampleCount })
    assert(oldest < MetricsHistory.capacity)
  }
}

extension [UInt8] {
  /// Writes a number, or `null`.
  mutating func append(decimalOrNull value: Int?) {
    if let value { appendDecimal(value) } else { appendText("null") }
  }
}
