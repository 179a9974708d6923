// Three pages, of which the outer two are inaccessible.

#define _GNU_SOURCE

#include "guard.h"

#include <sys/mman.h>
#include <unistd.h>

guarded_page guarded_page_make(void) {
  size_t size = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *all = mmap(NULL, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(all != MAP_FAILED);
  CHECK(mprotect(all + size, size, PROT_READ | PROT_WRITE) == 0);
  return (guarded_page){.bytes = all + size, .size = size};
}

void guarded_page_free(guarded_page page) {
  CHECK(munmap(page.bytes - page.size, 3 * page.size) == 0);
}
