/* covers: DEL-1, DEL-2, DEL-3, DEL-4, DEL-5, DEL-6, DEL-7, TOK-4 */
#include "model.h"

#define EMPTY    "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" /* {} */
#define DIGEST   "Docker-Content-Digest: " EMPTY
#define MANIFEST "https://r.test/v2/a/b/manifests/"
#define PING                                                                                                           \
	{                                                                                                              \
		"GET https://r.test/v2/", NULL, 200,                                                                   \
		{                                                                                                      \
			NULL                                                                                           \
		}                                                                                                      \
	}

static void delete_tag(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	bool ok = registry_tag_delete(model->registry, "a/b", "1", &err);
	const char *kind = error_kind_name(err.kind);
	if (ok != (err.kind == ERR_NONE) || !str_is(ok ? "done" : kind, model->data))
		fail_msg("%s, and not %s: %s", kind, (char *)model->data, err.text);
	if (err.kind == ERR_UNSUPPORTED)
		assert_true(str_starts_with(err.text, "this registry does not delete tags (DELETE "));
}

static void delete_digest(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	struct digest digest;
	assert_true(digest_parse(EMPTY, &digest, &err));
	bool ok = registry_manifest_delete(model->registry, "a/b", &digest, &err);
	const char *kind = error_kind_name(err.kind);
	if (!str_is(ok ? "done" : kind, model->data))
		fail_msg("%s, and not %s: %s", kind, (char *)model->data, err.text);
}

/* What registries say to the DELETE of a tag, and of a digest: DEL-4. Never is the one done by the other. */
static void registries_say_what_they_do_not_delete(void **state)
{
	static const struct {
		const char *who;
		int status;
		const char *code;
		char *tag, *digest;
	} rows[] = {
		{"registry:3, zot, Quay, Gitea", 202, "", "done", "done"},
		{"others", 200, "", "done", "done"},
		{"others", 204, "", "done", "done"},
		{"registry:2.8", 400, "DIGEST_INVALID", "unsupported", "denied"},
		{"Docker Hub, GHCR, a registry with deletion off", 405, "UNSUPPORTED", "unsupported", "unsupported"},
		{"Harbor", 400, "UNSUPPORTED", "unsupported", "unsupported"},
		{"GAR", 400, "GOOGLE_MANIFEST_DANGLING_TAG", "unsupported", "denied"},
		{"others", 501, "", "unsupported", "unsupported"},
		{"no permission", 403, "DENIED", "denied", "denied"},
		{"Quay, read only", 405, "DENIED", "denied", "denied"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(rows); i++) {
		auto_free char *body = memory_format("{\"errors\":[{\"code\":\"%s\"}]}", rows[i].code);
		const struct row tag[] = {PING, {"DELETE " MANIFEST "1", NULL, rows[i].status, {NULL}, body}};
		PLAY(delete_tag, NULL, tag, rows[i].tag);
		const struct row digest[] = {PING, {"GET " MANIFEST EMPTY, NULL, 200, {DIGEST}, "{}"},
			{"DELETE " MANIFEST EMPTY, NULL, rows[i].status, {NULL}, body}};
		PLAY(delete_digest, NULL, digest, rows[i].digest);
	}
}

/* A 404 may come from one that deletes nothing (ECR), or to a DELETE whose first reply was lost. */
static void not_found_is_settled_by_asking(void **state)
{
	static const struct row there[] = {
		PING,
		{"DELETE " MANIFEST "1", NULL, 404, {NULL}},
		{"HEAD " MANIFEST "1", NULL, 200, {DIGEST}},
	};
	static const struct row gone[] = {
		PING,
		{"DELETE " MANIFEST "1", NULL, 0, {NULL}, NULL, FAULT_NO_REPLY},
		{"DELETE " MANIFEST "1", NULL, 404, {NULL}},
		{"HEAD " MANIFEST "1", NULL, 404, {NULL}},
	};
	(void)state;
	PLAY(delete_tag, NULL, there, "unsupported");
	PLAY(delete_tag, NULL, gone, "done");
}

static void manifest_that_is_not_there_is_not_deleted(void **state)
{
	static const struct row rows[] = {PING, {"GET " MANIFEST EMPTY, NULL, 404, {NULL}}};
	(void)state;
	PLAY(delete_digest, NULL, rows, "not_found");
}

#define CHALLENGE "WWW-Authenticate: Bearer realm=\"https://r.test/token\",service=\"s\""
#define CLOSED                                                                                                         \
	{                                                                                                              \
		"GET https://r.test/v2/", NULL, 401,                                                                   \
		{                                                                                                      \
			CHALLENGE                                                                                      \
		}                                                                                                      \
	}

static void action_delete_is_asked_for_and_push_where_it_is_unknown(void **state)
{
	static const struct row plain[] = {
		CLOSED,
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush%2Cdelete&client_id=dray",
			NULL, 200, {NULL}, "{\"token\":\"T\"}"},
		{"DELETE " MANIFEST "1", NULL, 202, {NULL}},
	};
	static const struct row quay[] = {
		CLOSED,
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush%2Cdelete&client_id=dray",
			NULL, 400, {NULL}, "{\"errors\":[{\"code\":\"INVALID_REQUEST\"}]}"},
		{"GET https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull%2Cpush&client_id=dray", NULL, 200,
			{NULL}, "{\"token\":\"T\"}"},
		{"DELETE " MANIFEST "1", NULL, 202, {NULL}},
	};
	(void)state;
	PLAY(delete_tag, NULL, plain, "done");
	PLAY(delete_tag, NULL, quay, "done");
}

/* --- a manifest with a subject ------------------------------------------------------------------------------------ */

#define HEX      "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define FALLBACK "sha256-" HEX
#define OTHER    "{\"digest\":\"sha256:" HEX "\",\"size\":2,\"a\":1}"
#define INDEX    "Content-Type: application/vnd.oci.image.index.v1+json"

struct signature {
	char text[300];
	struct digest digest;
};

static void delete_signature(struct model *model)
{
	const struct signature *signature = model->data;
	struct error err = {.kind = ERR_NONE};
	if (!registry_manifest_delete(model->registry, "a/b", &signature->digest, &err))
		fail_msg("%s", err.text);
}

static void what_had_a_subject_leaves_the_list_of_its_referrers(void **state)
{
	struct signature signature;
	(void)state;
	snprintf(signature.text, sizeof signature.text,
		"{\"schemaVersion\":2,\"subject\":{\"mediaType\":\"x\",\"size\":2,\"digest\":\"" EMPTY "\"}}");
	signature.digest = digest_of(DIGEST_SHA256, signature.text, strlen(signature.text));
	auto_free char *get = memory_format("GET " MANIFEST "%s", signature.digest.text);
	auto_free char *delete = memory_format("DELETE " MANIFEST "%s", signature.digest.text);
	auto_free char *list = memory_format("{\"schemaVersion\":2,\"manifests\":[" OTHER ","
					     "{\"digest\":\"%s\",\"size\":1}]}",
		signature.digest.text);
	const struct row without_api[] = {
		PING,
		{get, NULL, 200, {"Content-Type: x"}, signature.text},
		{"GET https://r.test/v2/a/b/referrers/" EMPTY, NULL, 404, {NULL}},
		{delete, NULL, 202, {NULL}},
		{"GET " MANIFEST FALLBACK, NULL, 200, {INDEX}, list},
		{"PUT " MANIFEST FALLBACK, NULL, 201, {NULL}, NULL, FAULT_NONE,
			"{\"schemaVersion\":2,\"manifests\":[" OTHER "]}"},
	};
	const struct row with_api[] = {
		PING,
		{get, NULL, 200, {"Content-Type: x"}, signature.text},
		{"GET https://r.test/v2/a/b/referrers/" EMPTY, NULL, 200, {INDEX},
			"{\"schemaVersion\":2,\"manifests\":[]}"},
		{delete, NULL, 202, {NULL}},
	};
	const struct row nobody_has_a_list[] = {
		PING,
		{get, NULL, 200, {"Content-Type: x"}, signature.text},
		{"GET https://r.test/v2/a/b/referrers/" EMPTY, NULL, 200, {"Content-Type: text/html"}, "<html>"},
		{delete, NULL, 202, {NULL}},
		{"GET " MANIFEST FALLBACK, NULL, 404, {NULL}},
	};
	const struct row not_in_the_list[] = {
		PING,
		{get, NULL, 200, {"Content-Type: x"}, signature.text},
		{"GET https://r.test/v2/a/b/referrers/" EMPTY, NULL, 404, {NULL}},
		{delete, NULL, 202, {NULL}},
		{"GET " MANIFEST FALLBACK, NULL, 200, {INDEX}, "{\"schemaVersion\":2,\"manifests\":[]}"},
	};
	struct row told[array_count(without_api)];
	memcpy(told, without_api, sizeof told);
	struct digest shorter = digest_of(DIGEST_SHA256, told[5].sent, strlen(told[5].sent));
	auto_free char *digest_header = memory_format("Docker-Content-Digest: %s", shorter.text);
	told[5].reply_headers[0] = digest_header;
	PLAY(delete_signature, NULL, told, &signature);
	PLAY(delete_signature, NULL, with_api, &signature);
	PLAY(delete_signature, NULL, nobody_has_a_list, &signature);
	PLAY(delete_signature, NULL, not_in_the_list, &signature);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registries_say_what_they_do_not_delete),
		cmocka_unit_test(not_found_is_settled_by_asking),
		cmocka_unit_test(manifest_that_is_not_there_is_not_deleted),
		cmocka_unit_test(action_delete_is_asked_for_and_push_where_it_is_unknown),
		cmocka_unit_test(what_had_a_subject_leaves_the_list_of_its_referrers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
