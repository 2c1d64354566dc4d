/*
 * One hop on libcurl: its callbacks become events, its errors become ours.
 */
#include "sync/http/curl_internal.h"

#include "base/memory.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

enum { STATUS_FINAL = 200 };

/* --- the reply ---------------------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* "HTTP/1.1 200 OK" -> 200; libcurl has judged it already. */
static int status_of(const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	int status = 0;
	for (const char *p = space ? space + 1 : line + length; p < line + length && *p >= '0' && *p <= '9'; p++)
		status = status < 1000 ? status * 10 + (*p - '0') : status;
	return status;
}

static bool take_status_line(struct transport_stream *stream, const char *line, size_t length)
{
	stream->reply_status = status_of(line, length);
	return stream->events->status(stream->context, stream->reply_status);
}

static bool take_header_line(struct transport_stream *stream, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	if (!colon)
		return stream->events->header(stream->context, "", 0, line, length);
	const char *value = colon + 1, *end = line + length;
	while (value < end && is_blank(*value))
		value++;
	return stream->events->header(stream->context, line, (size_t)(colon - line), value, (size_t)(end - value));
}

size_t curl_on_header(char *line, size_t size, size_t count, void *userdata)
{
	struct transport_stream *stream = userdata;
	size_t whole = size * count, length = whole;
	if (stream->head_done)
		return whole; /* trailers: nobody asked for them */
	while (length > 0 && is_blank(line[length - 1]))
		length--;
	if (length == 0) {
		if (stream->reply_status >= STATUS_FINAL) {
			stream->head_done = true;
			stream->events->head(stream->context);
		}
		return whole;
	}
	bool is_status = length > 5 && memcmp(line, "HTTP/", 5) == 0;
	bool ok = is_status ? take_status_line(stream, line, length) : take_header_line(stream, line, length);
	return ok ? whole : 0;
}

size_t curl_on_body(char *bytes, size_t size, size_t count, void *userdata)
{
	struct transport_stream *stream = userdata;
	size_t taken = stream->events->body(stream->context, bytes, size * count);
	return taken == TRANSPORT_PAUSE ? CURL_WRITEFUNC_PAUSE : taken;
}

/* --- the body of the request -------------------------------------------------------------------------------------- */

size_t curl_on_take(char *bytes, size_t size, size_t count, void *userdata)
{
	struct transport_stream *stream = userdata;
	size_t given = stream->events->take(stream->context, bytes, size * count);
	return given == TRANSPORT_PAUSE ? CURL_READFUNC_PAUSE : given;
}

int curl_on_seek(void *userdata, curl_off_t offset, int origin)
{
	struct transport_stream *stream = userdata;
	if (offset != 0 || origin != SEEK_SET || !stream->events->rewind(stream->context))
		return CURL_SEEKFUNC_FAIL;
	return CURL_SEEKFUNC_OK;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static bool may_use(struct transport_stream *stream, enum address_class peer)
{
	if (!stream->foreign || origin_may_connect(stream->home, peer))
		return true;
	stream->refused = true;
	return false;
}

curl_socket_t curl_on_open_socket(void *userdata, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose;
	struct transport_stream *stream = userdata;
	if (!may_use(stream, origin_address_class(&address->addr)))
		return CURL_SOCKET_BAD;
	curl_socket_t fd = curl_open_socket(stream->transport, address);
	stream->no_socket = fd == CURL_SOCKET_BAD ? errno : 0;
	return fd;
}

static enum address_class class_of_text(const char *text)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return origin_address_class((const struct sockaddr *)&v4);
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		return origin_address_class((const struct sockaddr *)&v6);
	return ADDRESS_FORBIDDEN;
}

/* Judged here again, since a connection that another request opened may be used. */
int curl_on_connected(void *userdata, char *peer, char *local, int peer_port, int local_port)
{
	(void)local, (void)peer_port, (void)local_port;
	struct transport_stream *stream = userdata;
	enum address_class class = class_of_text(peer);
	if (!may_use(stream, class))
		return CURL_PREREQFUNC_ABORT;
	stream->refused = false; /* one address was refused, another is fine */
	stream->connected = true;
	stream->events->connected(stream->context, class);
	return CURL_PREREQFUNC_OK;
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static enum error_kind kind_of(CURLcode code)
{
	static const struct {
		CURLcode code;
		enum error_kind kind;
	} rows[] = {
		{CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
		{CURLE_PEER_FAILED_VERIFICATION, ERR_REFUSED},
		{CURLE_SSL_ISSUER_ERROR, ERR_REFUSED},
		{CURLE_SSL_INVALIDCERTSTATUS, ERR_REFUSED},
		{CURLE_SSL_CERTPROBLEM, ERR_IO}, /* our own files */
		{CURLE_SSL_CACERT_BADFILE, ERR_IO},
		{CURLE_SSL_CLIENTCERT, ERR_DENIED},
		{CURLE_URL_MALFORMAT, ERR_INVALID},
		{CURLE_UNSUPPORTED_PROTOCOL, ERR_PROTOCOL},
		{CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL},
		{CURLE_BAD_CONTENT_ENCODING, ERR_PROTOCOL},
		{CURLE_BAD_FUNCTION_ARGUMENT, ERR_INVALID},
	};
	for (size_t i = 0; i < array_count(rows); i++)
		if (rows[i].code == code)
			return rows[i].kind;
	return ERR_UNAVAILABLE;
}

/* Where the two sides may not agree about TLS; of the hosts that others send us to the configuration says nothing. */
static const char *hint(const struct transport_stream *stream, CURLcode code, const char *text)
{
	if (stream->foreign || curl_has_answered(stream->transport, &stream->origin))
		return "";
	if (stream->origin.tls)
		return code == CURLE_SSL_CONNECT_ERROR && strstr(text, "wrong version number")
			       ? "; perhaps " HTTP_HINT_PLAIN
			       : "";
	bool no_http = code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY; /* an alert of TLS */
	bool no_answer = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR;
	return no_http || no_answer ? "; perhaps " HTTP_HINT_TLS : "";
}

/* Of a connection that was not made @why; libcurl's @text tells to where, which may be a proxy. */
static void set_unconnected(const struct transport_stream *stream, int why, const char *text, struct error *err)
{
	bool to_origin = strstr(text, stream->origin.host) != NULL;
	error_set(err, ERR_UNAVAILABLE, "%s%s%s", strerror(why), to_origin ? "" : ": ", to_origin ? "" : text);
}

void curl_failure(struct transport_stream *stream, CURLcode code, struct error *err)
{
	/* Of a header line above its cap of 100 KB libcurl says that there is no memory for it; where there is really
	 * none, the next allocation of ours tells. */
	if (code == CURLE_OUT_OF_MEMORY && stream->connected && !stream->head_done) {
		error_set(err, ERR_PROTOCOL, "the server sent a header line without end");
		return;
	}
	if (code == CURLE_OUT_OF_MEMORY)
		memory_exhausted();
	if (stream->refused) {
		error_set(err, ERR_REFUSED, "another server sent us to a local or forbidden address");
		return;
	}
	/* There may be one again in a moment, when another connection is closed: so it is not ERR_IO, and is tried
	 * again. */
	if (code == CURLE_COULDNT_CONNECT && stream->no_socket) {
		error_set(err, ERR_UNAVAILABLE, "no socket: %s", strerror(stream->no_socket));
		return;
	}
	/* Names in certificates, among others, are foreign text. */
	const char *text = stream->text[0] ? stream->text : curl_easy_strerror(code);
	char clean[CURL_ERROR_SIZE];
	str_sanitize(text, strlen(text), clean, sizeof clean);
	long number = 0;
	if (code == CURLE_COULDNT_CONNECT && curl_easy_getinfo(stream->easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK &&
		number != 0) {
		set_unconnected(stream, (int)number, clean, err);
		return;
	}
	error_set(err, kind_of(code), "%s%s", clean, hint(stream, code, clean));
}
