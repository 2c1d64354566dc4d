#include "sync/registry/listing.h"

#include "base/memory.h"
#include "oci/reference.h"

struct listing *registry_tags(struct registry *registry, const char *repository)
{
	static const struct listing_kind tags = {HTTP_TAGS, "tags", reference_is_tag};
	return listing_new(registry, &tags, repository, registry_url(registry, repository, "tags", "list"),
		memory_format("repository:%s:%s", repository, SCOPE_PULL));
}
