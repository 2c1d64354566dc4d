/*
 * What a kind of endpoint is made of: one table of functions, each with the contract of the call of the same name in
 * endpoint.h. The structs here are the heads of those that a kind makes; they come first in them.
 */
#ifndef DRAY_SYNC_ENDPOINT_INTERNAL_H
#define DRAY_SYNC_ENDPOINT_INTERNAL_H

#include "sync/endpoint/endpoint.h"

struct endpoint_ops {
	void (*release)(struct endpoint *endpoint);
	char *(*reference)(const struct endpoint *endpoint, const char *repository, const char *reference);

	struct name_pages *(*list)(struct endpoint *endpoint, const char *repository);
	bool (*pages_next)(struct name_pages *pages, const struct image_name **names, size_t *count, struct error *err);
	bool (*pages_are_over)(const struct name_pages *pages); /* NULL: that is not known */
	void (*pages_free)(struct name_pages *pages);

	bool (*resolve)(struct endpoint *endpoint, const char *repository, const char *reference,
		struct descriptor *root, struct error *err);
	/* NULL: to resolve is to read */
	bool (*resolve_by_reading)(struct endpoint *endpoint, const char *repository, const char *reference,
		struct descriptor *root, struct error *err);
	bool (*manifest)(struct endpoint *endpoint, const char *repository, const struct descriptor *wanted,
		struct buf *bytes, char **media_type, struct error *err);

	bool (*manifest_present)(struct endpoint *endpoint, const char *repository, const struct digest *digest,
		bool *present, struct error *err);
	bool (*referrers)(struct endpoint *endpoint, const char *repository, const struct digest *subject,
		bool with_tags, struct referrer_list *list, struct error *err);

	bool (*blob_open)(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
		int64_t offset, struct endpoint_reader **reader, struct error *err);
	bool (*reader_read)(
		struct endpoint_reader *reader, void *bytes, size_t capacity, size_t *got, struct error *err);
	bool (*reader_starts_over)(const struct endpoint_reader *reader); /* NULL: never */
	void (*reader_close)(struct endpoint_reader *reader);

	bool (*blob_present)(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
		bool *present, struct error *err);
	bool (*blob_mount)(struct endpoint *endpoint, const char *repository, const char *from_repository,
		const struct descriptor *blob, bool *mounted, struct endpoint_writer **writer, struct error *err);
	bool (*blob_create)(struct endpoint *endpoint, const char *repository, const struct descriptor *blob,
		struct endpoint_writer **writer, struct error *err);
	bool (*blob_resume)(struct endpoint *endpoint, const struct descriptor *blob, struct endpoint_writer **writer,
		struct endpoint_reader **reader, int64_t *length,
		struct error *err);                                     /* NULL: there is never anything */
	int64_t (*left_bytes)(struct endpoint *endpoint);               /* NULL: 0 */
	int64_t (*make_room)(struct endpoint *endpoint, int64_t bytes); /* NULL: 0 */
	void (*writer_keep)(struct endpoint_writer *writer);            /* NULL: it cannot */
	bool (*writer_write)(struct endpoint_writer *writer, const void *bytes, size_t length, struct error *err);
	bool (*writer_commit)(struct endpoint_writer *writer, struct error *err);
	void (*writer_restart)(struct endpoint_writer *writer);                    /* NULL: never advised */
	enum upload_advice (*writer_advice)(const struct endpoint_writer *writer); /* NULL: never any */
	void (*writer_free)(struct endpoint_writer *writer);

	bool (*manifest_put)(struct endpoint *endpoint, const char *repository, const char *tag,
		const struct descriptor *manifest, const void *bytes, struct error *err);
	/* by one at a time for one repository and subject */
	bool (*referrers_note)(struct endpoint *endpoint, const char *repository, const struct digest *subject,
		const struct referrer *referrers, size_t count, struct error *err);
	/* NULL: nothing can be deleted here */
	bool (*delete)(struct endpoint *endpoint, const char *repository, const char *reference, struct error *err);
	bool (*flush)(struct endpoint *endpoint, struct error *err);

	/* NULL: no limits */
	int64_t (*pause_ends_ms)(const struct endpoint *endpoint);
	bool (*plan)(struct endpoint *endpoint, int64_t cost, struct error *err);
	void (*plan_end)(struct endpoint *endpoint, int64_t cost);
};

struct endpoint {
	const struct endpoint_ops *ops;
	const char *name; /* borrowed from the kind's own struct */
	struct gate *blob_gate;
	const struct notices *notices; /* or NULL */
	bool is_layout;
	struct pace *pace;     /* of a registry */
	struct noting *noting; /* referrers.c */
};

struct name_pages {
	const struct endpoint_ops *ops;
	size_t skipped;
};

struct endpoint_reader {
	const struct endpoint_ops *ops;
	const char *encoding; /* or NULL; the kind's own */
};

struct endpoint_writer {
	const struct endpoint_ops *ops;
};

#endif
