// The table of the files: a file is added by its two lines here.
//
// A test of the tidy kind compares the table with the folders, so none is forgotten.

#include "WebClient.h"

static const web_file files[] = {
#define FILE "pages/icon.svg"
#include "embed.h"
};

const web_file *web_files(void) { return files; }

size_t web_file_count(void) { return sizeof(files) / sizeof(files[0]); }
