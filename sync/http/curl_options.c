#include "sync/http/curl_internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

/*
 * What is received at once must fit into what a hop spills, since libcurl copies what we pause on: with 512 KiB a
 * cold copy took a fifth more CPU, and page faults eight times as many. What is sent at once is a third of a chunk.
 */
#define RECEIVE_BYTES    ((long)(64 * KIB))
#define SEND_BYTES       ((long)(64 * KIB))
#define SMALL_SEND_BYTES ((long)(16 * KIB)) /* the least that libcurl has */

/* An option that libcurl refuses is remembered in the `ok` of the function. */
#define SET(option, value) (ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok)

static bool set_callbacks(struct transport_stream *stream)
{
	CURL *easy = stream->easy;
	bool ok = true;
	SET(CURLOPT_PRIVATE, stream);
	SET(CURLOPT_ERRORBUFFER, stream->text);
	SET(CURLOPT_HEADERFUNCTION, curl_on_header);
	SET(CURLOPT_HEADERDATA, stream);
	SET(CURLOPT_WRITEFUNCTION, curl_on_body);
	SET(CURLOPT_WRITEDATA, stream);
	SET(CURLOPT_PREREQFUNCTION, curl_on_connected);
	SET(CURLOPT_PREREQDATA, stream);
	SET(CURLOPT_OPENSOCKETFUNCTION, curl_on_open_socket);
	SET(CURLOPT_OPENSOCKETDATA, stream);
	SET(CURLOPT_CLOSESOCKETFUNCTION, curl_on_close_socket);
	SET(CURLOPT_CLOSESOCKETDATA, stream->transport);
	return ok;
}

/* What nobody asked for is off (HTTP-1 to HTTP-4); what is not named here is off by default: cookies, netrc, HSTS,
 * alt-svc, authentication, content decoding. */
static bool set_protocol(const struct transport_stream *stream, const struct transport_request *request)
{
	CURL *easy = stream->easy;
	bool ok = true;
	SET(CURLOPT_URL, request->url);
	SET(CURLOPT_PROTOCOLS_STR, stream->origin.tls ? "https" : "http");
	SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_NOPROGRESS, 1L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* or giving up would wait for a resolver that does not answer */
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout_ms);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* HTTP-17: ours are not for the proxy */
	SET(CURLOPT_HTTP_VERSION, stream->http1 ? (long)CURL_HTTP_VERSION_1_1 : (long)CURL_HTTP_VERSION_2TLS);
	if (stream->origin.tls && !stream->http1)
		SET(CURLOPT_PIPEWAIT, 1L);
	if (stream->kind == CURL_DOWNLOAD)
		SET(CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	return ok;
}

static bool set_tls(CURL *easy, bool apart, const struct http_tls *tls)
{
	bool ok = true;
	/* libcurl uses a connection for those alone who want the same TLS, and 1.3 is the highest either way. */
	SET(CURLOPT_SSLVERSION,
		(long)CURL_SSLVERSION_TLSv1_2 | (apart ? CURL_SSLVERSION_MAX_TLSv1_3 : CURL_SSLVERSION_MAX_NONE));
	if (!tls)
		return ok;
	if (tls->ca_file)
		SET(CURLOPT_CAINFO, tls->ca_file);
	if (tls->client_certificate_file)
		SET(CURLOPT_SSLCERT, tls->client_certificate_file);
	if (tls->client_key_file)
		SET(CURLOPT_SSLKEY, tls->client_key_file);
	if (tls->insecure) {
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
	}
	return ok;
}

static bool set_body(struct transport_stream *stream, const struct transport_request *request)
{
	CURL *easy = stream->easy;
	bool ok = true;
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_bytes);
	SET(CURLOPT_READFUNCTION, curl_on_take);
	SET(CURLOPT_READDATA, stream);
	SET(CURLOPT_SEEKFUNCTION, curl_on_seek);
	SET(CURLOPT_SEEKDATA, stream);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, stream->kind == CURL_SENDING ? SEND_BYTES : SMALL_SEND_BYTES);
	return ok;
}

static bool set_method(struct transport_stream *stream, const struct transport_request *request)
{
	CURL *easy = stream->easy;
	bool ok = true;
	bool has_body = request->body_bytes >= 0;
	if (has_body && !set_body(stream, request))
		return false;
	if (request->method == HTTP_HEAD)
		SET(CURLOPT_NOBODY, 1L);
	else if (has_body ? request->method != HTTP_PUT : request->method != HTTP_GET)
		SET(CURLOPT_CUSTOMREQUEST, http_method_name(request->method));
	return ok;
}

static void add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);
	if (!longer)
		memory_exhausted();
	*list = longer;
}

static bool set_headers(struct transport_stream *stream, const struct transport_request *request)
{
	for (size_t i = 0; i < request->header_count; i++) {
		auto_free char *line = memory_format("%s: %s", request->headers[i].name, request->headers[i].value);
		add_line(&stream->headers, line);
	}
	if (request->body_bytes >= 0)
		add_line(&stream->headers, "Expect:"); /* HTTP-5 */
	CURL *easy = stream->easy;
	bool ok = true;
	SET(CURLOPT_HTTPHEADER, stream->headers);
	return ok;
}

bool curl_set_options(struct transport_stream *stream, const struct transport_request *request, struct error *err)
{
	if (set_callbacks(stream) && set_protocol(stream, request) &&
		set_tls(stream->easy, stream->apart, request->tls) && set_method(stream, request) &&
		set_headers(stream, request))
		return true;
	return error_set(err, ERR_INVALID, "libcurl does not take the request");
}

const char *http_library_version(void)
{
	return curl_version();
}
