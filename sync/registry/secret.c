#include "sync/registry/secret.h"

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

static int sextet(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

bool secret_decode(const char *base64, char **text)
{
	size_t length = strlen(base64), padding = 0, written = 0;
	while (padding < 2 && length > 0 && base64[length - 1] == '=') {
		length--;
		padding++;
	}
	if (length % 4 == 1 || (padding > 0 && (length + padding) % 4 != 0))
		return false;
	auto_secret char *out = memory_new(length + 1, 1);
	unsigned bits = 0;
	for (size_t i = 0; i < length; i++) {
		int value = sextet(base64[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		if (i % 4 > 0)
			out[written++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
	}
	while (written > 0 && out[written - 1] == '\0')
		written--;
	if (memchr(out, '\0', written))
		return false;
	*text = out;
	out = NULL;
	return true;
}
