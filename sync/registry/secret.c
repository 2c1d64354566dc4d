#include "sync/registry/secret.h"

#include "base/base64.h"
#include "base/memory.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

void secret_free(char *secret)
{
	if (!secret)
		return;
	OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

char *secret_basic(const char *username, const char *password)
{
	static const char prefix[] = "Basic ";
	auto_secret char *pair = memory_format("%s:%s", username, password);
	size_t length = strlen(pair), start = sizeof prefix - 1;
	char *header = memory_new(start + 4 * ((length + 2) / 3) + 1, 1);
	memcpy(header, prefix, start);
	EVP_EncodeBlock((unsigned char *)header + start, (const unsigned char *)pair, (int)length);
	return header;
}

bool secret_decode(const char *base64, char **text)
{
	size_t length = strlen(base64), written;
	auto_secret char *out = memory_new(base64_decoded_most(length) + 1, 1);
	if (!base64_decode(base64, length, (unsigned char *)out, &written))
		return false;
	while (written > 0 && out[written - 1] == '\0')
		written--;
	if (memchr(out, '\0', written))
		return false;
	*text = out;
	out = NULL;
	return true;
}
