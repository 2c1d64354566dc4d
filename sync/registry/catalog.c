/*
 * The catalog: an optional list of a registry's repositories (TAG-14). Docker Hub and GHCR have none, most others show
 * it to administrators only.
 */
#include "sync/registry/listing.h"

#include "base/memory.h"
#include "oci/reference.h"

struct listing *registry_catalog(struct registry *registry)
{
	static const struct listing_kind repositories = {HTTP_CATALOG, "repositories", reference_is_repository};
	return listing_new(registry, &repositories, "", memory_format("%s/v2/_catalog", registry->base),
		memory_text("registry:catalog:*"));
}
