/*
 * F7: pages of tags. Whatever the pages are, the listing ends, gives nothing but tags, and is taken for a whole one
 * only if its last page said that there is no other.
 */
#include "fuzz.h"

#include "oci/reference.h"
#include "served.h"
#include "sync/registry/links.h"

static bool names_a_next_page(const char *link)
{
	auto_free char *next = link ? links_next(link) : NULL;
	return next != NULL;
}

static void tags(struct served *served)
{
	struct listing *pages = registry_tags(served->registry, "a/b");
	struct error err = {.kind = ERR_NONE};
	char **page;
	size_t count = 1;
	while (count > 0 && listing_next(pages, &page, &count, &err))
		for (size_t i = 0; i < count; i++)
			must(reference_is_tag(page[i]));
	if (err.kind == ERR_NONE)
		must(served->last_status == 200 && !names_a_next_page(served->last_link));
	else
		must(err.text[0]);
	listing_free(pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_free char *text = fuzz_text(data, size);
	serve(text, tags);
	return 0;
}
