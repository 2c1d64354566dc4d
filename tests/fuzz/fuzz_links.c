/*
 * F4: Link, Location, Content-Range, Retry-After and the URLs made of them. The first byte says which; a line with
 * where it came from may stand in front of what was sent.
 */
#include "fuzz.h"

#include "second_url.h"
#include "sync/registry/errors.h"
#include "sync/registry/links.h"

static struct origin origin_at(const char *url)
{
	struct origin origin;
	must(origin_of(url, &origin, NULL));
	return origin;
}

static void link_header(const char *header)
{
	auto_free char *target = links_next(header);
	if (target)
		must(strstr(header, target) && !strchr(target, '>'));
}

/* A page is always at the origin that was asked, below /v2/. */
static void page(const char *from, const char *target)
{
	struct error err;
	char *url;
	if (!links_page(from, target, &url, &err))
		return;
	struct origin asked = origin_at(from), got = origin_at(url);
	must(origin_equal(&asked, &got));
	second_url_agrees(url);
	must(strncmp(strchr(strstr(url, "://") + 3, '/'), "/v2/", 4) == 0);
	free(url);
}

/* An upload goes on at the host that was asked, and never from https to http. */
static void upload(const char *from, const char *location)
{
	struct error err;
	char *url;
	if (!links_upload(from, location, NULL, 0, &url, &err))
		return;
	struct origin asked = origin_at(from), got = origin_at(url);
	must(str_is(asked.host, got.host) && (got.tls || !asked.tls));
	second_url_agrees(url);
	auto_free char *more = links_add_query(url, "digest=sha256%3Aaa");
	must(strstr(more, "digest=sha256%3Aaa"));
	second_url_agrees(more);
	free(url);
}

static void content_range(const char *text)
{
	int64_t first = -1, last = -1, total = -2;
	if (!links_content_range(text, &first, &last, &total))
		return;
	must(first >= 0 && last >= 0 && total >= -1);
	char printed[128];
	auto_free char *end = total < 0 ? memory_text("*") : memory_format("%lld", (long long)total);
	snprintf(printed, sizeof printed, "bytes %lld-%lld/%s", (long long)first, (long long)last, end);
	/* Zeros in front are all that may be lost. */
	must(strlen(printed) <= strlen(text));
}

static void retry_after(const char *text)
{
	static const int64_t now_s = 1764000000;
	int64_t wait_ms = reply_retry_after_ms(text, now_s);
	must(wait_ms >= 0 && wait_ms <= (int64_t)24 * 3600 * 1000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const homes[] = {"https://r.test/v2/a/b/tags/list?n=1000", "http://127.0.0.1:5000/v2/a/",
		"https://[::1]:5000/v2/a/blobs/uploads/"};
	auto_free char *text = fuzz_text(data, size);
	if (size == 0 || !text[0])
		return 0;
	const char *rest = text + 1, *home = homes[(unsigned char)text[0] % array_count(homes)];
	switch (text[0]) {
	case 'L':
		link_header(rest);
		break;
	case 'R':
		content_range(rest);
		break;
	case 'T':
		retry_after(rest);
		break;
	default:
		page(home, rest);
		upload(home, rest);
		break;
	}
	return 0;
}
