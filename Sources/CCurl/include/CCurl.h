// libcurl, loaded at its first use, and those of its functions that Swift cannot call: variadic
// ones.
//
// The library and the 30 libraries below it add 4 MB to the resident memory of a process and 8 ms
// to its start, so the server is not linked against it: `cu_load` opens it when the first request
// leaves. The functions are libcurl's own but for their prefix; all but `cu_load` and
// `cu_load_error` require that `cu_load` has returned 0.

#pragma once

#include <curl/curl.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// MARK: - Loading

/// Opens libcurl and initializes it (`curl_global_init`).
///
/// 0, or -1 if the library or one of its functions is missing, or if it is older than 7.85. Call it
/// once in the process, before any other thread calls a function of this header.
int cu_load(void);

/// The reason why `cu_load` failed: constant, or valid until the next call.
const char *cu_load_error(void);

/// The version of the library, as `7.88.1`.
const char *cu_version(void);

// MARK: - One transfer

/// The size of a buffer for an address.
enum { cu_address_capacity = 16 };

/// Receives bytes of a response: of its body, or one line of its head.
///
/// Returns `size * count` to go on; any other value ends the transfer with CURLE_WRITE_ERROR.
typedef size_t (*cu_receive)(char *_Nullable bytes, size_t size, size_t count,
                             void *_Nullable context);

/// Makes the socket for a connection to `address`, or returns CURL_SOCKET_BAD to refuse it.
typedef curl_socket_t (*cu_open_socket)(void *_Nullable context, curlsocktype purpose,
                                        struct curl_sockaddr *_Nullable address);

/// Runs when a connection is ready and before the request is sent.
///
/// Returns CURL_PREREQFUNC_OK to go on, or CURL_PREREQFUNC_ABORT.
typedef int (*cu_connected)(void *_Nullable context, char *_Nullable peer, char *_Nullable local,
                            int peer_port, int local_port);

CURL *_Nullable cu_easy_init(void);
void cu_easy_cleanup(CURL *easy);
CURLcode cu_easy_set_long(CURL *easy, CURLoption option, long value);
CURLcode cu_easy_set_size(CURL *easy, CURLoption option, int64_t value);
/// Sets an option whose text libcurl copies.
CURLcode cu_easy_set_text(CURL *easy, CURLoption option, const char *_Nullable text);
/// Sets a list, which must outlive the transfer.
CURLcode cu_easy_set_list(CURL *easy, CURLoption option, struct curl_slist *_Nullable list);
/// Sets the body of the request to a copy of `count` bytes.
CURLcode cu_easy_set_body(CURL *easy, const void *_Nullable bytes, int64_t count);
CURLcode cu_easy_on_body(CURL *easy, cu_receive receive, void *_Nullable context);
CURLcode cu_easy_on_head(CURL *easy, cu_receive receive, void *_Nullable context);
CURLcode cu_easy_on_open(CURL *easy, cu_open_socket open, void *_Nullable context);
CURLcode cu_easy_on_connected(CURL *easy, cu_connected connected, void *_Nullable context);
/// A number about a transfer; -1 if there is none.
long cu_easy_long(CURL *easy, CURLINFO info);

/// Appends a copy of a text; null if memory runs out, and then `list` is unchanged.
struct curl_slist *_Nullable cu_list_append(struct curl_slist *_Nullable list, const char *text);
void cu_list_free(struct curl_slist *_Nullable list);

/// Copies an address in network order into `bytes`: 4 or 16 bytes; 0 for another family.
int cu_address(const struct curl_sockaddr *address, uint8_t *bytes);

/// Makes the socket for an address, closed on exec; CURL_SOCKET_BAD if that fails.
curl_socket_t cu_socket(const struct curl_sockaddr *address);

// MARK: - Many transfers

CURLM *_Nullable cu_multi_init(void);
/// Every transfer must have been removed.
void cu_multi_cleanup(CURLM *multi);
CURLMcode cu_multi_set_long(CURLM *multi, CURLMoption option, long value);
CURLMcode cu_multi_add(CURLM *multi, CURL *easy);
CURLMcode cu_multi_remove(CURLM *multi, CURL *easy);
/// Moves all transfers on as far as possible without waiting.
CURLMcode cu_multi_perform(CURLM *multi);
/// Waits for a socket, a timer of libcurl, a wake-up, or this time.
CURLMcode cu_multi_poll(CURLM *multi, int timeout_ms);
/// Ends the wait of `cu_multi_poll`, or the next one; any thread may call it.
CURLMcode cu_multi_wakeup(CURLM *multi);
/// Takes one transfer that has ended, with its result; null if there is none.
CURL *_Nullable cu_multi_take_ended(CURLM *multi, CURLcode *result);

#pragma clang assume_nonnull end
