// Binary search, for sequences that are sorted by whatever the caller compares.

extension Range<Int> {
  /// The first index at which `isAfter` is true, or the end of the range.
  ///
  /// Once true, `isAfter` must be true for all later indices. Not generic over collections, because
  /// a generic call across modules is not specialised.
  package func partitioningIndex(where isAfter: (Int) -> Bool) -> Int {
    var low = lowerBound
    var high = upperBound
    while low < high {
      let middle = low + (high - low) / 2
      if isAfter(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
