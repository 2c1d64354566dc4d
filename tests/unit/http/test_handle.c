/* covers: HTTP-1, HTTP-2, HTTP-3, HTTP-4, T-9, T-26 */
/* What libcurl is told, and above all what it is not: this program's curl_easy_setopt() stands before libcurl's own. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <curl/curl.h>

#include "base/memory.h"
#include "base/str.h"
#include "scheduler/loop.h"
#include "sync/http/transport.h"

#undef curl_easy_setopt

enum { SET_MOST = 64, TEXT_MOST = 64 };

struct setting {
	CURLoption option;
	long number;
	char text[TEXT_MOST];
};

static struct setting set[SET_MOST];
static size_t set_count;

static void note(CURLoption option, long number, const char *text)
{
	assert_true(set_count < SET_MOST);
	set[set_count] = (struct setting){.option = option, .number = number};
	snprintf(set[set_count++].text, TEXT_MOST, "%s", text);
}

static bool is_text(CURLoption option)
{
	const struct curl_easyoption *known = curl_easy_option_by_id(option);
	assert_non_null(known);
	return known->type == CURLOT_STRING;
}

CURLcode curl_easy_setopt(CURL *handle, CURLoption option, ...)
{
	CURLcode (*real)(CURL * handle, CURLoption option, ...);
	*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
	CURLcode code;
	va_list values;
	va_start(values, option);
	/* NOLINTBEGIN(clang-analyzer-valist.Uninitialized): the line above, which clang 14 does not see */
	if (option < CURLOPTTYPE_OBJECTPOINT) {
		long number = va_arg(values, long);
		note(option, number, "");
		code = real(handle, option, number);
	} else if (option < CURLOPTTYPE_OFF_T || option >= CURLOPTTYPE_BLOB) {
		void *pointer = va_arg(values, void *);
		note(option, 0, is_text(option) ? pointer : "");
		code = real(handle, option, pointer);
	} else {
		curl_off_t number = va_arg(values, curl_off_t);
		note(option, (long)number, "");
		code = real(handle, option, number);
	}
	/* NOLINTEND(clang-analyzer-valist.Uninitialized) */
	va_end(values);
	return code;
}

static const struct setting *find(CURLoption option)
{
	for (size_t i = 0; i < set_count; i++)
		if (set[i].option == option)
			return &set[i];
	return NULL;
}

/* Whatever else libcurl can do is off because nobody turns it on. */
static const CURLoption known[] = {
	CURLOPT_PRIVATE,
	CURLOPT_ERRORBUFFER,
	CURLOPT_HEADERFUNCTION,
	CURLOPT_HEADERDATA,
	CURLOPT_WRITEFUNCTION,
	CURLOPT_WRITEDATA,
	CURLOPT_PREREQFUNCTION,
	CURLOPT_PREREQDATA,
	CURLOPT_OPENSOCKETFUNCTION,
	CURLOPT_OPENSOCKETDATA,
	CURLOPT_CLOSESOCKETFUNCTION,
	CURLOPT_CLOSESOCKETDATA,
	CURLOPT_URL,
	CURLOPT_PROTOCOLS_STR,
	CURLOPT_DISALLOW_USERNAME_IN_URL,
	CURLOPT_PATH_AS_IS,
	CURLOPT_FOLLOWLOCATION,
	CURLOPT_NETRC,
	CURLOPT_NOSIGNAL,
	CURLOPT_NOPROGRESS,
	CURLOPT_QUICK_EXIT,
	CURLOPT_CONNECTTIMEOUT_MS,
	CURLOPT_SUPPRESS_CONNECT_HEADERS,
	CURLOPT_HEADEROPT,
	CURLOPT_HTTP_VERSION,
	CURLOPT_PIPEWAIT,
	CURLOPT_BUFFERSIZE,
	CURLOPT_SSLVERSION,
	CURLOPT_CAINFO,
	CURLOPT_SSLCERT,
	CURLOPT_SSLKEY,
	CURLOPT_SSL_VERIFYPEER,
	CURLOPT_SSL_VERIFYHOST,
	CURLOPT_UPLOAD,
	CURLOPT_INFILESIZE_LARGE,
	CURLOPT_READFUNCTION,
	CURLOPT_READDATA,
	CURLOPT_SEEKFUNCTION,
	CURLOPT_SEEKDATA,
	CURLOPT_UPLOAD_BUFFERSIZE,
	CURLOPT_NOBODY,
	CURLOPT_CUSTOMREQUEST,
	CURLOPT_HTTPHEADER,
};

static void check_options(const struct transport_request *request)
{
	static const struct {
		CURLoption option;
		long value;
	} always[] = {
		{CURLOPT_FOLLOWLOCATION, 0},
		{CURLOPT_NETRC, CURL_NETRC_IGNORED},
		{CURLOPT_DISALLOW_USERNAME_IN_URL, 1},
		{CURLOPT_NOSIGNAL, 1},
		{CURLOPT_HEADEROPT, CURLHEADER_SEPARATE},
		{CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
	};
	for (size_t i = 0; i < set_count; i++) {
		bool is_known = false;
		for (size_t k = 0; k < array_count(known); k++)
			is_known |= known[k] == set[i].option;
		if (!is_known)
			fail_msg("%s is set", curl_easy_option_by_id(set[i].option)->name);
	}
	for (size_t i = 0; i < array_count(always); i++)
		if (!find(always[i].option) || find(always[i].option)->number != always[i].value)
			fail_msg("%s is not as it must be", curl_easy_option_by_id(always[i].option)->name);
	assert_non_null(find(CURLOPT_PROTOCOLS_STR));
	assert_string_equal(
		find(CURLOPT_PROTOCOLS_STR)->text, str_starts_with(request->url, "https:") ? "https" : "http");
	bool insecure = request->tls && request->tls->insecure;
	assert_int_equal(find(CURLOPT_SSL_VERIFYPEER) != NULL, insecure);
	assert_int_equal(find(CURLOPT_SSL_VERIFYHOST) != NULL, insecure);
	assert_int_equal(find(CURLOPT_HTTP_VERSION)->number == CURL_HTTP_VERSION_1_1, request->bulk);
}

static void start_all(void *argument)
{
	static const struct http_tls plain = {.insecure = false}, insecure = {.insecure = true};
	static const struct transport_header headers[] = {{"Authorization", "Basic dTpw"}, {"Accept", "x/y"}};
	static const struct transport_events none = {.connected = NULL}; /* none comes before the loop turns */
	static const char *const urls[] = {"http://192.0.2.1/v2/", "https://192.0.2.1/v2/"};
	static const struct http_tls *const tls[] = {NULL, &plain, &insecure};
	struct error err;
	struct transport *transport = transport_curl_new(&err);
	(void)argument;
	assert_non_null(transport);
	for (int i = 0; i < HTTP_METHOD_COUNT * 2 * 2 * 3; i++) {
		enum http_method method = (enum http_method)(i / 12);
		bool has_body = method == HTTP_POST || method == HTTP_PUT || method == HTTP_PATCH;
		struct transport_request request = {
			.method = method,
			.url = urls[i & 1],
			.headers = headers,
			.header_count = array_count(headers),
			.body_bytes = has_body ? 3 : HTTP_NO_BODY,
			.bulk = i & 2,
			.tls = tls[i / 4 % 3],
			.connect_timeout_ms = 1000,
		};
		struct transport_stream *stream;
		set_count = 0;
		assert_true(transport->start(transport, &request, &none, NULL, &stream, &err));
		check_options(&request);
		transport->release(stream);
	}
	transport->free(transport);
}

static void nothing_is_on_that_nobody_asked_for(void **state)
{
	(void)state;
	struct loop *loop = loop_new();
	loop_run(loop, start_all, NULL);
	loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_on_that_nobody_asked_for)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
