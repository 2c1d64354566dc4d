/* covers: BLB-1, BLB-2, BLB-4, BLB-5, BLB-9, BLB-11, BLB-12, UPL-1, RED-7, T-4 */
/* covers: UPL-2, UPL-5, UPL-6, UPL-9, UPL-10, UPL-19, UPL-21, UPL-22, TOK-3, TOK-5, TOK-14, T-14, T-45 */
#include "model.h"

#include "scheduler/task.h"

#define BYTES "0123456789"
#define PING_ROW                                                                                                       \
	{                                                                                                              \
		"GET https://r.test/v2/", "", 200,                                                                     \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}
#define POST    "POST https://r.test/v2/a/b/blobs/uploads/"
#define SESSION "Location: /v2/a/b/blobs/uploads/u?_state=x%3D"

static struct descriptor blob;
static char head_url[256], get_url[256], put_url[400], mount_url[400];

static int describe_blob(void **state)
{
	(void)state;
	blob = (struct descriptor){.digest = digest_of(DIGEST_SHA256, BYTES, 10), .size = 10};
	const char *text = blob.digest.text, *hex = digest_encoded(&blob.digest);
	snprintf(head_url, sizeof head_url, "HEAD https://r.test/v2/a/b/blobs/%s", text);
	snprintf(get_url, sizeof get_url, "GET https://r.test/v2/a/b/blobs/%s", text);
	snprintf(put_url, sizeof put_url, "PUT https://r.test/v2/a/b/blobs/uploads/u?_state=x%%3D&digest=sha256%%3A%s",
		hex);
	snprintf(mount_url, sizeof mount_url,
		"POST https://r.test/v2/a/b/blobs/uploads/?mount=sha256%%3A%s&from=c%%2Fd", hex);
	return 0;
}

/* --- is it there ----------------------------------------------------------------------------------------------------
 */

static void ask_presence(struct model *model)
{
	bool present = false;
	struct error err = {.kind = ERR_NONE};
	const char *want = model->data;
	bool ok = registry_blob_head(model->registry, "a/b", &blob, &present, &err);
	const char *got = !ok ? error_kind_name(err.kind) : present ? "present" : "absent";
	assert_string_equal(got, want);
}

static void presence_is_a_200_of_the_right_size(void **state)
{
	static const struct {
		int status;
		const char *header;
		char *want;
	} rows[] = {
		{200, "Content-Length: 10", "present"},
		{200, NULL, "present"},
		{200, "Content-Length: 11", "absent"},
		{404, NULL, "absent"},
		{405, NULL, "absent"},
		{401, NULL, "unauthorized"},
		{403, NULL, "denied"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row story[] = {PING_ROW, {head_url, "", rows[i].status, {rows[i].header}}};
		PLAY(ask_presence, NULL, story, rows[i].want);
	}
}

/* --- reading --------------------------------------------------------------------------------------------------------
 */

struct reading {
	int64_t offset;
	size_t capacity;
	const char *bytes; /* what arrives */
	enum error_kind kind;
	const char *says; /* in the error; NULL: not looked at */
};

static void read_blob(struct model *model)
{
	const struct reading *want = model->data;
	struct error err = {.kind = ERR_NONE};
	struct blob_reader *reader = NULL;
	char bytes[32] = "";
	size_t used = 0, got = 1;
	if (registry_blob_open(model->registry, "a/b", &blob, want->offset, &reader, &err))
		while (got > 0 && blob_reader_read(reader, bytes + used, want->capacity, &got, &err))
			used += got;
	blob_reader_close(reader);
	bytes[used] = '\0';
	if (err.kind != want->kind || !str_is(bytes, want->bytes) || (want->says && !strstr(err.text, want->says)))
		fail_msg("%s %s: %s", error_kind_name(err.kind), bytes, err.text);
}

static void reader_gives_exactly_what_was_asked_for(void **state)
{
	static const struct {
		struct reading reading;
		const char *range; /* "": none is asked for */
		int status;
		const char *header, *body;
		const char *why;
		enum fault fault;
	} rows[] = {
		{{0, 20, BYTES, ERR_NONE}, "", 200, NULL, BYTES, "whole"},
		{{0, 3, BYTES, ERR_NONE}, "", 200, NULL, BYTES, "in pieces"},
		{{4, 20, "456789", ERR_NONE}, "Range: bytes=4-9\n", 206, "Content-Range: bytes 4-9/10", "456789",
			"the rest, by a closed range (BLB-4)"},
		{{4, 20, "456789", ERR_NONE}, "Range: bytes=4-9\n", 206, "Content-Range: bytes 4-9/*", "456789",
			"of unknown whole"},
		{{4, 3, "456789", ERR_NONE}, "Range: bytes=4-9\n", 200, NULL, BYTES, "no ranges there (BLB-5)"},
		{{0, 20, "", ERR_PROTOCOL}, "", 206, "Content-Range: bytes 0-9/10", BYTES, "a part nobody asked for"},
		{{0, 20, "", ERR_CORRUPT}, "", 200, "Content-Length: 9", "012345678", "announced too short (BLB-2)"},
		{{0, 20, "", ERR_CORRUPT}, "", 200, "Content-Length: 11", "0123456789x", "announced too long"},
		{{4, 20, "", ERR_CORRUPT}, "Range: bytes=4-9\n", 200, "Content-Length: 6", "456789",
			"a part that says it is the whole"},
		{{0, 20, "012345678", ERR_UNAVAILABLE}, "", 200, "Transfer-Encoding: chunked", "012345678",
			"too short"},
		{{0, 20, "", ERR_CORRUPT}, "", 200, "Transfer-Encoding: chunked", "0123456789x", "too long"},
		{{0, 20, BYTES, ERR_NONE}, "", 200, "Transfer-Encoding: chunked", BYTES, "only the end is broken",
			FAULT_CUT},
		{{0, 20, "012345678", ERR_UNAVAILABLE}, "", 200, "Transfer-Encoding: chunked", "012345678",
			"broken before the last byte", FAULT_CUT},
		{{0, 20, BYTES, ERR_NONE}, "", 200, "Content-Encoding: gzip", BYTES, "never undone (BLB-9)"},
		{{0, 20, "", ERR_CORRUPT, "sent with Content-Encoding x-gzip: GET"}, "", 200,
			"Content-Encoding: x-gzip", "0123456789x", "and told where that is wrong"},
		{{0, 20, "", ERR_CORRUPT, "GET https"}, "", 200, "Content-Encoding: Identity", "0123456789x",
			"no coding"},
		{{0, 20, "", ERR_NOT_FOUND}, "", 404, NULL, "", "not there"},
		{{0, 20, "", ERR_UNAVAILABLE}, "", 500, NULL, "", "one attempt: the reader resumes"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row story[] = {
			PING_ROW,
			{get_url, rows[i].range, rows[i].status, {rows[i].header}, rows[i].body, rows[i].fault},
		};
		struct reading reading = rows[i].reading;
		PLAY(read_blob, NULL, story, &reading);
	}
}

/* T-4: not a byte of what was not asked for is used; the whole is asked for once. */
static void wrong_range_is_dropped_and_the_whole_read(void **state)
{
	static const struct {
		int status;
		const char *header, *body, *why;
	} rows[] = {
		{206, "Content-Range: bytes 3-9/10", "3456789", "another start"},
		{206, "Content-Range: bytes 4-8/10", "45678", "another end"},
		{206, "Content-Range: bytes 4-9/11", "456789", "another whole"},
		{206, "Content-Range: bytes 0-9/10", BYTES, "from the beginning, and called a part"},
		{206, "Content-Range: bits 4-9/10", "456789", "another unit"},
		{206, "Content-Type: multipart/byteranges; boundary=x:y", "--x:y", "several parts (BLB-7)"},
		{206, NULL, "456789", "no Content-Range"},
		{416, "Content-Range: bytes */10", "", "no such range"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row wrong = {
			get_url, "Range: bytes=4-9\n", rows[i].status, {rows[i].header}, rows[i].body};
		struct reading good = {4, 20, "456789", ERR_NONE};
		const struct row whole[] = {PING_ROW, wrong, {get_url, "", 200, {NULL}, BYTES}};
		PLAY(read_blob, NULL, whole, &good);
		struct reading denied = {4, 20, "", ERR_DENIED}, odd = {4, 20, "", ERR_PROTOCOL};
		const struct row again[] = {PING_ROW, wrong, {get_url, "", 416, {NULL}, ""}};
		PLAY(read_blob, NULL, again, &denied);
		const struct row part[] = {
			PING_ROW, wrong, {get_url, "", 206, {"Content-Range: bytes 4-9/10"}, "456789"}};
		PLAY(read_blob, NULL, part, &odd);
	}
}

static void reader_tells_a_break(void **state)
{
	struct reading reading = {0, 4, "0123456", ERR_UNAVAILABLE};
	const struct row story[] = {
		PING_ROW,
		{get_url, NULL, 200, {"Content-Length: 10"}, "0123456", FAULT_CUT},
	};
	(void)state;
	PLAY(read_blob, NULL, story, &reading);
}

static void signed_url_that_is_refused_may_be_asked_for_again(void **state)
{
	struct reading reading = {0, 20, "", ERR_UNAVAILABLE};
	const struct row story[] = {
		PING_ROW,
		{get_url, NULL, 307, {"Location: https://cdn.test/x?Signature=s"}},
		{"GET https://cdn.test/x?Signature=s", "", 403, {NULL}, "expired"},
	};
	(void)state;
	PLAY(read_blob, NULL, story, &reading);
}

static void read_exactly(struct model *model)
{
	struct error err;
	struct blob_reader *reader;
	char bytes[10];
	size_t got;
	assert_true(registry_blob_open(model->registry, "a/b", &blob, 0, &reader, &err));
	assert_true(blob_reader_read(reader, bytes, sizeof bytes, &got, &err));
	assert_int_equal(got, 10);
	/* The exchange has ended although nobody asked for an 11th byte, so its connection serves again. */
	assert_int_equal(((struct model *)model)->streams, 0);
	blob_reader_close(reader);
}

static void last_byte_frees_the_connection(void **state)
{
	const struct row story[] = {PING_ROW, {get_url, NULL, 200, {NULL}, BYTES}};
	(void)state;
	PLAY(read_exactly, NULL, story, NULL);
}

/* --- uploads --------------------------------------------------------------------------------------------------------
 */

/* Upload in two halves; the stage at which it ended, and how. */
static void upload(struct model *model)
{
	struct blob_upload *session = NULL;
	struct error err = {.kind = ERR_NONE};
	const char *stage = "open";
	bool ok = registry_upload_open(model->registry, "a/b", &blob.digest, &session, &err);
	if (ok) {
		stage = "begin";
		ok = blob_upload_begin(session, &blob, &err);
	}
	if (ok) {
		stage = "write";
		ok = blob_upload_write(session, BYTES, 5, &err) && blob_upload_write(session, &BYTES[5], 5, &err);
	}
	if (ok) {
		stage = "commit";
		ok = blob_upload_commit(session, &err);
	}
	blob_upload_free(session);
	auto_free char *got = ok ? memory_text("done") : memory_format("%s %s", stage, error_kind_name(err.kind));
	if (!str_is(got, model->data))
		fail_msg("%s, and not %s: %s", got, (char *)model->data, err.text);
	assert_null(strstr(err.text, "_state"));
}

#define UPLOAD(want, ...)                                                                                              \
	do {                                                                                                           \
		const struct row story[] = {PING_ROW, __VA_ARGS__};                                                    \
		PLAY(upload, NULL, story, want);                                                                       \
	} while (0)
#define OPENED                                                                                                         \
	{                                                                                                              \
		POST, "", 202, {SESSION}, NULL, FAULT_NONE, ""                                                         \
	}

static void blob_goes_up_in_one_put(void **state)
{
	(void)state;
	UPLOAD("done", OPENED,
		{put_url, "Content-Type: application/octet-stream\n", 201, {NULL}, NULL, FAULT_NONE, BYTES});
}

static void session_that_is_not_opened_is_told(void **state)
{
	(void)state;
	UPLOAD("open protocol", {POST, "", 202, {NULL}});
	UPLOAD("open refused", {POST, "", 202, {"Location: https://evil.test/u"}});
	UPLOAD("open denied", {POST, "", 404, {NULL}});
	UPLOAD("open denied", {POST, "", 403, {NULL}});
	UPLOAD("open unauthorized", {POST, "", 401, {NULL}});
	UPLOAD("open protocol", {POST, "", 201, {SESSION}});
	UPLOAD("done", {POST, "", 503, {NULL}}, OPENED, {put_url, NULL, 201, {NULL}});
}

static void unclear_end_is_settled_by_head(void **state)
{
	static const int unclear[] = {500, 502, 404, 416, 200, 202, 204};
	(void)state;
	UPLOAD("done", OPENED, {put_url, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY}, {head_url, "", 200, {NULL}});
	UPLOAD("commit unavailable", OPENED, {put_url, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{head_url, "", 404, {NULL}});
	UPLOAD("commit unavailable", OPENED, {put_url, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{head_url, "", 200, {"Content-Length: 9"}});
	for (size_t i = 0; i < array_count(unclear); i++) {
		UPLOAD("done", OPENED, {put_url, NULL, unclear[i], {NULL}}, {head_url, "", 200, {NULL}});
		UPLOAD("commit unavailable", OPENED, {put_url, NULL, unclear[i], {NULL}}, {head_url, "", 404, {NULL}});
	}
	UPLOAD("commit unavailable", OPENED, {put_url, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{head_url, "", 403, {NULL}});
}

static void clear_refusal_is_final(void **state)
{
	(void)state;
	UPLOAD("commit denied", OPENED, {put_url, NULL, 400, {NULL}});
	UPLOAD("commit denied", OPENED, {put_url, NULL, 413, {NULL}});
	UPLOAD("commit rate_limited", OPENED, {put_url, NULL, 429, {NULL}});
}

static void reply_before_the_last_byte_is_the_error(void **state)
{
	(void)state;
	UPLOAD("write denied", OPENED, {put_url, NULL, 413, {NULL}, "too large", FAULT_EARLY});
	UPLOAD("write unavailable", OPENED, {put_url, NULL, 404, {NULL}, NULL, FAULT_EARLY});
	UPLOAD("write unavailable", OPENED, {put_url, NULL, 503, {NULL}, NULL, FAULT_EARLY});
	UPLOAD("write unavailable", OPENED, {put_url, NULL, 201, {NULL}, NULL, FAULT_EARLY});
}

static void upload_of_nothing(struct model *model)
{
	struct blob_upload *session;
	struct error err;
	struct descriptor empty = {.digest = digest_of(DIGEST_SHA256, "", 0), .size = 0};
	assert_true(registry_upload_open(model->registry, "a/b", &empty.digest, &session, &err));
	assert_true(blob_upload_begin(session, &empty, &err));
	assert_true(blob_upload_commit(session, &err));
	blob_upload_free(session);
}

static void empty_blob_goes_up(void **state)
{
	const struct row story[] = {
		PING_ROW,
		OPENED,
		{"PUT https://r.test/v2/a/b/blobs/uploads/u?_state=x%3D&digest=sha256%3A"
		 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			NULL, 201, {NULL}, NULL, FAULT_NONE, ""},
	};
	(void)state;
	PLAY(upload_of_nothing, NULL, story, NULL);
}

#define CHALLENGE                                                                                                      \
	{                                                                                                              \
		"GET https://r.test/v2/", "", 401,                                                                     \
		{                                                                                                      \
			"WWW-Authenticate: Bearer realm=\"https://r.test/token\""                                      \
		}                                                                                                      \
	}
#define PUSH_TOKEN_URL "GET https://r.test/token?scope=repository%3Aa%2Fb%3Apull%2Cpush&client_id=dray"

static void upload_twice(struct model *model)
{
	model->data = "commit unavailable";
	upload(model);
	model->data = "done";
	upload(model);
}

static void token_that_grew_old_during_a_put_is_replaced(void **state)
{
	const struct row story[] = {
		CHALLENGE,
		{PUSH_TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{POST, "Authorization: Bearer t1\n", 202, {SESSION}},
		{put_url, "Authorization: Bearer t1\nContent-Type: application/octet-stream\n", 401, {NULL}},
		{PUSH_TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t2\"}"},
		{POST, "Authorization: Bearer t2\n", 202, {SESSION}},
		{put_url, "Authorization: Bearer t2\nContent-Type: application/octet-stream\n", 201, {NULL}},
	};
	(void)state;
	PLAY(upload_twice, NULL, story, NULL);
}

static void cancel_me(void *argument)
{
	struct model *model = argument;
	struct blob_upload *session;
	struct error err;
	assert_true(registry_upload_open(model->registry, "a/b", &blob.digest, &session, &err));
	assert_true(blob_upload_begin(session, &blob, &err));
	assert_true(blob_upload_write(session, BYTES, 5, &err));
	assert_false(task_sleep(1000, &err));
	assert_false(blob_upload_write(session, &BYTES[5], 5, &err));
	assert_int_equal(err.kind, ERR_CANCELED);
	blob_upload_free(session);
}

static void cancel_in_the_middle(struct model *model)
{
	struct group group;
	struct error err;
	group_init(&group, 1);
	assert_true(group_spawn(&group, cancel_me, model, &err));
	assert_true(task_sleep(500, &err));
	group_cancel(&group);
	group_wait(&group);
}

static void canceled_upload_is_cut(void **state)
{
	const struct row story[] = {PING_ROW, OPENED, {put_url, NULL, 201, {NULL}}};
	(void)state;
	PLAY(cancel_in_the_middle, NULL, story, NULL);
}

/* --- mounts ---------------------------------------------------------------------------------------------------------
 */

static void mount(struct model *model)
{
	bool mounted = false;
	struct blob_upload *session = NULL;
	struct error err = {.kind = ERR_NONE};
	bool ok = registry_blob_mount(model->registry, "a/b", "c/d", &blob.digest, &mounted, &session, &err);
	const char *got = !ok ? error_kind_name(err.kind) : mounted ? "mounted" : session ? "session" : "neither";
	blob_upload_free(session);
	if (!str_is(got, model->data))
		fail_msg("%s, and not %s: %s", got, (char *)model->data, err.text);
}

static void mount_is_tried_and_never_fails_the_copy(void **state)
{
	static const struct {
		int status;
		const char *header;
		char *want;
	} rows[] = {
		{201, NULL, "mounted"},
		{202, SESSION, "session"},
		{202, NULL, "neither"},
		{202, "Location: https://evil.test/u", "refused"},
		{200, NULL, "neither"},
		{401, NULL, "neither"},
		{403, NULL, "neither"},
		{404, NULL, "neither"},
		{405, NULL, "neither"},
		{429, NULL, "neither"},
		{500, NULL, "neither"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row story[] = {
			PING_ROW, {mount_url, "", rows[i].status, {rows[i].header}, NULL, FAULT_NONE, ""}};
		PLAY(mount, NULL, story, rows[i].want);
	}
	const struct row broken[] = {PING_ROW, {mount_url, "", 0, {NULL}, NULL, FAULT_NO_REPLY}};
	PLAY(mount, NULL, broken, "neither");
}

#define MOUNT_TOKEN_URL                                                                                                \
	"GET "                                                                                                         \
	"https://r.test/token?scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=repository%3Ac%2Fd%3Apull&client_id=dray"

static void mount_asks_for_both_scopes_with_push_first(void **state)
{
	const struct row story[] = {
		CHALLENGE,
		{MOUNT_TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
		{mount_url, "Authorization: Bearer t1\n", 201, {NULL}},
	};
	(void)state;
	PLAY(mount, NULL, story, "mounted");
}

static void mount_and_upload(struct model *model)
{
	model->data = "neither";
	mount(model);
	model->data = "done";
	upload(model);
}

static void token_server_that_refuses_two_scopes_costs_only_the_mount(void **state)
{
	static const int statuses[] = {400, 401, 403, 404, 500};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++) {
		const struct row story[] = {
			CHALLENGE,
			{MOUNT_TOKEN_URL, NULL, statuses[i], {NULL}, "no"},
			{PUSH_TOKEN_URL, NULL, 200, {NULL}, "{\"token\":\"t1\"}"},
			{POST, "Authorization: Bearer t1\n", 202, {SESSION}},
			{put_url, NULL, 201, {NULL}},
		};
		PLAY(mount_and_upload, NULL, story, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(presence_is_a_200_of_the_right_size),
		cmocka_unit_test(reader_gives_exactly_what_was_asked_for),
		cmocka_unit_test(wrong_range_is_dropped_and_the_whole_read),
		cmocka_unit_test(reader_tells_a_break),
		cmocka_unit_test(signed_url_that_is_refused_may_be_asked_for_again),
		cmocka_unit_test(last_byte_frees_the_connection),
		cmocka_unit_test(blob_goes_up_in_one_put),
		cmocka_unit_test(session_that_is_not_opened_is_told),
		cmocka_unit_test(unclear_end_is_settled_by_head),
		cmocka_unit_test(clear_refusal_is_final),
		cmocka_unit_test(reply_before_the_last_byte_is_the_error),
		cmocka_unit_test(empty_blob_goes_up),
		cmocka_unit_test(token_that_grew_old_during_a_put_is_replaced),
		cmocka_unit_test(canceled_upload_is_cut),
		cmocka_unit_test(mount_is_tried_and_never_fails_the_copy),
		cmocka_unit_test(mount_asks_for_both_scopes_with_push_first),
		cmocka_unit_test(token_server_that_refuses_two_scopes_costs_only_the_mount),
	};
	return cmocka_run_group_tests(tests, describe_blob, NULL);
}
