#include "oci/mediatype.h"

#include "base/memory.h"
#include "base/str.h"

#include <string.h>

#define DOCKER_INDEX         "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MANIFEST      "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_SCHEMA1       "application/vnd.docker.distribution.manifest.v1+json"
#define DOCKER_SCHEMA1_SIGNS "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define DOCKER_CONFIG        "application/vnd.docker.container.image.v1+json"
#define OCI_ARTIFACT         "application/vnd.oci.artifact.manifest.v1+json"
#define OCI_LAYER            "application/vnd.oci.image.layer.v1.tar"
#define OCI_FOREIGN_LAYER    "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER_LAYER         "application/vnd.docker.image.rootfs.diff.tar"
#define DOCKER_FOREIGN_LAYER "application/vnd.docker.image.rootfs.foreign.diff.tar"
#define ENCRYPTED            "+encrypted"

static const struct row {
	const char *type;
	enum media_kind kind;
	enum decoder decoder;
} rows[] = {
	{MEDIA_OCI_MANIFEST, MEDIA_MANIFEST, DECODER_IMPOSSIBLE},
	{MEDIA_OCI_INDEX, MEDIA_INDEX, DECODER_IMPOSSIBLE},
	{DOCKER_MANIFEST, MEDIA_MANIFEST, DECODER_IMPOSSIBLE},
	{DOCKER_INDEX, MEDIA_INDEX, DECODER_IMPOSSIBLE},
	{OCI_ARTIFACT, MEDIA_ARTIFACT, DECODER_IMPOSSIBLE},
	{DOCKER_SCHEMA1, MEDIA_SCHEMA1, DECODER_IMPOSSIBLE},
	{DOCKER_SCHEMA1_SIGNS, MEDIA_SCHEMA1, DECODER_IMPOSSIBLE},
	{MEDIA_OCI_CONFIG, MEDIA_CONFIG, DECODER_IMPOSSIBLE},
	{DOCKER_CONFIG, MEDIA_CONFIG, DECODER_IMPOSSIBLE},
	{OCI_LAYER, MEDIA_LAYER, DECODER_NONE},
	{OCI_LAYER "+gzip", MEDIA_LAYER, DECODER_GZIP},
	{OCI_LAYER "+zstd", MEDIA_LAYER, DECODER_ZSTD},
	{OCI_FOREIGN_LAYER, MEDIA_LAYER, DECODER_NONE},
	{OCI_FOREIGN_LAYER "+gzip", MEDIA_LAYER, DECODER_GZIP},
	{OCI_FOREIGN_LAYER "+zstd", MEDIA_LAYER, DECODER_ZSTD},
	{DOCKER_LAYER, MEDIA_LAYER, DECODER_NONE},
	{DOCKER_LAYER ".gzip", MEDIA_LAYER, DECODER_GZIP},
	{DOCKER_LAYER ".zstd", MEDIA_LAYER, DECODER_ZSTD},
	{DOCKER_FOREIGN_LAYER, MEDIA_LAYER, DECODER_NONE},
	{DOCKER_FOREIGN_LAYER ".gzip", MEDIA_LAYER, DECODER_GZIP},
};

/* The row of @type, whatever its case and parameters; *encrypted when it is a row's type with the suffix. */
static const struct row *find(const char *type, bool *encrypted)
{
	char name[128] = "";
	size_t length = 0;
	type += strspn(type, " \t");
	for (; type[length] && !strchr("; \t", type[length]); length++) {
		if (length + 1 == sizeof name)
			return NULL;
		name[length] = (char)(type[length] >= 'A' && type[length] <= 'Z' ? type[length] | 0x20 : type[length]);
	}
	*encrypted = str_ends_with(name, ENCRYPTED);
	if (*encrypted)
		name[length - (sizeof ENCRYPTED - 1)] = '\0';
	for (size_t i = 0; i < array_count(rows); i++)
		if (str_is(name, rows[i].type))
			return *encrypted && rows[i].kind != MEDIA_LAYER ? NULL : &rows[i];
	return NULL;
}

enum media_kind media_kind(const char *type)
{
	bool encrypted;
	const struct row *row = find(type ? type : "", &encrypted);
	return row ? row->kind : MEDIA_OTHER;
}

enum decoder media_decoder(const char *type)
{
	bool encrypted;
	const struct row *row = find(type ? type : "", &encrypted);
	return row && !encrypted ? row->decoder : DECODER_IMPOSSIBLE; /* LYR-7 */
}

bool media_is_nondistributable(const char *type)
{
	bool encrypted;
	const struct row *row = find(type ? type : "", &encrypted);
	return row &&
	       (str_starts_with(row->type, OCI_FOREIGN_LAYER) || str_starts_with(row->type, DOCKER_FOREIGN_LAYER));
}

const char *media_canonical(const char *type)
{
	bool encrypted;
	const struct row *row = find(type ? type : "", &encrypted);
	return row && !encrypted ? row->type : NULL;
}

const char *media_manifest_accept(void)
{
	/* No q values and no wildcard: registries count exact names only (MAN-1). */
	return MEDIA_OCI_INDEX ", " MEDIA_OCI_MANIFEST ", " DOCKER_INDEX ", " DOCKER_MANIFEST ", " DOCKER_SCHEMA1_SIGNS
			       ", " DOCKER_SCHEMA1 ", " OCI_ARTIFACT;
}
