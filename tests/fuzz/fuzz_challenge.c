/*
 * F3: WWW-Authenticate. Whatever a server writes there, nothing of it breaks out of a request of ours, and the realm is
 * at the origin where libcurl would look for it. Lines of the input are header lines of one reply.
 */
#include "fuzz.h"

#include "second_url.h"
#include "sync/registry/challenge.h"
#include "sync/registry/scope.h"

static void no_control_bytes(const char *text)
{
	for (const char *p = text; p && *p; p++)
		must((unsigned char)*p >= 0x20 && *p != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = fuzz_text(data, size);
	struct challenge challenge = {.scheme = CHALLENGE_NONE};
	char *rest = text;
	/* Header lines come without control bytes from sync/http: so does this. */
	for (char *p = text; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f)
			*p = ' ';
	for (char *line; (line = fuzz_line(&rest));)
		challenge_read(&challenge, line);
	must(challenge.scheme != CHALLENGE_BEARER || challenge.realm);
	no_control_bytes(challenge.realm);
	no_control_bytes(challenge.service);
	no_control_bytes(challenge.scope);
	if (challenge.realm)
		second_url_agrees(challenge.realm);
	auto_scopes struct scopes scopes = {.count = 0};
	if (challenge.scope)
		scopes_add_list(&scopes, challenge.scope);
	must(scopes.count <= SCOPES_MAX);
	auto_free char *key = scopes_key(&scopes);
	must(scopes.count == 0 || *key);
	challenge_release(&challenge);
	return 0;
}
