/*
 * PATH.lock: one run at a time on a state file (T-79). The lock is the kernel's, so a dead holder holds nothing; the
 * line in the file is for people, and tells a later run that the state was once ours, and whether its last run came to
 * its end. The file stays, since a lock file that is deleted can be locked twice.
 */
#ifndef DRAY_STORE_LOCK_H
#define DRAY_STORE_LOCK_H

#include "base/error.h"

#include <stddef.h>

struct state_lock {
	int fd;
	bool was_signed; /* a run of ours had this state before */
	bool was_closed; /* and closed it, and nobody has written to it since */
	int length;      /* of our line */
	bool is_synced;  /* and it is on the disk */
};

/** Lock. ERR_BUSY names the holder, for whose signature this blocks up to 0.2 s (T-79); ERR_IO. */
must_check bool state_lock_take(const char *state_path, struct state_lock *lock, struct error *err);

/** Write our name. ERR_IO. */
must_check bool state_lock_sign(struct state_lock *lock, const char *state_path, struct error *err);

/**
 * Our name is on the disk before this returns, which it must be before the first write to the state; not before the
 * first request of a run, which would wait for it. Once it is, this costs nothing. ERR_IO.
 */
must_check bool state_lock_sync(struct state_lock *lock, const char *state_path, struct error *err);

/**
 * Add to our line that all is well with the state, its size and the time of its last change. Need not be on the disk:
 * without it, or when the state is another by then, the next run looks closer.
 */
void state_lock_close(struct state_lock *lock, const char *state_path);

void state_lock_release(struct state_lock *lock);

/**
 * Does a run hold the lock of the state at @state_path? Asks the kernel without locking, so that a run which starts at
 * this moment is not turned away. @holder gets what its holder, or the last one, wrote there; "" without a lock file.
 */
bool state_lock_is_held(const char *state_path, char *holder, size_t holder_size);

#endif
