/*
 * What the files of the libcurl transport share.
 */
#ifndef DRAY_SYNC_HTTP_CURL_INTERNAL_H
#define DRAY_SYNC_HTTP_CURL_INTERNAL_H

#include "base/list.h"
#include "sync/http/transport.h"

#include <curl/curl.h>

struct curl_transport;

/* Handles of one kind have buffers of one size, and touch one of them. */
enum curl_kind { CURL_SMALL, CURL_DOWNLOAD, CURL_SENDING, CURL_KIND_COUNT };

struct transport_stream {
	struct curl_transport *transport;
	CURL *easy;
	enum curl_kind kind;
	struct origin origin;
	bool http1; /* nothing newer */
	bool apart; /* on connections that small requests do not use: idle, they would draw them out of their streams */
	struct curl_slist *headers;
	const struct transport_events *events;
	void *context;
	struct list resume_node;
	int no_socket;         /* why there was none, an errno; 0: there was */
	bool foreign, refused; /* refused: by our own judgement of an address */
	enum address_class home;
	int reply_status; /* of the status line read last */
	bool connected, head_done, ended;
	char text[CURL_ERROR_SIZE];
};

/**
 * Set every option of a fresh (or reset) handle: the only place that does (T-26). ERR_INVALID: libcurl does not take
 * one, mostly a file of the TLS settings.
 */
must_check bool curl_set_options(
	struct transport_stream *stream, const struct transport_request *request, struct error *err);

/** What went wrong, from libcurl's code and text. */
void curl_failure(struct transport_stream *stream, CURLcode code, struct error *err);

/** Of curl.c: has @origin ever given a reply to this transport? */
bool curl_has_answered(struct curl_transport *transport, const struct origin *origin);

/* Callbacks of curl_stream.c, for the options. */
size_t curl_on_header(char *line, size_t size, size_t count, void *stream);
size_t curl_on_body(char *bytes, size_t size, size_t count, void *stream);
size_t curl_on_take(char *bytes, size_t size, size_t count, void *stream);
int curl_on_seek(void *stream, curl_off_t offset, int origin);
int curl_on_connected(void *stream, char *peer, char *local, int peer_port, int local_port);
curl_socket_t curl_on_open_socket(void *stream, curlsocktype purpose, struct curl_sockaddr *address);

/** Of curl.c: a socket for a connection, or CURL_SOCKET_BAD. */
curl_socket_t curl_open_socket(struct curl_transport *transport, const struct curl_sockaddr *address);

/* Of curl.c: a connection, which outlives the stream that opened it, closes its socket. */
int curl_on_close_socket(void *transport, curl_socket_t fd);

#endif
