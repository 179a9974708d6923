// Formats numbers for reports. Foundation is not linked for these few functions.

package import LoadClient

/// The quantiles of a histogram, in milliseconds.
package func latencyText(_ latency: LatencyHistogram) -> String {
  let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)].map { name, fraction in
    "\(name) \(milliseconds(latency.quantile(fraction)))"
  }
  return (quantiles + ["max \(milliseconds(latency.maximum))"]).joined(separator: " ") + " ms"
}

/// The quantiles of a histogram in nanoseconds, for the JSON report.
package func latencyValues(_ latency: LatencyHistogram) -> [(String, Double)] {
  [
    ("p50_ns", Double(latency.quantile(0.5))), ("p99_ns", Double(latency.quantile(0.99))),
    ("p999_ns", Double(latency.quantile(0.999))), ("max_ns", Double(latency.maximum)),
  ]
}

/// Bytes in MiB.
package func mebibytes(_ bytes: Int) -> String { decimals(Double(bytes) / 1_048_576, 1) }

/// Nanoseconds in milliseconds.
package func milliseconds(_ nanoseconds: UInt64) -> String {
  decimals(Double(nanoseconds) / 1e6, 2)
}

/// The median of the values; 0 without values.
package func median(_ values: [Double]) -> Double {
  guard !values.isEmpty else { return 0 }
  let sorted = values.sorted()
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// The range of the values as a fraction of their median.
package func spread(_ values: [Double]) -> Double {
  guard let least = values.min(), let most = values.max(), median(values) > 0 else { return 0 }
  return (most - least) / median(values)
}

/// A number with this many digits after the decimal point.
package func decimals(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  var scale = 1
  for _ in 0..<digits { scale *= 10 }
  let scaled = Int((abs(value) * Double(scale)).rounded())
  let whole = (value < 0 ? "-" : "") + String(scaled / scale)
  guard digits > 0 else { return whole }
  let fraction = String(scaled % scale)
  return "\(whole).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

/// A whole number with thousands separators.
package func grouped(_ number: Int) -> String {
  var groups: [String] = []
  var rest = String(number)[...]
  while rest.count > 3 {
    groups.insert(String(rest.suffix(3)), at: 0)
    rest = rest.dropLast(3)
  }
  return ([String(rest)] + groups).joined(separator: ",")
}
