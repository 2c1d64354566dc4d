/*
 * The corpus of a fuzz target, as an ordinary test: each line of the file is one input, with \n \r \t \0 \\ and \xNN; a
 * line that begins with # says something about the next ones.
 *
 * usage: fuzz_NAME FILE
 */
#include "fuzz.h"

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* In place; returns the length. */
static size_t unescape(char *line)
{
	static const char names[] = "nrt0\\", values[] = "\n\r\t\0\\";
	size_t length = 0;
	for (const char *p = line; *p;) {
		if (*p != '\\') {
			line[length++] = *p++;
		} else if (p[1] == 'x' && hex(p[2]) >= 0 && hex(p[3]) >= 0) {
			line[length++] = (char)(hex(p[2]) * 16 + hex(p[3]));
			p += 4;
		} else {
			const char *name = p[1] ? strchr(names, p[1]) : NULL;
			must(name);
			line[length++] = values[name - names];
			p += 2;
		}
	}
	return length;
}

int main(int argc, char **argv)
{
	must(argc == 2);
	FILE *file = fopen(argv[1], "r");
	char *line = NULL;
	size_t capacity = 0, count = 0;
	must(file);
	while (getline(&line, &capacity, file) > 0) {
		if (line[0] == '#')
			continue;
		line[strcspn(line, "\n")] = '\0';
		size_t bytes = unescape(line);
		count++;
		/* Of the exact size, so that a byte too far is seen. */
		auto_free uint8_t *input = malloc(bytes);
		must(input || bytes == 0);
		if (bytes > 0)
			memcpy(input, line, bytes);
		LLVMFuzzerTestOneInput(input, bytes);
	}
	free(line);
	fclose(file);
	must(count > 0);
	printf("%zu inputs\n", count);
	return 0;
}
