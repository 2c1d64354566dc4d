/*
 * index.json: read into a snapshot that is searched, and changed by merging (LAY-2, LAY-5, LAY-13, T-58, T-60).
 *
 * A snapshot never changes. Its tables are arrays sorted by key, so that names that stand in it twice are neighbours.
 * Loading and merging block: they run on a worker, and touch nothing but the directory they are given.
 */
#ifndef DRAY_SYNC_ENDPOINT_LAYOUT_INDEX_H
#define DRAY_SYNC_ENDPOINT_LAYOUT_INDEX_H

#include "base/json.h"
#include "oci/descriptor.h"

#include <sys/stat.h>

enum index_table {
	INDEX_BY_IDENTITY,   /* index_identity(): what the entry is the entry of */
	INDEX_BY_NAME,       /* org.opencontainers.image.ref.name as it stands */
	INDEX_BY_CANONICAL,  /* that, in canonical form, if it is more than a tag */
	INDEX_BY_CONTAINERD, /* io.containerd.image.name in canonical form */
	INDEX_BY_DIGEST,
	INDEX_TABLES,
};

struct index_row {
	const char *key;
	size_t entry;
};

struct index {
	struct descriptor *entries; /* every one of the file, in its order */
	size_t count;
	struct index_row *rows[INDEX_TABLES]; /* of manifests and indexes only (LAY-5) */
	size_t row_counts[INDEX_TABLES];
	char *repository;  /* the first that a name tells; NULL: none does */
	bool repositories; /* there is more than one */
	char **texts;      /* the canonical names */
	size_t text_count;
	struct stat status; /* of the file it was read from; st_ino 0: there is none */
};

/** An index without entries, of a layout that has no index.json yet. */
struct index *index_new(void);
void index_free(struct index *index);

/** Is it the same file, as nobody has changed it since? */
bool status_is_same(const struct stat *a, const struct stat *b);

/** Is @status still that of the file the snapshot was read from? */
bool index_is_current(const struct index *index, const struct stat *status);

/** The rows whose key is @key; *count may be 0. */
const struct index_row *index_find(const struct index *index, enum index_table table, const char *key, size_t *count);

/** Its name; without one, what containerd calls it; without that, its digest. Borrowed. */
const char *index_identity(const struct descriptor *entry);

/** "x" -> "docker.io/library/x:latest"; NULL: not a reference. New memory. */
char *index_canonical(const char *name);

/** Read index.json below @root; none is an empty index. ERR_CORRUPT, ERR_TOO_LARGE, ERR_IO. */
must_check bool index_load(int root, struct index **index, struct error *err);

/**
 * Merge @count entries, with different identities, into index.json below @root, which nobody else of ours changes
 * meanwhile: an entry of the same identity and content stays as it is, others of that identity go, and what is new
 * comes last. Everything else is kept. Nothing is written if nothing changes. *index: what is there now.
 */
must_check bool index_merge(
	int root, const struct descriptor *entries, size_t count, struct index **index, struct error *err);

#endif
