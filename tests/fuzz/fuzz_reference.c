/* F1: what the parser of references takes, it prints so that it is the same again. */
#include "fuzz.h"

#include "oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = fuzz_text(data, size);
	struct reference one, two;
	struct error err;
	if (!reference_parse(text, &one, &err)) {
		must(err.kind == ERR_INVALID && err.text[0]);
		return 0;
	}
	auto_free char *printed = reference_format(&one);
	must(reference_is_domain(one.domain) && reference_is_repository(one.repository));
	must(!one.tag || reference_is_tag(one.tag));
	must(reference_parse(printed, &two, &err));
	must(str_is(one.domain, two.domain) && str_is(one.repository, two.repository));
	must(one.tag ? str_is(one.tag, two.tag) : !two.tag);
	must(digest_is_empty(&one.digest) ? digest_is_empty(&two.digest) : digest_equal(&one.digest, &two.digest));
	reference_release(&one);
	reference_release(&two);
	return 0;
}
