#include "sync/registry/internal.h"

#include "base/limits.h"
#include "base/memory.h"
#include "oci/reference.h"
#include "scheduler/loop.h"
#include "sync/registry/authfile.h"

enum { BLOB_SLOTS = 8, METADATA_SLOTS = 16 };

static struct credential *copy_or_null(const struct credential *credential)
{
	if (!credential || credential_is_anonymous(credential))
		return NULL;
	struct credential *copy = memory_new(1, sizeof *copy);
	credential_copy(copy, credential);
	return copy;
}

static char **copy_places(char *const *places, size_t count)
{
	char **copy = memory_new(count + 1, sizeof *copy);
	for (size_t i = 0; i < count; i++)
		copy[i] = memory_text(places[i]);
	return copy;
}

static void free_places(char **places)
{
	for (size_t i = 0; places[i]; i++)
		free(places[i]);
	free(places);
}

struct registry *registry_new(struct http *http, const struct registry_options *options)
{
	struct registry *registry = memory_new(1, sizeof *registry);
	registry->http = http;
	registry->domain = memory_text(options->domain);
	registry->base =
		memory_format("%s://%s", options->plain_http ? "http" : "https", reference_host(options->domain));
	registry->tls = (struct http_tls){
		.ca_file = memory_text(options->tls.ca_file),
		.client_certificate_file = memory_text(options->tls.client_certificate_file),
		.client_key_file = memory_text(options->tls.client_key_file),
		.insecure = options->tls.insecure,
	};
	registry->configured = copy_or_null(options->credential);
	registry->credentials = options->credentials;
	registry->realms = copy_places(options->realms, options->realm_count);
	registry->realm_count = options->realm_count;
	registry->upload_hosts = copy_places(options->upload_hosts, options->upload_host_count);
	registry->upload_host_count = options->upload_host_count;
	registry->blob_places = options->blob_slots ? options->blob_slots : BLOB_SLOTS;
	registry->manifest_bytes_most =
		options->manifest_bytes_most ? options->manifest_bytes_most : LIMIT_MANIFEST_BYTES;
	gate_init(&registry->blobs, registry->blob_places);
	gate_init(&registry->metadata, options->metadata_slots ? options->metadata_slots : METADATA_SLOTS);
	pace_init(&registry->pace, registry->metadata.limit);
	waitqueue_init(&registry->pacing);
	waitqueue_init(&registry->planning);
	registry->pauses = options->pauses;
	gate_init(&registry->referrers.probe, 1);
	token_cache_init(&registry->tokens);
	return registry;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	token_cache_release(&registry->tokens);
	notices_release(&registry->notices);
	refusals_release(&registry->refusals);
	challenge_release(&registry->challenge);
	scopes_release(&registry->wanted_scopes);
	if (registry->configured)
		credential_release(registry->configured);
	free(registry->configured);
	free_places(registry->realms);
	free_places(registry->upload_hosts);
	free((char *)registry->tls.ca_file);
	free((char *)registry->tls.client_certificate_file);
	free((char *)registry->tls.client_key_file);
	free(registry->base);
	free(registry->domain);
	free(registry);
}

const char *registry_domain(const struct registry *registry)
{
	return registry->domain;
}

struct gate *registry_blob_gate(struct registry *registry)
{
	return &registry->blobs;
}

struct pace *registry_pace(struct registry *registry)
{
	return &registry->pace;
}

int64_t registry_pause_ends_ms(const struct registry *registry)
{
	return pace_pause_ends_ms(&registry->pace, loop_now_ms());
}

const struct notices *registry_notices(const struct registry *registry)
{
	return &registry->notices;
}

char *registry_url(const struct registry *registry, const char *repository, const char *what, const char *name)
{
	return memory_format("%s/v2/%s/%s/%s", registry->base, repository, what, name);
}
