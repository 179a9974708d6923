// The process's heap.

#include <malloc.h>

#include "CReactor.h"

void cl_give_back_memory(void) { malloc_trim(0); }
