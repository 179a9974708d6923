// The memory of a shard for pages, and the share of each user and address in it.
//
// A share is a part of the memory that others do not use, not of all: many holders take less each,
// and there is some left for the next one. A user without a page may have one as long as there is
// memory at all, so only hundreds of users together can use it up.

internal import Notifications
internal import Reactor

/// The user and the address for which a page counts.
struct PageHolder {
  /// Nil for a publisher.
  let user: TextKey?
  /// Nil for a publisher, and for a client on this machine, which has no share by address.
  let address: AddressKey?

  static let publisher = PageHolder(user: nil, address: nil)
}

/// The bytes of pages, by user and address.
///
/// Invariant: `total` is the sum of all pages' bytes; each user and address has an entry if, and
/// only if, it holds bytes.
struct MemoryShares {
  /// The part of the memory not used by others that one user may hold: a 64th.
  static let userDivisor = 64
  /// The part of the memory not used by others that the clients of one address may hold: a quarter.
  static let addressDivisor = 4
  /// The part of the memory that only publishers may use: an eighth.
  static let publisherDivisor = 8

  let byteLimit: Int
  private(set) var total = 0
  private var users: [TextKey: Int] = [:]
  private var addresses: [AddressKey: Int] = [:]

  init(byteLimit: Int) { self.byteLimit = byteLimit }

  /// Whether `holder` may have `byteCount` more, while `others` bytes of the memory are used
  /// otherwise.
  func admits(_ byteCount: Int, for holder: PageHolder, besides others: Int) -> Bool {
    // guard: memory-reserved-for-publishers
    let reserve = holder.user == nil ? 0 : byteLimit / Self.publisherDivisor
    // Other bytes do not reduce the part of publishers.
    let others = min(others, byteLimit - byteLimit / Self.publisherDivisor)
    let free = byteLimit - reserve - total - others
    guard byteCount <= free else { return false }
    if let user = holder.user, let held = users[user] {
      // guard: page-share-of-user
      guard (held + byteCount) * Self.userDivisor <= free + held else { return false }
    }
    if let address = holder.address, let held = addresses[address] {
      // guard: page-share-of-address
      guard (held + byteCount) * Self.addressDivisor <= free + held else { return false }
    }
    return true
  }

  /// Adds bytes to those that `holder` has, or takes them off.
  mutating func add(_ byteCount: Int, to holder: PageHolder) {
    guard byteCount != 0 else { return }
    total += byteCount
    if let user = holder.user { Self.add(byteCount, to: &users[user]) }
    if let address = holder.address { Self.add(byteCount, to: &addresses[address]) }
  }

  private static func add(_ byteCount: Int, to held: inout Int?) {
    let sum = (held ?? 0) + byteCount
    assert(sum >= 0, "\(sum) bytes are held")
    held = sum == 0 ? nil : sum
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(total >= 0 && users.values.reduce(0, +) <= total)
    assert(addresses.values.reduce(0, +) <= total)
    assert(users.values.allSatisfy { $0 > 0 } && addresses.values.allSatisfy { $0 > 0 })
  }

  // MARK: Asked by tests only

  func byteCount(of user: TextKey) -> Int { users[user] ?? 0 }
  func byteCount(of address: AddressKey) -> Int { addresses[address] ?? 0 }
}
