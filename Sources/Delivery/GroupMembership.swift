// Sessions and their groups: which encoding a session has, and from when on it gets frames.

extension Delivery {
  /// Makes the connection at `slot` a session in the encoding of `group`, not yet its member.
  package func beginSession(_ slot: UInt32, in group: FanOutGroupID) {
    table[slot].flags.insert(.takesFrames)
    assign(slot, to: group)
  }

  /// Gives the session at `slot`, which is no member of a group, the encoding of another group.
  package func assign(_ slot: UInt32, to group: FanOutGroupID) {
    table[slot].group = group
    table[slot].groupCursor = groups[group.index].log.end
  }

  /// Sends the session at `slot` nothing of its group until `join`.
  package func awaitHandshake(_ slot: UInt32) { table[slot].flags.insert(.handshakePending) }

  /// Makes the session at `slot` a member of its group: it gets the frames appended from now on.
  package func join(_ slot: UInt32) {
    let group = group(of: slot)
    table[slot].flags.remove(.handshakePending)
    table[slot].groupCursor = group.log.end
    if group.members.isEmpty { occupiedGroups.append(group.id) }
    group.members.insert(slot)
  }

  /// Removes the session at `slot` from its group; false if it was not a member.
  @discardableResult
  package func leave(_ slot: UInt32) -> Bool {
    let group = group(of: slot)
    table[slot].flags.remove(.handshakePending)
    guard group.members.remove(slot) else { return false }
    if group.members.isEmpty { occupiedGroups.removeAll { $0 == group.id } }
    return true
  }

  /// Moves the session at `slot` to another group, as a member if it is one.
  ///
  /// Everything queued for it must be in its private bytes.
  package func move(_ slot: UInt32, to group: FanOutGroupID) {
    let isPending = table[slot].flags.contains(.handshakePending)
    let isMember = leave(slot)
    assign(slot, to: group)
    if isPending { awaitHandshake(slot) }
    if isMember { join(slot) }
  }

  /// Notes whether a replay goes on, for which one page of missed notifications may be queued.
  package func setReplaying(_ isReplaying: Bool, at slot: UInt32) {
    if isReplaying {
      table[slot].flags.insert(.isReplaying)
    } else {
      table[slot].flags.remove(.isReplaying)
    }
  }

  /// Gives the session at `slot` no more frames: it closes after its private bytes.
  ///
  /// Call `takePrivately` first if it should get its queued frames.
  package func endSession(_ slot: UInt32) {
    table[slot].flags.remove([.takesFrames, .isReplaying])
  }
}
