// What browsers are given, as it lies in the binary: the client's modules and the pages.
//
// The files stand in the source as they are served; the compiler takes them in with #embed, so
// nothing is generated and an edit of any of them builds this target anew.

#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// One file.
typedef struct web_file {
  /// Its path from the folder of this target: "client/carillon.js", "pages/demo.html".
  const char *name;
  /// Its bytes; no null byte follows them.
  const uint8_t *bytes;
  size_t count;
} web_file;

_Static_assert(sizeof(web_file) == 24, "Swift indexes web_file as three words");

/// The table of all files, each once. Never null, never freed, the same on each call.
const web_file *web_files(void);

/// How many they are.
size_t web_file_count(void);

#pragma clang assume_nonnull end
