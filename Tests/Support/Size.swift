// How large a test is that could be of any size.
//
// What runs on every commit is small enough for that; the sizes that the list of failures names are
// run by CARILLON_FULL=1.

internal import Glibc

/// `full` where `CARILLON_FULL` is 1, else `smoke`.
package func size(_ smoke: Int, full: Int) -> Int {
  guard let value = getenv("CARILLON_FULL") else { return smoke }
  return String(cString: value) == "1" ? full : smoke
}
