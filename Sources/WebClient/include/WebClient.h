// The files served to browsers, embedded in the binary: the client's modules and the pages.
//
// The compiler embeds the source files unchanged with #embed. Nothing is generated, and editing
// any of the files rebuilds this target.

#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// One embedded file.
typedef struct web_file {
  /// Path relative to this target's folder: "client/carillon.js", "pages/demo.html".
  const char *name;
  /// The file's bytes, without a terminating null byte.
  const uint8_t *bytes;
  size_t count;
} web_file;

_Static_assert(sizeof(web_file) == 24, "Swift indexes web_file as three words");

/// Returns the table of all files, each once. Never null, never freed, the same on each call.
const web_file *web_files(void);

/// Returns the number of files in the table.
size_t web_file_count(void);

#pragma clang assume_nonnull end
