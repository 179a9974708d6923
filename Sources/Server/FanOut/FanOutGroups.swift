// The fan-out groups of a shard: one for each kind of session and framing of each dialect in the
// registry. A group is found by these three, when a session begins or changes; on the way of an
// event it is an index.

internal import Delivery
internal import Notifications
internal import Wire

/// Writes the frames of one fan-out group.
final class GroupEncoder {
  let id: FanOutGroupID
  /// The registry's entry of its dialect.
  let dialectID: DialectID
  let dialect: any Dialect
  let kind: SessionKind
  let framing: Framing
  /// Whether its clients receive cursors.
  let sendsCursors: Bool
  /// Whether its sessions keep the position of the last notification sent to them.
  let keepsPositions: Bool
  /// The frames written last.
  var writer: FrameWriter

  init(
    _ id: FanOutGroupID, _ entry: DialectEntry, _ kind: SessionKind, _ framing: Framing,
    cursors: CursorFormat
  ) {
    self.id = id
    dialectID = entry.id
    dialect = entry.dialect
    self.kind = kind
    self.framing = framing
    sendsCursors = kind == .withCursors
    keepsPositions = sendsCursors && dialect.keepsPositions
    writer = FrameWriter(cursors: sendsCursors ? cursors : nil, framing: framing)
  }

  /// Writes the frames of `event`: none if the dialect has none for it.
  func encode(_ event: Event) {
    writer.removeAll()
    dialect.write(event, to: &writer)
  }
}

/// All fan-out groups of one shard.
///
/// Invariant: each encoder is at the index of its group's id, and no two have the same dialect,
/// kind and framing.
struct FanOutGroups {
  let all: [GroupEncoder]
  /// The groups of sessions that watch the metrics.
  let metrics: [GroupEncoder]

  init(_ entries: [DialectEntry], cursors: CursorFormat) {
    var all: [GroupEncoder] = []
    for entry in entries {
      for kind in entry.kinds {
        for framing in entry.framings {
          let id = FanOutGroupID(index: all.count)
          all.append(GroupEncoder(id, entry, kind, framing, cursors: cursors))
        }
      }
    }
    self.all = all
    metrics = all.filter { $0.kind == .watcher }
    checkInvariants()
  }

  private func checkInvariants() {
    for (index, encoder) in all.enumerated() {
      assert(encoder.id.index == index)
      assert(id(like: encoder.id, encoder.framing) == encoder.id, "two groups are the same")
    }
  }

  subscript(id: FanOutGroupID) -> GroupEncoder { all[id.index] }

  /// The group in which the sessions of a dialect begin.
  func first(of dialect: DialectID, _ framing: Framing) -> FanOutGroupID {
    id { $0.dialectID == dialect && $0.framing == framing }
  }

  /// The group of a dialect's users.
  func id(of dialect: DialectID, _ framing: Framing, withCursors: Bool) -> FanOutGroupID {
    let kind = withCursors ? SessionKind.withCursors : .withoutCursors
    return id { $0.kind == kind && $0.framing == framing && $0.dialectID == dialect }
  }

  /// The group with the same dialect and kind of session as `other`, in another framing.
  func id(like other: FanOutGroupID, _ framing: Framing) -> FanOutGroupID {
    let (dialect, kind) = (self[other].dialectID, self[other].kind)
    return id { $0.kind == kind && $0.framing == framing && $0.dialectID == dialect }
  }

  private func id(where matches: (GroupEncoder) -> Bool) -> FanOutGroupID {
    guard let encoder = all.first(where: matches) else {
      preconditionFailure("no dialect has this kind of session in this framing")
    }
    return encoder.id
  }
}
