#include "oci/digest.h"

#include "base/limits.h"
#include "base/memory.h"
#include "base/str.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

static const struct {
	enum digest_algorithm algorithm;
	const char *name;
	size_t encoded_length; /* lower-case hex */
	const EVP_MD *(*function)(void);
} known[] = {
	{DIGEST_SHA256, "sha256", 64, EVP_sha256},
	{DIGEST_SHA512, "sha512", 128, EVP_sha512},
};

#define LOWER    "abcdefghijklmnopqrstuvwxyz"
#define UPPER    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DECIMALS "0123456789"

/* [a-z0-9]+([+._-][a-z0-9]+)*, up to the colon: there is no way to write ".." or "/" in it. */
static size_t algorithm_length(const char *text)
{
	size_t length = strspn(text, LOWER DECIMALS);
	if (length == 0)
		return 0;
	while (text[length] && strchr("+._-", text[length])) {
		size_t more = strspn(text + length + 1, LOWER DECIMALS);
		if (more == 0)
			return 0;
		length += 1 + more;
	}
	return length;
}

/* What is wrong with @text, or NULL and its algorithm. */
static const char *classify(const char *text, enum digest_algorithm *algorithm)
{
	size_t name_length = algorithm_length(text);
	if (name_length == 0 || name_length >= 32 || text[name_length] != ':')
		return "no algorithm in front of a colon";
	const char *encoded = text + name_length + 1;
	size_t length = strspn(encoded, LOWER UPPER DECIMALS "=_-");
	if (length == 0 || encoded[length] != '\0')
		return "not algorithm:encoded";
	if (name_length + 1 + length > DIGEST_TEXT_MAX)
		return "too long";
	*algorithm = DIGEST_UNKNOWN;
	for (size_t i = 0; i < array_count(known); i++) {
		if (strlen(known[i].name) != name_length || memcmp(known[i].name, text, name_length) != 0)
			continue;
		if (length != known[i].encoded_length || strspn(encoded, DECIMALS "abcdef") != length)
			return "not lower-case hex of the right length";
		*algorithm = known[i].algorithm;
	}
	return NULL;
}

bool digest_parse(const char *text, struct digest *digest, struct error *err)
{
	struct digest fresh = {0};
	const char *wrong = classify(text, &fresh.algorithm);
	if (wrong) {
		char shown[96];
		str_sanitize(text, strlen(text), shown, sizeof shown);
		return error_set(err, ERR_INVALID, "digest \"%s\": %s", shown, wrong);
	}
	memcpy(fresh.text, text, strlen(text));
	*digest = fresh;
	return true;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return strcmp(a->text, b->text) == 0;
}

bool digest_is_verifiable(const struct digest *digest)
{
	return digest->algorithm == DIGEST_SHA256 || digest->algorithm == DIGEST_SHA512;
}

bool digest_is_text(const char *text)
{
	struct digest digest = {.algorithm = DIGEST_NONE};
	return digest_parse(text, &digest, NULL) && digest_is_verifiable(&digest);
}

const char *digest_algorithm_name(const struct digest *digest, char out[32])
{
	size_t length = strcspn(digest->text, ":");
	memcpy(out, digest->text, length);
	out[length] = '\0';
	return out;
}

const char *digest_encoded(const struct digest *digest)
{
	const char *colon = strchr(digest->text, ':');
	return colon ? colon + 1 : "";
}

const char *digest_short(const struct digest *digest, char out[24])
{
	size_t wanted = strcspn(digest->text, ":") + 1 + 12;
	size_t length = strnlen(digest->text, wanted < 23 ? wanted : 23);
	memcpy(out, digest->text, length);
	out[length] = '\0';
	return out;
}

static void *take(size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_for_library(size);
}

static void *resize(void *old, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return memory_resized_for_library(old, size);
}

static void give_back(void *old, const char *file, int line)
{
	(void)file, (void)line;
	free(old);
}

void digest_set_up_library(void)
{
	(void)!CRYPTO_set_mem_functions(take, resize, give_back);
	(void)!OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL); /* the end of the process frees it faster */
}

struct hasher {
	EVP_MD_CTX *context;
	size_t row; /* of known[] */
};

struct hasher *hasher_new(enum digest_algorithm algorithm)
{
	struct hasher *hasher = memory_new(1, sizeof *hasher);
	while (known[hasher->row].algorithm != algorithm)
		if (++hasher->row == array_count(known))
			abort(); /* nobody may ask for a hash that does not exist */
	hasher->context = EVP_MD_CTX_new();
	if (!hasher->context || EVP_DigestInit_ex(hasher->context, known[hasher->row].function(), NULL) != 1)
		memory_exhausted();
	return hasher;
}

void hasher_update(struct hasher *hasher, const void *bytes, size_t length)
{
	if (EVP_DigestUpdate(hasher->context, bytes, length) != 1)
		memory_exhausted();
}

struct digest hasher_finish(struct hasher *hasher)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	if (EVP_DigestFinal_ex(hasher->context, raw, &length) != 1)
		memory_exhausted();
	struct digest digest = {.algorithm = known[hasher->row].algorithm};
	size_t used = strlen(known[hasher->row].name);
	memcpy(digest.text, known[hasher->row].name, used);
	digest.text[used++] = ':';
	for (unsigned i = 0; i < length; i++) {
		digest.text[used++] = "0123456789abcdef"[raw[i] >> 4];
		digest.text[used++] = "0123456789abcdef"[raw[i] & 15];
	}
	return digest;
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

struct digest digest_of(enum digest_algorithm algorithm, const void *bytes, size_t length)
{
	struct hasher *hasher = hasher_new(algorithm);
	hasher_update(hasher, bytes, length);
	struct digest digest = hasher_finish(hasher);
	hasher_free(hasher);
	return digest;
}

bool digest_check(const struct digest *expected, const void *bytes, size_t length, struct error *err)
{
	if (!digest_is_verifiable(expected))
		return error_set(err, ERR_UNSUPPORTED, "cannot verify digest %s", expected->text);
	struct digest found = digest_of(expected->algorithm, bytes, length);
	if (!digest_equal(&found, expected))
		return error_set(err, ERR_CORRUPT, "the bytes hash to %s instead of %s", found.text, expected->text);
	return true;
}
