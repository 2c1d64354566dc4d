#include "base/base64.h"

#include <string.h>

static int sextet(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(alphabet, c) : NULL;
	return at ? (int)(at - alphabet) : -1;
}

bool base64_decode(const char *base64, size_t length, unsigned char *out, size_t *decoded)
{
	size_t padding = 0, written = 0;
	while (padding < 2 && length > 0 && base64[length - 1] == '=') {
		length--;
		padding++;
	}
	if (length % 4 == 1 || (padding > 0 && (length + padding) % 4 != 0))
		return false;
	unsigned bits = 0;
	for (size_t i = 0; i < length; i++) {
		int value = sextet(base64[i]);
		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned)value;
		if (i % 4 > 0)
			out[written++] = (unsigned char)(bits >> (6 - 2 * (i % 4)) & 0xff);
	}
	*decoded = written;
	return true;
}
