// The memory that a shard's pages take, from the moment a read begins until its answer is sent.
//
// A read reserves the most bytes that its page can have. When the page is known, the reservation
// becomes the bytes of the answer, which count until the client has taken them or has ended. Many
// connections may be sent one body; it counts once, until the last of them has it.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// Bytes of one page, and the connections that hold it.
final class PageCharge {
  let holder: PageHolder
  fileprivate(set) var byteCount: Int
  fileprivate var slotCount = 0
  /// Whether the answer is known, and the bytes are those that are being sent.
  fileprivate var isSettled = false
  /// Whether the bytes are also counted as the private bytes of a connection once that is blocked.
  fileprivate var isPrivate = false

  fileprivate init(_ byteCount: Int, _ holder: PageHolder) {
    self.byteCount = byteCount
    self.holder = holder
  }
}

/// The shard's part of the memory for pages.
///
/// Invariant: the shares are the sum of the charges. A charge is a read's that is in flight, or is
/// held by `slotCount` connections that are open.
final class PageMemory: ShardComponent {
  /// Bodies from this size on are sent from one copy, which counts until it is sent.
  ///
  /// A smaller one is copied to the connection's own bytes, which `responseBytesLimit` bounds.
  static let sharedBodyBytes = 16 * 1_024

  /// A connection's part in a charge.
  private struct Hold {
    let charge: PageCharge
    /// Whether the connection was given its answer.
    var isAnswered = false
  }

  let context: ShardContext
  private let admission: AdmissionControl
  private var shares: MemoryShares
  /// The charges of each connection that has some.
  private var held: [UInt32: [Hold]] = [:]
  /// Bytes of the charges that are private.
  private var privateByteCount = 0

  init(_ context: ShardContext, _ admission: AdmissionControl) {
    self.context = context
    self.admission = admission
    shares = MemoryShares(byteLimit: context.core.configuration.limits.blockedBytesLimit)
  }

  /// Bytes of all pages, reserved or being sent.
  var byteCount: Int { shares.total }

  /// Whether there is memory for one more page of a replay, of a user without any.
  var hasRoom: Bool {
    shares.admits(
      SessionReads.missedBytesLimit, for: PageHolder(user: TextKey(""), address: nil),
      besides: otherBytes)
  }

  /// Private bytes of blocked connections that are not those of pages.
  private var otherBytes: Int { max(0, delivery.blockedBytes - privateByteCount) }

  /// The user and the address for which a page of the connection at `slot` counts.
  func holder(of party: Party, at slot: UInt32) -> PageHolder {
    guard party.kind == .user else { return .publisher }
    let isLocal = admission.isLocal(slot)
    return PageHolder(
      user: party.name, address: isLocal ? nil : AddressKey(table[slot].peer))
  }

  /// Reserves bytes for a page; nil if its holder has its share, or the memory is used up.
  func reserve(_ byteCount: Int, for holder: PageHolder) -> PageCharge? {
    guard shares.admits(byteCount, for: holder, besides: otherBytes) else {
      metrics.add(.pagesRefused)
      return nil
    }
    shares.add(byteCount, to: holder)
    return PageCharge(byteCount, holder)
  }

  /// Makes the connection at `slot` hold a charge.
  func hold(_ charge: PageCharge, at slot: UInt32) {
    charge.slotCount += 1
    held[slot, default: []].append(Hold(charge: charge))
  }

  /// Corrects the charge of an answer whose body has that size.
  ///
  /// Returns whether the body is to be sent from one copy, which counts until it is sent.
  func settleAnswer(_ byteCount: Int, at slot: UInt32) -> Bool {
    let awaitsAnswer = held[slot]?.contains { !$0.isAnswered } ?? false
    let isShared = awaitsAnswer && byteCount >= PageMemory.sharedBodyBytes
    settle(at: slot, to: isShared ? byteCount : 0)
    return isShared
  }

  /// Corrects the charge of the answer that the connection at `slot` gets.
  ///
  /// `byteCount` is 0 where nothing of it stays: it was small, or it is not sent at all. With
  /// `isPrivate` the bytes are the connection's own.
  func settle(at slot: UInt32, to byteCount: Int, isPrivate: Bool = false) {
    guard let holds = held[slot] else { return }
    for (index, hold) in holds.enumerated() where !hold.isAnswered {
      let charge = hold.charge
      held[slot]?[index].isAnswered = true
      // The first of those that share an answer corrects it for all.
      guard byteCount > 0, !charge.isSettled else { continue }
      shares.add(byteCount - charge.byteCount, to: charge.holder)
      charge.byteCount = byteCount
      charge.isSettled = true
      charge.isPrivate = isPrivate
      if isPrivate { privateByteCount += byteCount }
    }
    if byteCount == 0 { drop(at: slot, keeping: { holds[$0].isAnswered }) }
  }

  /// Releases all that the connection at `slot` holds, because it has ended.
  func release(_ slot: UInt32) {
    guard let holds = held.removeValue(forKey: slot) else { return }
    for hold in holds { leave(hold.charge) }
  }

  /// Releases the answered charges of the connection at `slot`, if all of its bytes are sent.
  func noteSent(_ slot: UInt32) {
    guard let holds = held[slot], delivery[slot].queuedByteCount == 0 else { return }
    drop(at: slot, keeping: { !holds[$0].isAnswered })
  }

  /// Releases a charge that no connection holds.
  func releaseIfUnheld(_ charge: PageCharge) {
    if charge.slotCount == 0 { free(charge) }
  }

  /// Releases the charges of the connection at `slot`, except those at the indices to keep.
  private func drop(at slot: UInt32, keeping isKept: (Int) -> Bool) {
    guard let holds = held[slot] else { return }
    let kept = holds.indices.filter(isKept)
    held[slot] = kept.isEmpty ? nil : kept.map { holds[$0] }
    for index in holds.indices where !isKept(index) { leave(holds[index].charge) }
  }

  private func leave(_ charge: PageCharge) {
    charge.slotCount -= 1
    releaseIfUnheld(charge)
  }

  private func free(_ charge: PageCharge) {
    shares.add(-charge.byteCount, to: charge.holder)
    if charge.isPrivate { privateByteCount -= charge.byteCount }
    charge.byteCount = 0
  }

  /// Traps in a debug build when the invariant does not hold; `inFlight` are the reads' charges.
  func checkInvariants(inFlight: [PageCharge]) {
    shares.checkInvariants()
    var counts: [ObjectIdentifier: Int] = [:]
    var sum = inFlight.reduce(0) { $0 + $1.byteCount }
    var privateSum = 0
    for (slot, holds) in held {
      assert(table.isOpen(slot) && !holds.isEmpty, "\(slot) holds pages and has ended")
      for charge in holds.map(\.charge) {
        counts[ObjectIdentifier(charge), default: 0] += 1
        guard counts[ObjectIdentifier(charge)] == 1 else { continue }
        sum += charge.byteCount
        privateSum += charge.isPrivate ? charge.byteCount : 0
      }
    }
    for charge in held.values.joined().map(\.charge) {
      assert(charge.slotCount == counts[ObjectIdentifier(charge)])
    }
    assert(sum == shares.total, "\(sum) bytes of pages, and not \(shares.total)")
    assert(privateSum == privateByteCount)
  }
}
