/*
 * A small HTTP server for tests: threads on loopback, one a connection; the reply to each request is a function that
 * writes what it likes, also what no server should.
 */
#ifndef DRAY_TESTS_UNIT_HTTP_SERVER_H
#define DRAY_TESTS_UNIT_HTTP_SERVER_H

#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEER_HEAD_MAX = 16384, SERVER_LOG_MAX = 65536 };

/* One connection, in its own thread. */
struct peer {
	struct server *server;
	int fd;
	pthread_t thread;
	struct peer *next;
	char method[16], path[4096];
	char head[PEER_HEAD_MAX];
	size_t buffered; /* bytes in rest that came with the head */
	char rest[PEER_HEAD_MAX];
};

struct server {
	int fd, port;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct peer *peers;
	int connections, requests;
	char log[SERVER_LOG_MAX];         /* "METHOD path\n" and, if it came, " authorization" of each request */
	bool (*reply)(struct peer *peer); /* false: close the connection */
	void *data;
	bool open; /* a latch that a test lets replies wait at */
};

static inline void peer_say_bytes(struct peer *peer, const void *bytes, size_t length)
{
	const char *p = bytes;
	while (length > 0) {
		ssize_t sent = send(peer->fd, p, length, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		p += sent;
		length -= (size_t)sent;
	}
}

static inline void peer_say(struct peer *peer, const char *text)
{
	peer_say_bytes(peer, text, strlen(text));
}

static inline bool peer_header(const struct peer *peer, const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	for (const char *line = peer->head; line && *line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			snprintf(value, size, "%.*s", (int)strcspn(line + length + 2, "\r\n"), line + length + 2);
			return true;
		}
	}
	return false;
}

/* Read up to @length bytes of the body; -1: none of it came. */
static inline ssize_t peer_body(struct peer *peer, void *bytes, size_t length)
{
	if (peer->buffered > 0) {
		size_t n = length < peer->buffered ? length : peer->buffered;
		memcpy(bytes, peer->rest, n);
		memmove(peer->rest, peer->rest + n, peer->buffered - n);
		peer->buffered -= n;
		return (ssize_t)n;
	}
	return recv(peer->fd, bytes, length, 0);
}

/* Read and drop the whole body; its length by Content-Length. */
static inline size_t peer_drop_body(struct peer *peer)
{
	char value[32] = "0", bytes[4096];
	size_t left, whole;
	peer_header(peer, "Content-Length", value, sizeof value);
	left = whole = (size_t)strtoull(value, NULL, 10);
	while (left > 0) {
		ssize_t n = peer_body(peer, bytes, left < sizeof bytes ? left : sizeof bytes);
		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	return whole - left;
}

/* Wait until the other side has closed. */
static inline void peer_wait_close(struct peer *peer)
{
	char bytes[4096];
	while (recv(peer->fd, bytes, sizeof bytes, 0) > 0)
		;
}

static inline bool peer_read_head(struct peer *peer)
{
	size_t length = peer->buffered;
	memcpy(peer->head, peer->rest, length);
	peer->head[length] = '\0';
	char *end;
	while (!(end = strstr(peer->head, "\r\n\r\n"))) {
		ssize_t n = recv(peer->fd, peer->head + length, PEER_HEAD_MAX - 1 - length, 0);
		if (n <= 0)
			return false;
		length += (size_t)n;
		peer->head[length] = '\0';
	}
	size_t head_length = (size_t)(end + 4 - peer->head);
	peer->buffered = length - head_length;
	memcpy(peer->rest, peer->head + head_length, peer->buffered);
	peer->head[head_length] = '\0';
	return sscanf(peer->head, "%15s %4095s", peer->method, peer->path) == 2;
}

static inline void server_note(struct peer *peer)
{
	struct server *server = peer->server;
	char authorization[256] = "";
	bool has = peer_header(peer, "Authorization", authorization, sizeof authorization);
	pthread_mutex_lock(&server->lock);
	__atomic_fetch_add(&server->requests, 1, __ATOMIC_RELAXED); /* a test looks at it while we run */
	size_t used = strlen(server->log);
	snprintf(server->log + used, sizeof server->log - used, "%s %s%s%s\n", peer->method, peer->path, has ? " " : "",
		authorization);
	pthread_cond_broadcast(&server->change);
	pthread_mutex_unlock(&server->lock);
}

static inline void *peer_main(void *argument)
{
	struct peer *peer = argument;
	while (peer_read_head(peer)) {
		server_note(peer);
		if (!peer->server->reply(peer))
			break;
	}
	pthread_mutex_lock(&peer->server->lock);
	close(peer->fd);
	peer->fd = -1;
	pthread_mutex_unlock(&peer->server->lock);
	return NULL;
}

static inline void *server_main(void *argument)
{
	struct server *server = argument;
	for (;;) {
		int fd = accept(server->fd, NULL, NULL);
		if (fd < 0)
			return NULL;
		struct peer *peer = memory_new(1, sizeof *peer);
		peer->server = server;
		peer->fd = fd;
		pthread_mutex_lock(&server->lock);
		server->connections++;
		peer->next = server->peers;
		server->peers = peer;
		pthread_mutex_unlock(&server->lock);
		pthread_create(&peer->thread, NULL, peer_main, peer);
	}
}

static inline void server_start(struct server *server, bool (*reply)(struct peer *peer), void *data)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	memset(server, 0, sizeof *server);
	server->reply = reply;
	server->data = data;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->change, NULL);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server->fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(server->fd, 1024) != 0 ||
		getsockname(server->fd, (struct sockaddr *)&address, &length) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	pthread_create(&server->thread, NULL, server_main, server);
}

static inline void server_open(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	server->open = true;
	pthread_cond_broadcast(&server->change);
	pthread_mutex_unlock(&server->lock);
}

/* In a reply: wait for server_open(). */
static inline void server_wait_open(struct server *server)
{
	pthread_mutex_lock(&server->lock);
	while (!server->open)
		pthread_cond_wait(&server->change, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static inline void server_wait_requests(struct server *server, int count)
{
	pthread_mutex_lock(&server->lock);
	while (server->requests < count)
		pthread_cond_wait(&server->change, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

static inline void server_stop(struct server *server)
{
	server_open(server);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	for (struct peer *peer = server->peers, *next; peer; peer = next) {
		next = peer->next;
		pthread_mutex_lock(&server->lock);
		shutdown(peer->fd, SHUT_RDWR);
		pthread_mutex_unlock(&server->lock);
		pthread_join(peer->thread, NULL);
		free(peer);
	}
	pthread_cond_destroy(&server->change);
	pthread_mutex_destroy(&server->lock);
}

#endif
