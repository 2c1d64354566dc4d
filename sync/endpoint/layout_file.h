/*
 * The files of a layout. Everything is reached from the descriptor of its directory, one component at a time and never
 * through a symbolic link, so that a hostile layout cannot lead us out of itself (T-39); what is checked is the open
 * file that is then used (T-40). Paths are made of constants and of struct digest alone.
 *
 * All of these block: they are called on a worker.
 */
#ifndef DRAY_SYNC_ENDPOINT_LAYOUT_FILE_H
#define DRAY_SYNC_ENDPOINT_LAYOUT_FILE_H

#include "base/buf.h"
#include "oci/digest.h"

#include <sys/stat.h>

/* "blobs/sha256/0123..": for messages. */
#define BLOB_PATH_MAX (DIGEST_TEXT_MAX + 8)
const char *layout_blob_path(const struct digest *digest, char out[BLOB_PATH_MAX]);

/**
 * Open the regular file @name in @directory for reading; @status is that of the open file. Returns the descriptor, or
 * -1: ERR_NOT_FOUND; ERR_CORRUPT: a link, a FIFO or another thing stands there; ERR_IO. The text says @shown.
 */
int layout_open_file(int directory, const char *name, const char *shown, struct stat *status, struct error *err);

/** Read @size bytes of @fd from its beginning. ERR_CORRUPT: there are fewer. */
must_check bool layout_read_file(int fd, void *bytes, size_t size, const char *shown, struct error *err);

/** layout_open_file() and layout_read_file() of the whole, at most @maximum bytes (ERR_TOO_LARGE). */
must_check bool layout_load_file(
	int directory, const char *name, struct buf *bytes, struct stat *status, struct error *err);

/**
 * Open the directory blobs/ALGORITHM below @root, made first if @make. Returns the descriptor, or -1: ERR_NOT_FOUND,
 * ERR_CORRUPT (not a directory), ERR_UNSUPPORTED (an algorithm that nobody can verify), ERR_IO.
 */
int layout_open_store(int root, const struct digest *digest, bool make, struct error *err);

/** layout_open_store() and layout_open_file(). */
int layout_open_blob(int root, const struct digest *digest, struct stat *status, struct error *err);

/**
 * fsync blobs/ and every directory of a known algorithm in it: then the names of all blobs are durable. ERR_IO; *lost:
 * an fsync itself failed, and a later one that succeeds would prove nothing (T-56).
 */
must_check bool layout_sync_stores(int root, bool *lost, struct error *err);

/**
 * Lock the marker of the layout: @alone, or beside others who use it, too. Whoever writes into a layout uses it from
 * the first blob to the last index.json, so that who is alone may remove what nothing names. Returns the descriptor
 * that keeps the lock, or -1: ERR_BUSY (others wait for one who is alone, LAYOUT_USE_PATIENCE_MS at most),
 * ERR_NOT_FOUND (no layout), ERR_CORRUPT, ERR_IO.
 */
enum { LAYOUT_USE_PATIENCE_MS = 60000 };
int layout_use(int root, bool alone, struct error *err);

/*
 * A file in the making. It lives in ingest/, as other tools' do, under a name that begins with "dray-" and our pid, and
 * is locked for as long as we have it: so a later run knows the leftovers of a dead one, and removes no other (T-57).
 */
struct temporary {
	int fd;        /* -1: none */
	int directory; /* ingest/ */
	char name[256];
};

/** @digest: of the blob that it will be, so that temporary_resume() finds it after our death; NULL: of no blob. */
must_check bool temporary_open(int root, const struct digest *digest, struct temporary *temporary, struct error *err);

/**
 * The longest beginning of the blob @digest that a dead run left, or this one (temporary_keep()); ours now, and *length
 * bytes long, at most @most. What is too long is removed. *length 0: there is none. ERR_IO.
 */
must_check bool temporary_resume(int root, const struct digest *digest, int64_t most, struct temporary *temporary,
	int64_t *length, struct error *err);

/** The bytes of all such beginnings, whosever they are. Blocks. */
int64_t temporary_left_bytes(int root);

/**
 * Remove the oldest such beginnings that nobody has, until @bytes are free that they held: of those that are in use,
 * and where all others together hold less, none. Returns the bytes that went. Blocks.
 */
int64_t temporary_make_room(int root, int64_t bytes);

/** Leave it for temporary_resume(), with no more room on the disk than it fills. */
void temporary_keep(struct temporary *temporary);

/**
 * fsync, then rename to @name in @directory, over whatever stands there. The temporary is gone, also after a failure:
 * after a failed fsync its pages are not to be trusted (T-56). Who needs the name to be durable syncs @directory.
 */
must_check bool temporary_publish(struct temporary *temporary, int directory, const char *name, struct error *err);

/** Remove it; harmless if there is none. */
void temporary_abort(struct temporary *temporary);

/** Remove what dead runs of ours left in ingest/; long beginnings of blobs only after TEMPORARY_KEPT_S. */
enum { TEMPORARY_KEPT_S = 7 * 24 * 3600, TEMPORARY_LEAST_BYTES = 1 << 20 };
void temporary_sweep(int root);

/** Remove ingest/ if it is empty. */
void temporary_tidy(int root);

#endif
