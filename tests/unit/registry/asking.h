/*
 * What the stories of test_auth.c and test_token_server.c share: one image, one realm, one user, and a HEAD.
 */
#ifndef DRAY_TESTS_UNIT_REGISTRY_ASKING_H
#define DRAY_TESTS_UNIT_REGISTRY_ASKING_H

#include "model.h"

#define REALM    "WWW-Authenticate: Bearer realm=\"https://r.test/token\",service=\"s\""
#define BASIC    "WWW-Authenticate: Basic realm=\"x\""
#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SAYS_A   "Docker-Content-Digest: " DIGEST_A
#define ACCEPT                                                                                                         \
	"Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "                \
	"application/vnd.docker.distribution.manifest.list.v2+json, "                                                  \
	"application/vnd.docker.distribution.manifest.v2+json, "                                                       \
	"application/vnd.docker.distribution.manifest.v1+prettyjws, "                                                  \
	"application/vnd.docker.distribution.manifest.v1+json, application/vnd.oci.artifact.manifest.v1+json\n"
#define TOKEN_URL "https://r.test/token?service=s&scope=repository%3Aa%2Fb%3Apull&client_id=dray"
#define HEAD_1    "HEAD https://r.test/v2/a/b/manifests/1"
#define GET_1     "GET https://r.test/v2/a/b/manifests/1"
#define PING      "GET https://r.test/v2/"

static struct credential user = {.username = "u", .password = "p"};
static const struct registry_options with_user = {.domain = "r.test", .credential = &user};

static inline struct error head(struct model *model)
{
	struct error err = {.kind = ERR_NONE};
	struct descriptor descriptor;
	if (registry_manifest_head(model->registry, "a/b", "1", &descriptor, &err)) {
		assert_string_equal(descriptor.digest.text, DIGEST_A);
		descriptor_release(&descriptor);
	}
	return err;
}

static inline void assert_head(struct model *model)
{
	struct error err = head(model);
	if (err.kind != ERR_NONE)
		fail_msg("%s", err.text);
}

static inline void assert_failure(struct model *model, enum error_kind kind, const char *says)
{
	struct error err = head(model);
	if (err.kind != kind || !strstr(err.text, says))
		fail_msg("%s: %s", error_kind_name(err.kind), err.text);
	assert_null(strstr(err.text, "hunter2"));
}

static inline void head_once(struct model *model)
{
	assert_head(model);
}

static inline void head_twice(struct model *model)
{
	assert_head(model);
	assert_head(model);
}

static inline void fail_with_wrong_password(struct model *model)
{
	assert_failure(model, ERR_UNAUTHORIZED, "401 Unauthorized");
}

#endif
