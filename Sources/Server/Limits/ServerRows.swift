// The bounds of operators' requests, of a shard's turn and of the store.

internal import Broadcast
internal import Channels
internal import Delivery
internal import Notifications
internal import Reactor
internal import Storage

extension LimitRows {
  mutating func addOperators() {
    begin("operators")
    add(
      "queries of a shard to all shards", \Limits.shardQueriesLimit, .count,
      "a further one waits; users have one at a time each, and half of them together")
    add(
      "publishers' queries that wait for that", \Limits.waitingShardQueriesLimit, .count,
      "a further one is answered 503")
    add(
      "time for all shards to answer a query", \Limits.shardQueryTimeoutMilliseconds,
      .milliseconds, "answered 503")
    add(
      "connections in a list", \Limits.listedConnectionsLimit, .count, "further ones are left out")
    add("users of a page of connected users", ConnectedUsers.largestLimit, .count, "answered 422")
    add(
      "metrics streams of a shard", \Limits.metricsStreamsPerShardLimit, .count,
      "a further one is answered 503")
    add(
      "time between events of a metrics stream", MetricsStreams.intervalMilliseconds, .milliseconds,
      "the next one is sent")
    add(
      "time between samples of the metrics", MetricsSampler.intervalMilliseconds, .milliseconds,
      "the next one is taken")
    add("samples of the metrics", MetricsHistory.capacity, .count, "the oldest is replaced")
    add(
      "user agents that a shard keeps", \Limits.userAgentsLimit, .count, "the table starts over")
    add(
      "lines of the log in a second", Log.linesPerSecondLimit, .count,
      "further ones are left out and counted; debug lines count separately")
    add(
      "time of a readiness probe", Readiness.probeTimeoutMilliseconds, .milliseconds,
      "answered 503")
    add(
      "batches of a drain", Drain.batches, .count, "a batch has at least this share of a shard")
    add("sessions of a small batch", Drain.batchCountMinimum, .count, "the next batch follows")
    add("time between batches", Drain.paceMilliseconds, .milliseconds, "the next batch is closed")
    add(
      "time of a stop after its drain", Drain.stopMilliseconds, .milliseconds,
      "the store is closed all the same")
  }

  mutating func addTurns() {
    begin("turn of a shard")
    add("wait for events", Shard.waitMilliseconds, .milliseconds, "the turn begins")
    add("events of the kernel", Poller.capacity, .count, "the next wait reports the rest")
    add(
      "connections accepted from a listener", Connections.acceptLimit, .count,
      "the rest waits a turn")
    add(
      "failed connections skipped at once", Acceptor.skipLimit, .count, "the rest waits a turn")
    add("listeners", Connections.listenerLimit, .count, "the server does not start")
    add("bytes of a receive", Receiver.readBytes, .bytes, "the rest is read by further ones")
    add(
      "bytes read from a connection", Receiver.readBytesPerTurn, .bytes, "the rest waits a turn")
    add(
      "frames read from a connection", Receiver.framesPerTurn, .count, "the rest waits a turn")
    add(
      "receive buffer besides a message of Engine.IO", Receiver.scratchBytes, .bytes,
      "a longer unfinished message is kept with its connection")
    add("events taken from the ring", Shard.drainLimit, .count, "the rest waits a turn")
    add(
      "looks for more input before a large fan-out", Shard.gatherLimit, .count,
      "the fan-out is flushed")
    add(
      "bytes added to a log before a flush", Delivery.flushBytes, .bytes,
      "it is flushed in the middle of the turn")
    add(
      "length of a turn", ShardClock.stallMilliseconds, .milliseconds,
      "the thread was stalled, and the peers get a grace period")
    add(
      "grace period after a stall", ShardClock.stallGraceMilliseconds, .milliseconds,
      "deadlines apply again")
    add(
      "jump of the wall clock", ShardClock.wallJumpMilliseconds, .milliseconds,
      "the clock counts as set, and the ends of tokens are computed again")
  }

  mutating func addStore() {
    begin("store: writing")
    add("commands in the queue", \StoreConfiguration.queueCapacity, .count, "answered 503")
    add(
      "commands in the queue, for those of users", \StoreConfiguration.userCommandsLimit, .count,
      "answered 503")
    add("rows of a transaction", \StoreConfiguration.groupLimit, .count, "the next one follows")
    add(
      "commands that fail in a transaction", StoreLimits.failureLimit, .count,
      "all of it fails")
    add(
      "wait for a lock of another process", \StoreConfiguration.lockTimeoutMilliseconds,
      .milliseconds, "answered 503")
    add(
      "notifications for everyone", \StoreConfiguration.everyoneLimit, .count,
      "the oldest is removed")
    add(
      "expired notifications removed by a command", \StoreConfiguration.expiryLimit, .count,
      "the next command follows")
    add(
      "states swept by a transaction", StoreLimits.sweptStatesLimit, .count,
      "the next one sweeps more, after a notification for everyone was removed")
    add(
      "rows of a step of a change of an inbox", \StoreConfiguration.stepLimit, .count,
      "the next step follows")
    add(
      "changes of whole inboxes under way", \StoreConfiguration.sweepLimit, .count,
      "answered 503")
    add(
      "such changes of one user", StoreLimits.sweepsPerUserLimit, .count, "answered 429")
    add(
      "rows of a change of a group", StoreLimits.groupChangeLimit, .count,
      "the rest takes another change")
    add(
      "idempotency keys of a publisher", \StoreConfiguration.keysPerPublisherLimit, .count,
      "a publish with a further one is answered 429")
    add(
      "age of an idempotency key", StoreLimits.keyLifetimeMilliseconds, .milliseconds,
      "it is forgotten")
    add(
      "added age of the key of an event of Stripe", StripeEvent.retryMilliseconds, .milliseconds,
      "it is forgotten")
    add(
      "expired keys deleted by a transaction", StoreLimits.keyPruneLimit, .count,
      "the next one deletes more; to this is added the number of keys that it stores")
    add(
      "sessions of a user whose rooms are kept", \StoreConfiguration.keptSessionsLimit, .count,
      "the one that ends first is forgotten")
    add(
      "time for which rooms are kept", RecoveryID.keptMilliseconds, .milliseconds,
      "the rooms are forgotten")
    add(
      "time for which rooms are kept after a restart", \StoreConfiguration.keptRoomsMilliseconds,
      .milliseconds, "the rooms are forgotten")
  }

  mutating func addStoreCare() {
    begin("store: care")
    add(
      "recounts under way", StoreLimits.recountLimit, .count,
      "a further one begins when its damage is found again")
    add(
      "pages of the write-ahead log before a checkpoint", \StoreConfiguration.checkpointPages,
      .count, "they are copied into the file")
    add(
      "pages of the write-ahead log", \StoreConfiguration.logPagesLimit, .count,
      "commands wait for the copy")
    add(
      "free bytes of the disk, at least", StoreConfiguration.freeBytesMinimum, .bytes,
      "with less the store is not ready: /readyz answers 503")
    add(
      "time of a transaction in progress", StoreConfiguration.stallMilliseconds, .milliseconds,
      "the store is stalled: /readyz answers 503")
    add(
      "age of the result of a check", StoreLimits.checkLifetimeMilliseconds, .milliseconds,
      "the store is checked again")
    add(
      "rows of a step of a migration", \StoreConfiguration.migrationStepLimit, .count,
      "the next step follows")
    add(
      "sessions of the last run in a transaction", StoreLimits.endedSessionsLimit, .count,
      "the next one follows, until the rooms of each have an end")
    add(
      "file whose structure is checked at start", StoreLimits.checkedFileBytesLimit, .bytes,
      "a larger one is not checked as a whole")
    add(
      "runs whose cursors are valid", StoreLimits.incarnationsLimit, .count,
      "the client of an older one gets resync")
  }

  mutating func addStoreQueries() {
    begin("store: reading")
    add("readers", \StoreConfiguration.readerCount, .count, "queries wait")
    add(
      "queries in the queue of a reader", \StoreConfiguration.readQueueCapacity, .count,
      "answered 503")
    add(
      "queries of a shard in the queues of the readers", StoreReads.inFlightLimit, .count,
      "a further one waits; each user has one at a time")
    add(
      "the part of users, and that of publishers", StoreReads.kindLimit, .count,
      "a further one waits")
    add("queries taken at once", StoreLimits.readBatchLimit, .count, "the rest waits")
    add(
      "page cache of the journal", \StoreConfiguration.cacheKibibytes, .kibibytes,
      "pages are read again")
    add(
      "bytes of a page of an inbox", StoreQuery.pageBytesLimit, .bytes,
      "the page ends, the next one follows")
    add(
      "rows scanned for a page", StoreLimits.pageScanLimit, .count,
      "the page ends, the next one follows")
    add(
      "rows of a group scanned and counted for a row", StoreLimits.groupScanLimit, .count,
      "the count of the group is this number")
    add(
      "rows of groups counted for a page", StoreLimits.pageCountLimit, .count,
      "the page ends, the next one follows")
    add(
      "notifications of a page of a replay", StoreQuery.missedLimit, .count, "the next one follows")
    add(
      "bytes of a page of a replay", StoreLimits.missedBytesLimit, .bytes, "the next one follows")
    add(
      "rows scanned for a page of a replay", StoreLimits.missedScanLimit, .count,
      "the next one follows")
    add(
      "missed notifications that are counted", StoreQuery.resumableLimit, .count,
      "the client gets resync")
    add(
      "inbox that is compared with its counts", StoreLimits.comparedRowsLimit, .count,
      "a larger one is not compared")
    add(
      "users whose comparison a reader remembers", StoreLimits.comparedUsersLimit, .count,
      "the memory starts over")
    add(
      "rows of a recount by a reader", StoreLimits.recountRowsLimit, .count,
      "the user's queries are answered 503 until the journal has recounted")
    add(
      "preferences cached by a reader", StoreLimits.cachedPreferencesBytesLimit, .bytes,
      "the older half is forgotten")
  }
}
