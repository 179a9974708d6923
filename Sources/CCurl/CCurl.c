// The table of libcurl's functions, filled once by `cu_load`.

#define _GNU_SOURCE
#include "CCurl.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

// The header of libcurl checks the types of variadic arguments with macros of these names.
#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

// All functions that are called, each with its type.
#define FUNCTIONS(X)          \
  X(curl_global_init)         \
  X(curl_version_info)        \
  X(curl_easy_init)           \
  X(curl_easy_cleanup)        \
  X(curl_easy_setopt)         \
  X(curl_easy_getinfo)        \
  X(curl_slist_append)        \
  X(curl_slist_free_all)      \
  X(curl_multi_init)          \
  X(curl_multi_cleanup)       \
  X(curl_multi_setopt)        \
  X(curl_multi_add_handle)    \
  X(curl_multi_remove_handle) \
  X(curl_multi_perform)       \
  X(curl_multi_poll)          \
  X(curl_multi_wakeup)        \
  X(curl_multi_info_read)

// 7.85 has CURLOPT_PROTOCOLS_STR.
static const unsigned oldest_version = 0x075500;

// Written by `cu_load` alone, before any other function runs.
static struct {
#define FIELD(name) __typeof__ (&(name))(name);
  FUNCTIONS(FIELD)
#undef FIELD
} library;
static const char *load_error = "it was not loaded";

int cu_load(void) {
  void *file = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL);
  if (!file) {
    // glibc keeps the text for each thread.
    load_error = dlerror();  // NOLINT(concurrency-mt-unsafe)
    return -1;
  }
#define FIND(name)                                        \
  library.name = (__typeof__(&(name)))dlsym(file, #name); \
  if (!library.name) {                                    \
    load_error = "libcurl.so.4 has no " #name;            \
    return -1;                                            \
  }
  FUNCTIONS(FIND)
#undef FIND
  if (library.curl_version_info(CURLVERSION_NOW)->version_num < oldest_version) {
    load_error = "libcurl is older than 7.85";
    return -1;
  }
  if (library.curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
    load_error = "curl_global_init failed";
    return -1;
  }
  return 0;
}

const char *cu_load_error(void) { return load_error; }

const char *cu_version(void) { return library.curl_version_info(CURLVERSION_NOW)->version; }

CURL *cu_easy_init(void) { return library.curl_easy_init(); }

void cu_easy_cleanup(CURL *easy) { library.curl_easy_cleanup(easy); }

CURLcode cu_easy_set_long(CURL *easy, CURLoption option, long value) {
  return library.curl_easy_setopt(easy, option, value);
}

CURLcode cu_easy_set_size(CURL *easy, CURLoption option, int64_t value) {
  return library.curl_easy_setopt(easy, option, (curl_off_t)value);
}

CURLcode cu_easy_set_text(CURL *easy, CURLoption option, const char *text) {
  return library.curl_easy_setopt(easy, option, text);
}

CURLcode cu_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *list) {
  return library.curl_easy_setopt(easy, option, list);
}

CURLcode cu_easy_set_body(CURL *easy, const void *bytes, int64_t count) {
  // The size comes first: without it the copy would end at the first NUL.
  CURLcode result = cu_easy_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, count);
  if (result != CURLE_OK) return result;
  return library.curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, bytes ? bytes : "");
}

CURLcode cu_easy_on_body(CURL *easy, cu_receive receive, void *context) {
  CURLcode result = library.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
  if (result != CURLE_OK) return result;
  return library.curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}

CURLcode cu_easy_on_head(CURL *easy, cu_receive receive, void *context) {
  CURLcode result = library.curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive);
  if (result != CURLE_OK) return result;
  return library.curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
}

CURLcode cu_easy_on_open(CURL *easy, cu_open_socket open, void *context) {
  CURLcode result = library.curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open);
  if (result != CURLE_OK) return result;
  return library.curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, context);
}

CURLcode cu_easy_on_connected(CURL *easy, cu_connected connected, void *context) {
  CURLcode result = library.curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, connected);
  if (result != CURLE_OK) return result;
  return library.curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
}

long cu_easy_long(CURL *easy, CURLINFO info) {
  long value = -1;
  return library.curl_easy_getinfo(easy, info, &value) == CURLE_OK ? value : -1;
}

struct curl_slist *cu_list_append(struct curl_slist *list, const char *text) {
  return library.curl_slist_append(list, text);
}

void cu_list_free(struct curl_slist *list) { library.curl_slist_free_all(list); }

int cu_address(const struct curl_sockaddr *address, uint8_t *bytes) {
  // The address is larger than its declared type: libcurl keeps a union of all families there.
  const void *raw = &address->addr;
  if (address->family == AF_INET && address->addrlen >= sizeof(struct sockaddr_in)) {
    memcpy(bytes, &((const struct sockaddr_in *)raw)->sin_addr, 4);
    return 4;
  }
  if (address->family == AF_INET6 && address->addrlen >= sizeof(struct sockaddr_in6)) {
    memcpy(bytes, &((const struct sockaddr_in6 *)raw)->sin6_addr, cu_address_capacity);
    return cu_address_capacity;
  }
  return 0;
}

curl_socket_t cu_socket(const struct curl_sockaddr *address) {
  int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

CURLM *cu_multi_init(void) { return library.curl_multi_init(); }

void cu_multi_cleanup(CURLM *multi) { (void)library.curl_multi_cleanup(multi); }

CURLMcode cu_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return library.curl_multi_setopt(multi, option, value);
}

CURLMcode cu_multi_add(CURLM *multi, CURL *easy) {
  return library.curl_multi_add_handle(multi, easy);
}

CURLMcode cu_multi_remove(CURLM *multi, CURL *easy) {
  return library.curl_multi_remove_handle(multi, easy);
}

CURLMcode cu_multi_perform(CURLM *multi) {
  int running = 0;
  return library.curl_multi_perform(multi, &running);
}

CURLMcode cu_multi_poll(CURLM *multi, int timeout_ms) {
  return library.curl_multi_poll(multi, NULL, 0, timeout_ms, NULL);
}

CURLMcode cu_multi_wakeup(CURLM *multi) { return library.curl_multi_wakeup(multi); }

CURL *cu_multi_take_ended(CURLM *multi, CURLcode *result) {
  int waiting = 0;
  const CURLMsg *message = NULL;
  while ((message = library.curl_multi_info_read(multi, &waiting))) {
    if (message->msg != CURLMSG_DONE) continue;
    *result = message->data.result;
    return message->easy_handle;
  }
  return NULL;
}
