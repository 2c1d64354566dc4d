/*
 * F6: bodies of token servers and of refusals, and what credential helpers print. What comes of them is within its caps
 * and its grammar, and one line of printable text. The first byte says which.
 */
#include "fuzz.h"

#include "base/limits.h"
#include "sync/registry/errors.h"
#include "sync/registry/helper.h"
#include "sync/registry/token.h"

static void one_line(const struct error *err)
{
	must(err->kind != ERR_NONE && err->text[0]);
	for (const char *p = err->text; *p; p++)
		must((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void token(const char *bytes, size_t size)
{
	struct token_reply reply = {0};
	struct error err;
	if (!token_reply_parse(bytes, size, 1700000000, &reply, &err)) {
		one_line(&err);
		return;
	}
	must(reply.token[0] && strlen(reply.token) <= LIMIT_TOKEN_BYTES && reply.life_s >= TOKEN_LIFE_LEAST_S);
	for (const char *p = reply.token; *p; p++)
		must(*p > 0x20 && *p < 0x7f && *p != '"' && *p != ',' && *p != ';');
	token_reply_release(&reply);
}

static void refusal(const char *bytes, size_t size)
{
	static const int statuses[] = {400, 401, 403, 404, 405, 429, 500, 503, 599};
	for (size_t i = 0; i < array_count(statuses); i++) {
		struct error err = {.kind = ERR_NONE};
		must(!reply_error(&err, "GET https://r.test/v2/", statuses[i], bytes, size));
		one_line(&err);
		must(err.http_status == statuses[i] && strstr(err.text, "GET https://r.test/v2/"));
	}
}

static void helper(int exit_status, const char *bytes, size_t size)
{
	struct credential credential = {0};
	struct error err;
	if (!helper_read(exit_status, bytes, size, &credential, &err)) {
		one_line(&err);
		return;
	}
	must(credential_is_anonymous(&credential) || credential.username || credential.identity_token);
	credential_release(&credential);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	const char *bytes = (const char *)data + 1;
	switch (data[0]) {
	case 'T':
		token(bytes, size - 1);
		break;
	case 'E':
		refusal(bytes, size - 1);
		break;
	case 'H':
		helper(0, bytes, size - 1);
		break;
	default:
		helper(1, bytes, size - 1);
		break;
	}
	return 0;
}
