/* covers: MAN-2, MAN-4, MAN-5, MAN-8, MAN-9, MAN-10, MAN-11, MAN-13, MAN-14, MAN-19, MAN-21, MAN-24, ERR-2, ERR-13,
 * T-28, T-50 */
#include "model.h"

#include "base/limits.h"

#define BODY       "{\"schemaVersion\":2}"
#define OTHER_BODY "{\"schemaVersion\":1}"
#define TYPE       "application/vnd.oci.image.manifest.v1+json"
#define OTHER      "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA512_OF_NOTHING                                                                                              \
	"Docker-Content-Digest: sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"               \
	"47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"
#define PING_ROW                                                                                                       \
	{                                                                                                              \
		"GET https://r.test/v2/", "", 200,                                                                     \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}
#define HEAD_1 "HEAD https://r.test/v2/a/b/manifests/1"
#define GET_1  "GET https://r.test/v2/a/b/manifests/1"
#define PUT_1  "PUT https://r.test/v2/a/b/manifests/1"

static struct digest digest;
static char says[256]; /* the header that tells it */

static int compute_digest(void **state)
{
	(void)state;
	digest = digest_of(DIGEST_SHA256, BODY, strlen(BODY));
	snprintf(says, sizeof says, "Docker-Content-Digest: %s", digest.text);
	return 0;
}

/* What is expected of one call. */
struct want {
	enum error_kind kind;
	const char *digest; /* "": none */
	int64_t size;
	const char *type, *error;
};

static void check(const struct want *want, bool ok, struct descriptor *got, const struct error *err)
{
	if (ok != (want->kind == ERR_NONE) || (!ok && err->kind != want->kind))
		fail_msg("%s: %s", error_kind_name(err->kind), err->text);
	if (!ok) {
		if (want->error && !strstr(err->text, want->error))
			fail_msg("%s", err->text);
		return;
	}
	assert_string_equal(got->digest.text, want->digest);
	assert_int_equal(got->size, want->size);
	assert_string_equal(got->media_type, want->type);
	descriptor_release(got);
}

static void head(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	struct descriptor got;
	bool ok = registry_manifest_head(model->registry, "a/b", "1", &got, &err);
	check(model->data, ok, &got, &err);
}

static void resolve(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	struct descriptor got;
	bool ok = registry_manifest_resolve(model->registry, "a/b", "1", &got, NULL, &err);
	check(model->data, ok, &got, &err);
}

#define HEAD_STORY(want, ...)                                                                                          \
	do {                                                                                                           \
		const struct row story[] = {PING_ROW, __VA_ARGS__};                                                    \
		PLAY(head, NULL, story, want);                                                                         \
	} while (0)
#define WANT(...) (&(struct want){__VA_ARGS__})

static void head_tells_digest_size_and_type(void **state)
{
	(void)state;
	HEAD_STORY(WANT(ERR_NONE, digest.text, 18, TYPE),
		{HEAD_1, NULL, 200,
			{says, "Content-Length: 18",
				"Content-Type: Application/vnd.oci.image.manifest.v1+JSON ; x=y"}});
	HEAD_STORY(WANT(ERR_NONE, digest.text, -1, ""), {HEAD_1, NULL, 200, {says}});
}

static void head_without_a_usable_digest_tells_none(void **state)
{
	static const char *const headers[] = {"X: y", "Docker-Content-Digest: sha256:12",
		"Docker-Content-Digest: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"Docker-Content-Digest: blake3:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	(void)state;
	for (size_t i = 0; i < array_count(headers); i++)
		HEAD_STORY(WANT(ERR_NONE, "", 18, TYPE),
			{HEAD_1, NULL, 200, {headers[i], "Content-Length: 18", "Content-Type: " TYPE}});
}

static void missing_manifest_is_not_found(void **state)
{
	(void)state;
	HEAD_STORY(WANT(ERR_NOT_FOUND, .error = "HEAD https://r.test/v2/a/b/manifests/1: 404 Not Found"),
		{HEAD_1, NULL, 404, {NULL}});
}

static void server_that_does_no_head_is_asked_by_get(void **state)
{
	static const int statuses[] = {400, 405, 501, 403};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++)
		HEAD_STORY(WANT(ERR_NONE, digest.text, 19, TYPE), {HEAD_1, NULL, statuses[i], {NULL}},
			{GET_1, NULL, 200, {"Content-Type: " TYPE}, BODY});
}

static void reason_of_a_refused_head_comes_from_a_get(void **state)
{
	(void)state;
	HEAD_STORY(WANT(ERR_DENIED, .error = "403 Forbidden: DENIED: quota"), {HEAD_1, NULL, 403, {NULL}},
		{GET_1, NULL, 403, {NULL}, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"quota\"}]}"});
}

static void digest_is_of_the_bytes_that_came(void **state)
{
	struct want good = {ERR_NONE, digest.text, 19, TYPE, NULL};
	struct want bad = {.kind = ERR_CORRUPT, .error = "Docker-Content-Digest"};
	struct want html = {.kind = ERR_PROTOCOL, .error = "text/html"};
	const struct row plain[] = {PING_ROW, {GET_1, NULL, 200, {"Content-Type: " TYPE}, BODY}};
	const struct row told[] = {PING_ROW, {GET_1, NULL, 200, {"Content-Type: " TYPE, says}, BODY}};
	const struct row lied[] = {PING_ROW, {GET_1, NULL, 200, {"Docker-Content-Digest: " OTHER}, BODY}};
	const struct row broken[] = {
		PING_ROW, {GET_1, NULL, 200, {"Content-Type: " TYPE, "Docker-Content-Digest: 12"}, BODY}};
	const struct row page[] = {PING_ROW, {GET_1, NULL, 200, {"Content-Type: text/html; charset=x"}, "<html>"}};
	(void)state;
	PLAY(resolve, NULL, plain, &good);
	PLAY(resolve, NULL, told, &good);
	PLAY(resolve, NULL, broken, &good);
	PLAY(resolve, NULL, lied, &bad);
	PLAY(resolve, NULL, page, &html);
}

/* --- by digest ------------------------------------------------------------------------------------------------------
 */

static void get_by_digest(struct model *model)
{
	const struct want *want = model->data;
	struct error err = {.kind = ERR_NONE};
	struct descriptor wanted = {.digest = digest, .size = want->size};
	auto_buf struct buf bytes;
	auto_free char *type = NULL;
	buf_init(&bytes, 100);
	bool ok = registry_manifest_get(model->registry, "a/b", &wanted, &bytes, &type, &err);
	if (ok != (want->kind == ERR_NONE) || err.kind != want->kind)
		fail_msg("%s: %s", error_kind_name(err.kind), err.text);
	if (ok) {
		assert_string_equal(buf_peek(&bytes), BODY);
		assert_string_equal(type, TYPE);
	}
}

static void pinned_manifest_is_that_or_nothing(void **state)
{
	auto_free char *url = memory_format("GET https://r.test/v2/a/b/manifests/%s", digest.text);
	char large[200];
	(void)state;
	memset(large, ' ', sizeof large);
	large[sizeof large - 1] = '\0';
	const struct {
		struct want want;
		const char *body, *header;
		int status;
	} rows[] = {
		{{.kind = ERR_NONE, .size = 19}, BODY, says, 200},
		{{.kind = ERR_NONE, .size = -1}, BODY, says, 200},
		{{.kind = ERR_NONE, .size = 19}, BODY, "Docker-Content-Digest: " OTHER, 200},
		{{.kind = ERR_NONE, .size = 19}, BODY, SHA512_OF_NOTHING, 200}, /* MAN-10 */
		{{.kind = ERR_CORRUPT, .size = 20}, BODY, says, 200},
		{{.kind = ERR_CORRUPT, .size = 19}, OTHER_BODY, says, 200},
		{{.kind = ERR_CORRUPT, .size = -1}, OTHER_BODY, says, 200},
		{{.kind = ERR_TOO_LARGE, .size = -1}, large, says, 200},
		{{.kind = ERR_NOT_FOUND, .size = -1}, "", says, 404},
		{{.kind = ERR_DENIED, .size = -1}, "", says, 403},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		const struct row story[] = {
			PING_ROW,
			{url, NULL, rows[i].status, {rows[i].header, "Content-Type: " TYPE}, rows[i].body},
		};
		struct want want = rows[i].want;
		PLAY(get_by_digest, NULL, story, &want);
	}
}

/* --- putting --------------------------------------------------------------------------------------------------------
 */

static void put(struct model *model)
{
	const struct want *want = model->data;
	struct error err = {.kind = ERR_NONE};
	bool ok = registry_manifest_put(model->registry, "a/b", "1", TYPE, BODY, strlen(BODY), &digest, &err);
	if (ok != (want->kind == ERR_NONE) || err.kind != want->kind)
		fail_msg("%s: %s", error_kind_name(err.kind), err.text);
	if (want->error && !strstr(err.text, want->error))
		fail_msg("%s", err.text);
}

#define PUT_STORY(want, ...)                                                                                           \
	do {                                                                                                           \
		const struct row story[] = {PING_ROW, __VA_ARGS__};                                                    \
		PLAY(put, NULL, story, want);                                                                          \
	} while (0)

static void manifest_is_put_byte_for_byte(void **state)
{
	static const int statuses[] = {201, 200, 202, 204};
	(void)state;
	for (size_t i = 0; i < array_count(statuses); i++)
		PUT_STORY(WANT(ERR_NONE),
			{PUT_1, "Content-Type: " TYPE "\n", statuses[i], {says}, NULL, FAULT_NONE, BODY});
}

static void put_is_tried_again(void **state)
{
	(void)state;
	PUT_STORY(WANT(ERR_NONE), {PUT_1, NULL, 0, {NULL}, NULL, FAULT_NO_REPLY, BODY},
		{PUT_1, NULL, 500, {NULL}, NULL, FAULT_NONE, BODY}, {PUT_1, NULL, 201, {says}, NULL, FAULT_NONE, BODY});
}

static void manifest_that_the_registry_altered_is_told(void **state)
{
	(void)state;
	PUT_STORY(WANT(ERR_PROTOCOL, .error = "altered"), {PUT_1, NULL, 201, {"Docker-Content-Digest: " OTHER}});
}

static void put_without_a_digest_in_the_reply_is_confirmed(void **state)
{
	(void)state;
	PUT_STORY(WANT(ERR_NONE), {PUT_1, NULL, 201, {NULL}}, {HEAD_1, NULL, 200, {says}});
	PUT_STORY(WANT(ERR_PROTOCOL, .error = "altered"), {PUT_1, NULL, 201, {NULL}},
		{HEAD_1, NULL, 200, {"Docker-Content-Digest: " OTHER}});
	PUT_STORY(WANT(ERR_NONE), {PUT_1, NULL, 201, {NULL}}, {HEAD_1, NULL, 200, {NULL}},
		{GET_1, NULL, 200, {NULL}, BODY});
	PUT_STORY(WANT(ERR_PROTOCOL, .error = "altered"), {PUT_1, NULL, 201, {NULL}}, {HEAD_1, NULL, 200, {NULL}},
		{GET_1, NULL, 200, {NULL}, OTHER_BODY});
	PUT_STORY(WANT(ERR_NONE), {PUT_1, NULL, 201, {NULL}}, {HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 200, {says}});
	PUT_STORY(WANT(ERR_UNAVAILABLE, .error = "not to be seen yet"), {PUT_1, NULL, 201, {NULL}},
		{HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 404, {NULL}},
		{HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 404, {NULL}},
		{HEAD_1, NULL, 404, {NULL}}, {HEAD_1, NULL, 404, {NULL}});
}

static void refused_put_is_a_refusal_whatever_its_status(void **state)
{
	static const struct {
		int status;
		enum error_kind kind;
	} rows[] = {{400, ERR_DENIED}, {403, ERR_DENIED}, {404, ERR_DENIED}, {413, ERR_DENIED}, {415, ERR_DENIED},
		{405, ERR_UNSUPPORTED}};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++)
		PUT_STORY(WANT(rows[i].kind, .error = "PUT https://r.test/v2/a/b/manifests/1: 4"),
			{PUT_1, NULL, rows[i].status, {NULL}});
}

/* MAN-24: it may refuse what it points to already; what it points to else is told, and nothing more is sent. */
static void refusal_of_an_immutable_tag_is_settled_by_asking(void **state)
{
	static const struct {
		int status;
		const char *words;
	} rows[] = {
		{400, "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"cannot be overwritten because the tag is "
		      "immutable.\"}]}"},
		{403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"TAG_ALREADY_EXISTS\"}]}"},
		{409, ""},
		{412, "{\"errors\":[{\"code\":\"PRECONDITION\",\"message\":\"configured as immutable\"}]}"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		PUT_STORY(WANT(ERR_NONE), {PUT_1, NULL, rows[i].status, {NULL}, rows[i].words},
			{HEAD_1, NULL, 200, {says}});
		PUT_STORY(WANT(ERR_DENIED,
				  .error = "the tag 1 is immutable, and stays at " OTHER ": PUT https://r.test/"),
			{PUT_1, NULL, rows[i].status, {NULL}, rows[i].words},
			{HEAD_1, NULL, 200, {"Docker-Content-Digest: " OTHER}});
		PUT_STORY(WANT(ERR_DENIED, .error = "PUT https://r.test/v2/a/b/manifests/1: 4"),
			{PUT_1, NULL, rows[i].status, {NULL}, rows[i].words}, {HEAD_1, NULL, 404, {NULL}});
	}
}

/* --- proxy caches --------------------------------------------------------------------------------------------------
 */

static void get_by_digest_of_a_tag(struct model *model)
{
	const struct want *want = model->data;
	struct error err = {.kind = ERR_NONE};
	struct descriptor wanted = {.digest = digest, .size = -1, .reference_name = (char *)(uintptr_t)want->type};
	auto_buf struct buf bytes;
	auto_free char *type = NULL;
	buf_init(&bytes, 100);
	bool ok = registry_manifest_get(model->registry, "a/b", &wanted, &bytes, &type, &err);
	if (ok != (want->kind == ERR_NONE) || err.kind != want->kind)
		fail_msg("%s: %s", error_kind_name(err.kind), err.text);
}

/* MAN-13, T-81: by its tag it is found where by its digest it is not; if that gives another, it is gone. */
static void index_that_is_known_by_its_tag_alone_is_found(void **state)
{
	auto_free char *url = memory_format("GET https://r.test/v2/a/b/manifests/%s", digest.text);
	const struct row same[] = {PING_ROW, {url, NULL, 404, {NULL}}, {GET_1, NULL, 200, {NULL}, BODY}};
	const struct row other[] = {PING_ROW, {url, NULL, 404, {NULL}}, {GET_1, NULL, 200, {NULL}, OTHER_BODY}};
	const struct row lied_of[] = {PING_ROW, {url, NULL, 404, {NULL}}, {GET_1, NULL, 200, {says}, OTHER_BODY}};
	const struct row absent[] = {PING_ROW, {url, NULL, 404, {NULL}}, {GET_1, NULL, 404, {NULL}}};
	const struct row refused[] = {PING_ROW, {url, NULL, 403, {NULL}}};
	const struct row pinned[] = {PING_ROW, {url, NULL, 404, {NULL}}};
	(void)state;
	PLAY(get_by_digest_of_a_tag, NULL, same, WANT(ERR_NONE, .type = "1"));
	PLAY(get_by_digest_of_a_tag, NULL, other, WANT(ERR_NOT_FOUND, .type = "1"));
	PLAY(get_by_digest_of_a_tag, NULL, lied_of, WANT(ERR_CORRUPT, .type = "1"));
	PLAY(get_by_digest_of_a_tag, NULL, absent, WANT(ERR_NOT_FOUND, .type = "1"));
	PLAY(get_by_digest_of_a_tag, NULL, refused, WANT(ERR_DENIED, .type = "1"));
	PLAY(get_by_digest_of_a_tag, NULL, pinned, WANT(ERR_NOT_FOUND));
	PLAY(get_by_digest_of_a_tag, NULL, pinned, WANT(ERR_NOT_FOUND, .type = "docker.io/a/b:1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head_tells_digest_size_and_type),
		cmocka_unit_test(head_without_a_usable_digest_tells_none),
		cmocka_unit_test(missing_manifest_is_not_found),
		cmocka_unit_test(server_that_does_no_head_is_asked_by_get),
		cmocka_unit_test(reason_of_a_refused_head_comes_from_a_get),
		cmocka_unit_test(digest_is_of_the_bytes_that_came),
		cmocka_unit_test(pinned_manifest_is_that_or_nothing),
		cmocka_unit_test(manifest_is_put_byte_for_byte),
		cmocka_unit_test(put_is_tried_again),
		cmocka_unit_test(manifest_that_the_registry_altered_is_told),
		cmocka_unit_test(put_without_a_digest_in_the_reply_is_confirmed),
		cmocka_unit_test(refused_put_is_a_refusal_whatever_its_status),
		cmocka_unit_test(refusal_of_an_immutable_tag_is_settled_by_asking),
		cmocka_unit_test(index_that_is_known_by_its_tag_alone_is_found),
	};
	return cmocka_run_group_tests(tests, compute_digest, NULL);
}
