// A page of bytes between two inaccessible pages.

#pragma once

#include "harness.h"

typedef struct guarded_page {
  uint8_t *bytes;
  size_t size;
} guarded_page;

/// Touching the byte before or after the page ends the process.
guarded_page guarded_page_make(void);
void guarded_page_free(guarded_page page);
