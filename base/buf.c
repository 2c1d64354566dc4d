#include "base/buf.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void buf_init(struct buf *buf, size_t maximum)
{
	*buf = (struct buf){.maximum = maximum};
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	buf_init(buf, buf->maximum);
}

void buf_clear(struct buf *buf)
{
	buf->length = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

char *buf_room(struct buf *buf, size_t length, struct error *err)
{
	if (length > buf->maximum - buf->length) {
		(void)!error_set(err, ERR_TOO_LARGE, "more than %zu bytes", buf->maximum);
		return NULL;
	}
	if (buf->length + length + 1 > buf->capacity) {
		size_t wanted = buf->capacity ? buf->capacity * 2 : 256;
		if (wanted < buf->length + length + 1)
			wanted = buf->length + length + 1;
		buf->data = memory_resize(buf->data, wanted, 1);
		buf->capacity = wanted;
	}
	return buf->data + buf->length;
}

void buf_grow(struct buf *buf, size_t length)
{
	buf->length += length;
	buf->data[buf->length] = '\0';
}

bool buf_append(struct buf *buf, const void *bytes, size_t length, struct error *err)
{
	char *room = buf_room(buf, length, err);
	if (!room)
		return false;
	if (length > 0)
		memcpy(room, bytes, length);
	buf_grow(buf, length);
	return true;
}

bool buf_appendf(struct buf *buf, struct error *err, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0)
		memory_exhausted();
	bool ok = buf_append(buf, text, (size_t)length, err);
	free(text);
	return ok;
}

char *buf_take(struct buf *buf, size_t *length)
{
	char *data = buf->data ? buf->data : memory_new(1, 1);
	if (length)
		*length = buf->length;
	buf_init(buf, buf->maximum);
	return data;
}

const char *buf_peek(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}
