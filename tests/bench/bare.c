/*
 * The least that `verify: layers` must do, with nothing around it: sha256 of gzip files, ISA-L, sha256 of what comes
 * out, one after the other. usage: bare FILE...; prints the diff_ids.
 */
#include "base/limits.h"

#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static unsigned char input[256 * KIB], output[256 * KIB];

static EVP_MD_CTX *hasher(void)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
		exit(1);
	return context;
}

static void inflate_all(struct inflate_state *state, EVP_MD_CTX *content)
{
	do {
		state->next_out = output;
		state->avail_out = sizeof output;
		if (isal_inflate(state) != ISAL_DECOMP_OK)
			exit(1);
		EVP_DigestUpdate(content, output, sizeof output - state->avail_out);
	} while (state->avail_out == 0);
}

/* False: it is no gzip file, or does not end. */
static bool prove(const char *path)
{
	static struct inflate_state state;
	EVP_MD_CTX *stored = hasher(), *content = hasher();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length = 0;
	int fd = open(path, O_RDONLY);
	isal_inflate_init(&state);
	state.crc_flag = ISAL_GZIP;
	for (ssize_t got; (got = read(fd, input, sizeof input)) > 0;) {
		EVP_DigestUpdate(stored, input, (size_t)got);
		state.next_in = input;
		state.avail_in = (uint32_t)got;
		inflate_all(&state, content);
	}
	if (fd < 0 || state.block_state != ISAL_BLOCK_FINISH)
		return false;
	close(fd);
	EVP_DigestFinal_ex(stored, digest, &length);
	EVP_DigestFinal_ex(content, digest, &length);
	for (unsigned i = 0; i < length; i++)
		printf("%02x", digest[i]);
	printf("\n");
	EVP_MD_CTX_free(stored);
	EVP_MD_CTX_free(content);
	return true;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!prove(argv[i]))
			return 1;
	return 0;
}
