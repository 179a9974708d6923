// The ids of a shard's logs.

import Testing

@testable import Delivery

@Suite("Ids of logs")
struct LogIDTests {
  @Test func `each log has its own id, which maps back to the log's owner`() {
    let groups = (0..<Delivery.groupCountLimit).map { FanOutGroupID(index: $0) }
    var owners: [LogID: LogOwner] = [.direct: .direct]
    for group in groups {
      owners[.everyone(of: group)] = .everyone(group)
      owners[.rooms(of: group)] = .rooms(group)
    }
    let count = LogID.count(ofGroups: groups.count)
    #expect(Set(owners.keys) == Set((0..<count).map { LogID(index: $0) }))
    for (id, owner) in owners { #expect(id.owner == owner && id.index < count) }
  }
}
