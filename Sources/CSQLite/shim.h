// SQLite, and the calls of SQLite and the system that Swift cannot make: variadic functions, macros
// that are casts, and a function with the name of a struct.

#pragma once

#include <errno.h>
#include <sqlite3.h>
#include <sys/file.h>

/// Binds a copy of `count` bytes of UTF-8; NUL bytes are ordinary text. An empty text may have a
/// null address, which by itself would bind SQL's NULL.
static inline int cs_bind_text(sqlite3_stmt *statement, int index, const void *bytes,
                               sqlite3_uint64 count) {
  return sqlite3_bind_text64(statement, index, bytes ? (const char *)bytes : "", count,
                             SQLITE_TRANSIENT, SQLITE_UTF8);
}

/// Binds a copy of `count` bytes; the address may be null when `count` is 0.
static inline int cs_bind_blob(sqlite3_stmt *statement, int index, const void *bytes,
                               sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_TRANSIENT);
}

/// Forbids SQL that could corrupt the file: writing to shadow tables, to the schema or to the
/// journal mode without the library's knowledge.
static inline int cs_harden(sqlite3 *database) {
  int result = sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)0);
  if (result != SQLITE_OK) return result;
  return sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
}

/// Stops SQLite from counting allocated bytes, for which each allocation takes a lock of the
/// process. It has no effect if SQLite is in use already.
static inline void cs_skip_memory_statistics(void) {
  (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

/// Leaves the write-ahead log as it is when the last connection closes.
static inline int cs_keep_log_on_close(sqlite3 *database) {
  return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}

/// Locks an open file for this descriptor alone, without waiting. 0 or a negated errno
/// (-EWOULDBLOCK: another descriptor has the lock).
static inline int cs_lock_file(int fd) {
  int result;
  do {
    result = flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : -errno;
}

/// Unlocks an open file, for all copies of this descriptor.
static inline void cs_unlock_file(int fd) { (void)flock(fd, LOCK_UN); }
