// The size of tests that scale: a small one by default, the full one with CARILLON_FULL=1.
//
// The small size is fast enough for every commit. The full size is the one that the acceptance list
// states.

internal import Glibc

/// Returns `full` if `CARILLON_FULL` is 1, else `smoke`.
package func size(_ smoke: Int, full: Int) -> Int {
  guard let value = getenv("CARILLON_FULL") else { return smoke }
  return String(cString: value) == "1" ? full : smoke
}
