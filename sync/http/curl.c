/*
 * libcurl multi on the libuv loop.
 *
 * The happy path: start() adds a handle; libcurl asks for its timer at 0, which is our kick; the kick drives it; it
 * asks for its socket to be watched; the socket drives it; each drive ends with drain(), which tells the stream that it
 * has ended.
 *
 * Rules that are bugs when broken:
 *  - after every curl_multi_socket_action() the messages are drained to the last (drive() is the only one to call it);
 *  - no callback of libcurl calls libcurl: what has to follow (unpausing) waits for the kick;
 *  - what a drive made ready must run before libuv blocks: timers and idle handles fire before it polls, so they ask
 *    the loop to return (uv_stop).
 *
 * A watch lives as long as its file descriptor, not as long as libcurl's interest: a connection that goes idle and is
 * used again costs no system call. If an idle one has news (the peer closed it), the watch stops until libcurl asks
 * again.
 */
#include "sync/http/curl_internal.h"

#include "base/memory.h"
#include "scheduler/loop.h"
#include "scheduler/task.h"

#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

enum { SPARE_HANDLES = 32, CONNECTIONS_KEPT = 64, HABITS_MOST = 64, STATUS_MISDIRECTED = 421 };

struct spare_handles {
	CURL *handles[SPARE_HANDLES];
	size_t count;
};

struct watch {
	uv_poll_t poll;
	struct curl_transport *transport;
	curl_socket_t fd;
	int watched; /* the events that libuv watches */
	int wanted;  /* the events that libcurl waits for */
	bool ours;   /* of a connection, closed by curl_on_close_socket(); libcurl's own ones go without a word */
};

struct habit {
	struct origin origin;
	bool answers; /* it has given a reply */
	bool does_http2;
	bool badly; /* spoken to by HTTP/1.1 from now on */
};

struct curl_transport {
	struct transport base;
	CURLM *multi;
	uv_loop_t *loop;
	uv_timer_t timer;
	uv_idle_t kick;
	struct watch **watches; /* by file descriptor */
	size_t watch_slots;
	struct list resumed; /* streams to unpause at the next kick */
	struct spare_handles spare[CURL_KIND_COUNT];
	struct habit habits[HABITS_MOST];
	size_t habit_count;
	size_t open_handles; /* of libuv */
	struct waitqueue closed;
};

/* --- who answers, who does HTTP/2, and who badly ------------------------------------------------------------------ */

/* NULL: nothing is known of it. */
static struct habit *find_habit(struct curl_transport *transport, const struct origin *origin)
{
	for (size_t i = 0; i < transport->habit_count; i++)
		if (origin_equal(&transport->habits[i].origin, origin))
			return &transport->habits[i];
	return NULL;
}

/* HTTP-9: an error of HTTP/2 itself, or 421 (a connection that is another host's). */
static bool is_trouble_with_http2(const struct transport_stream *stream, CURLcode code)
{
	return code == CURLE_HTTP2 || code == CURLE_HTTP2_STREAM ||
	       (code == CURLE_OK && stream->reply_status == STATUS_MISDIRECTED);
}

/* NULL: there is no room for more. */
static struct habit *find_or_add_habit(struct curl_transport *transport, const struct origin *origin)
{
	struct habit *habit = find_habit(transport, origin);
	if (habit || transport->habit_count == HABITS_MOST)
		return habit;
	habit = &transport->habits[transport->habit_count++];
	*habit = (struct habit){.origin = *origin};
	return habit;
}

/* What a stream has taught, for the rest of the run: of HTTP/2 only one that might have been of that. */
static void learn_habit(struct curl_transport *transport, const struct transport_stream *stream, CURLcode code)
{
	long version = 0;
	bool may_be_http2 = stream->origin.tls && !stream->http1;
	bool badly = may_be_http2 && is_trouble_with_http2(stream, code);
	struct habit *habit = stream->head_done || badly ? find_or_add_habit(transport, &stream->origin) : NULL;
	if (!habit)
		return;
	curl_easy_getinfo(stream->easy, CURLINFO_HTTP_VERSION, &version);
	habit->answers |= stream->head_done;
	habit->does_http2 |= may_be_http2 && version == CURL_HTTP_VERSION_2_0;
	habit->badly |= badly;
}

bool curl_has_answered(struct curl_transport *transport, const struct origin *origin)
{
	const struct habit *habit = find_habit(transport, origin);
	return habit && habit->answers;
}

/* --- driving libcurl ---------------------------------------------------------------------------------------------- */

static void finish(struct curl_transport *transport, struct transport_stream *stream, CURLcode code)
{
	curl_multi_remove_handle(transport->multi, stream->easy);
	learn_habit(transport, stream, code);
	if (code == CURLE_OK) {
		stream->events->end(stream->context, NULL);
		return;
	}
	struct error failure;
	curl_failure(stream, code, &failure);
	stream->events->end(stream->context, &failure);
}

static void drain(struct curl_transport *transport)
{
	const CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(transport->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct transport_stream *stream;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &stream);
		stream->ended = true;
		finish(transport, stream, code);
	}
}

static void drive(struct curl_transport *transport, curl_socket_t fd, int events)
{
	int running;
	curl_multi_socket_action(transport->multi, fd, events, &running);
	drain(transport);
}

static void on_timer(uv_timer_t *timer)
{
	struct curl_transport *transport = timer->data;
	drive(transport, CURL_SOCKET_TIMEOUT, 0);
	uv_stop(transport->loop);
}

static void unpause_resumed(struct curl_transport *transport)
{
	while (!list_is_empty(&transport->resumed)) {
		struct transport_stream *stream =
			list_item(transport->resumed.next, struct transport_stream, resume_node);
		list_remove(&stream->resume_node);
		curl_easy_pause(stream->easy, CURLPAUSE_CONT);
	}
}

static void on_kick(uv_idle_t *kick)
{
	struct curl_transport *transport = kick->data;
	uv_idle_stop(kick);
	unpause_resumed(transport);
	drive(transport, CURL_SOCKET_TIMEOUT, 0);
	uv_stop(transport->loop);
}

static int on_timer_wanted(CURLM *multi, long delay_ms, void *userdata)
{
	(void)multi;
	struct curl_transport *transport = userdata;
	if (delay_ms < 0)
		uv_timer_stop(&transport->timer);
	else if (delay_ms == 0)
		uv_idle_start(&transport->kick, on_kick);
	else
		uv_timer_start(&transport->timer, on_timer, (uint64_t)delay_ms, 0);
	return 0;
}

/* --- sockets ------------------------------------------------------------------------------------------------------ */

static void on_handle_closed(struct curl_transport *transport)
{
	if (--transport->open_handles == 0)
		waitqueue_wake_all(&transport->closed);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;
	on_handle_closed(watch->transport);
	free(watch);
}

static struct watch *watch_of(const struct curl_transport *transport, curl_socket_t fd)
{
	return (size_t)fd < transport->watch_slots ? transport->watches[fd] : NULL;
}

static void on_socket(uv_poll_t *poll, int status, int events);

static bool watch_as_wanted(struct watch *watch)
{
	if (watch->wanted == 0 || watch->wanted == watch->watched)
		return true;
	watch->watched = watch->wanted;
	return uv_poll_start(&watch->poll, watch->wanted, on_socket) == 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct curl_transport *transport = watch->transport;
	curl_socket_t fd = watch->fd;
	if (watch->wanted == 0) {
		uv_poll_stop(poll);
		watch->watched = 0;
		return;
	}
	if (status < 0) {
		/* libuv stops by itself on an error, and hides what can still be read. libcurl finds both by trying. */
		watch->watched = 0;
		events = UV_READABLE | UV_WRITABLE;
	}
	drive(transport, fd,
		(events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0));
	if (watch_of(transport, fd) == watch)
		watch_as_wanted(watch);
}

static void make_room(struct curl_transport *transport, size_t slots)
{
	if (slots <= transport->watch_slots)
		return;
	transport->watches = memory_resize(transport->watches, slots, sizeof(struct watch *));
	for (size_t i = transport->watch_slots; i < slots; i++)
		transport->watches[i] = NULL;
	transport->watch_slots = slots;
}

static struct watch *watch_new(struct curl_transport *transport, curl_socket_t fd)
{
	struct watch *watch = memory_new(1, sizeof *watch);
	watch->transport = transport;
	watch->fd = fd;
	watch->poll.data = watch;
	if (uv_poll_init_socket(transport->loop, &watch->poll, fd) != 0) {
		free(watch);
		return NULL;
	}
	transport->open_handles++;
	make_room(transport, (size_t)fd + 64);
	transport->watches[fd] = watch;
	return watch;
}

static void forget_socket(struct curl_transport *transport, curl_socket_t fd)
{
	struct watch *watch = watch_of(transport, fd);
	if (!watch)
		return;
	transport->watches[fd] = NULL;
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	(void)easy, (void)socket_data;
	struct curl_transport *transport = userdata;
	struct watch *watch = watch_of(transport, fd);
	if (what == CURL_POLL_REMOVE) {
		if (watch && !watch->ours)
			forget_socket(transport, fd);
		else if (watch)
			watch->wanted = 0;
		return 0;
	}
	if (!watch && !(watch = watch_new(transport, fd)))
		return -1;
	watch->wanted = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	return watch_as_wanted(watch) ? 0 : -1;
}

curl_socket_t curl_open_socket(struct curl_transport *transport, const struct curl_sockaddr *address)
{
	curl_socket_t fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	struct watch *watch = watch_new(transport, fd);
	if (!watch) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	watch->ours = true;
	return fd;
}

int curl_on_close_socket(void *userdata, curl_socket_t fd)
{
	forget_socket(userdata, fd);
	return close(fd);
}

/* --- the transport ------------------------------------------------------------------------------------------------ */

static enum curl_kind kind_of(const struct transport_request *request)
{
	if (!request->bulk)
		return CURL_SMALL;
	return request->body_bytes > 0 ? CURL_SENDING : CURL_DOWNLOAD;
}

/* A used handle keeps its buffers, whose sizes can then not be chosen any more; fresh ones cost page faults. */
static CURL *take_easy(struct curl_transport *transport, enum curl_kind kind)
{
	struct spare_handles *spare = &transport->spare[kind];
	if (spare->count > 0)
		return spare->handles[--spare->count];
	CURL *easy = curl_easy_init();
	if (!easy)
		memory_exhausted();
	return easy;
}

static void give_easy_back(struct curl_transport *transport, CURL *easy, enum curl_kind kind)
{
	struct spare_handles *spare = &transport->spare[kind];
	if (spare->count == SPARE_HANDLES) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	spare->handles[spare->count++] = easy;
}

static void free_stream(struct transport_stream *stream)
{
	give_easy_back(stream->transport, stream->easy, stream->kind);
	curl_slist_free_all(stream->headers);
	free(stream);
}

static bool start(struct transport *base, const struct transport_request *request,
	const struct transport_events *events, void *context, struct transport_stream **stream, struct error *err)
{
	struct curl_transport *transport = (struct curl_transport *)base;
	struct origin origin;
	if (!origin_of(request->url, &origin, err))
		return false;
	struct transport_stream *fresh = memory_new(1, sizeof *fresh);
	fresh->transport = transport;
	fresh->origin = origin;
	const struct habit *habit = find_habit(transport, &origin);
	bool does_http2 = habit && habit->does_http2 && !habit->badly;
	fresh->http1 = request->bulk || (habit && habit->badly);
	fresh->apart = request->bulk && does_http2;
	fresh->kind = kind_of(request);
	fresh->easy = take_easy(transport, fresh->kind);
	fresh->events = events;
	fresh->context = context;
	fresh->foreign = request->foreign;
	fresh->home = request->home;
	list_init(&fresh->resume_node);
	bool ready = curl_set_options(fresh, request, err);
	if (ready && curl_multi_add_handle(transport->multi, fresh->easy) != CURLM_OK)
		ready = error_set(err, ERR_IO, "libcurl does not take another request");
	if (!ready) {
		free_stream(fresh);
		return false;
	}
	*stream = fresh;
	return true;
}

static void resume(struct transport_stream *stream)
{
	struct curl_transport *transport = stream->transport;
	if (stream->ended)
		return;
	list_remove(&stream->resume_node);
	list_append(&transport->resumed, &stream->resume_node);
	uv_idle_start(&transport->kick, on_kick);
}

static void release(struct transport_stream *stream)
{
	list_remove(&stream->resume_node);
	if (!stream->ended)
		curl_multi_remove_handle(stream->transport->multi, stream->easy);
	free_stream(stream);
}

static void free_spares(struct spare_handles *spare)
{
	while (spare->count > 0)
		curl_easy_cleanup(spare->handles[--spare->count]);
}

static void on_own_handle_closed(uv_handle_t *handle)
{
	on_handle_closed(handle->data);
}

static void close_all(struct transport *base)
{
	struct curl_transport *transport = (struct curl_transport *)base;
	for (size_t kind = 0; kind < CURL_KIND_COUNT; kind++)
		free_spares(&transport->spare[kind]);
	curl_multi_cleanup(transport->multi); /* closes the connections, and so their sockets */
	for (size_t fd = 0; fd < transport->watch_slots; fd++)
		forget_socket(transport, (curl_socket_t)fd); /* those that are libcurl's own */
	uv_close((uv_handle_t *)&transport->timer, on_own_handle_closed);
	uv_close((uv_handle_t *)&transport->kick, on_own_handle_closed);
	while (transport->open_handles > 0)
		waitqueue_wait_uncancelable(&transport->closed);
	curl_global_cleanup();
	free(transport->watches);
	free(transport);
}

static bool set_up_multi(struct curl_transport *transport)
{
	CURLM *multi = transport->multi;
	return multi && curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, transport) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_TIMERDATA, transport) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) == CURLM_OK &&
	       curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT) == CURLM_OK;
}

struct transport *transport_curl_new(struct error *err)
{
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_for_library, free, memory_resized_for_library,
		    memory_text_for_library, memory_zeroed_for_library) != CURLE_OK) {
		error_set(err, ERR_IO, "libcurl cannot be set up");
		return NULL;
	}
	struct curl_transport *transport = memory_new(1, sizeof *transport);
	transport->base = (struct transport){.start = start, .resume = resume, .release = release, .free = close_all};
	transport->loop = loop_uv(loop_current());
	list_init(&transport->resumed);
	waitqueue_init(&transport->closed);
	transport->multi = curl_multi_init();
	if (!set_up_multi(transport)) {
		curl_multi_cleanup(transport->multi);
		curl_global_cleanup();
		free(transport);
		error_set(err, ERR_IO, "libcurl cannot be set up");
		return NULL;
	}
	uv_timer_init(transport->loop, &transport->timer);
	uv_idle_init(transport->loop, &transport->kick);
	transport->timer.data = transport->kick.data = transport;
	transport->open_handles = 2;
	return &transport->base;
}
