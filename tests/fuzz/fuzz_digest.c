/* F2: the parser of digests accepts what the regular expressions of the specification accept, and nothing else. */
#include "fuzz.h"

#include "oci/digest.h"

#include <regex.h>

static bool matches(const char *pattern, const char *text)
{
	regex_t regex;
	must(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0);
	bool found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

static bool is_digest(const char *text)
{
	if (strlen(text) > DIGEST_TEXT_MAX || strchr(text, '\n'))
		return false;
	if (strncmp(text, "sha256:", 7) == 0)
		return matches("^sha256:[a-f0-9]{64}$", text);
	if (strncmp(text, "sha512:", 7) == 0)
		return matches("^sha512:[a-f0-9]{128}$", text);
	/* We bound the name of the algorithm; the specification does not. */
	return strcspn(text, ":") < 32 && matches("^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = fuzz_text(data, size);
	struct digest digest;
	struct error err;
	char name[32], brief[24];
	bool accepted = digest_parse(text, &digest, &err);
	must(accepted == is_digest(text));
	if (!accepted)
		return 0;
	must(str_is(digest.text, text));
	must(digest_is_verifiable(&digest) == (digest.algorithm != DIGEST_UNKNOWN));
	must(strlen(digest_algorithm_name(&digest, name)) < sizeof name);
	must(strlen(digest_short(&digest, brief)) < sizeof brief);
	must(strchr(text, ':') + 1 - text == digest_encoded(&digest) - digest.text);
	return 0;
}
