/*
 * How a blob is sent, and what a registry has taught us about it (UPL-9 to UPL-16, UPL-30). Pure functions: a refusal
 * goes in, another way comes out.
 *
 *     PUT      POST, one PUT with the whole body: every registry's, and the least requests
 *     PATCH    POST, one PATCH with the whole body, an empty PUT: where a PUT with a body is not taken
 *     CHUNKS   POST, PATCHes with Content-Range, a PUT: where something on the way refuses large bodies
 *
 * What was learnt holds for the host and for the rest of the run, and only ever goes from the better way to the worse:
 * so whoever tries again for as long as there is another way comes to an end.
 */
#ifndef DRAY_SYNC_REGISTRY_UPLOAD_WAY_H
#define DRAY_SYNC_REGISTRY_UPLOAD_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum upload_way { UPLOAD_PUT, UPLOAD_PATCH, UPLOAD_CHUNKS };

/* Of one host; zero: nothing was refused so far. */
struct upload_habits {
	bool patches;       /* a PUT with a body is not taken: UPL-11 */
	bool puts_only;     /* a PATCH is not taken, which was tried for the size or the time of PUTs */
	bool full_close;    /* the closing PUT must bring something: UPL-15 */
	int64_t most_bytes; /* of one body; 0: no limit is known (UPL-12, UPL-13) */
	int64_t cut_ms;     /* after what time a body was cut; 0: none was (UPL-30) */
};

/* What the reply to the POST said of its parts; 0: nothing (UPL-13). */
struct upload_wishes {
	int64_t least_bytes, most_bytes;
};

struct upload_plan {
	enum upload_way way;
	int64_t part_bytes; /* CHUNKS: of each part but the last */
	bool full_close;    /* CHUNKS: the last part is the body of the PUT */
};

/** How to send a blob of @size bytes. */
struct upload_plan upload_plan_for(
	const struct upload_habits *habits, int64_t size, const struct upload_wishes *wishes);

bool upload_plan_equal(const struct upload_plan *a, const struct upload_plan *b);

/* A reply to a body, or to the empty PUT that closes. */
struct upload_refusal {
	int status;
	bool closes;          /* it came to a PUT without a body, after PATCHes */
	bool session_is_gone; /* it says that it does not know the session, which says nothing of the way */
	bool digest_is_wrong; /* it says that the bytes are others */
	bool begins;          /* the body was the session's first */
	int64_t body_bytes;   /* of the request */
};

/** Learn from a refusal to @plan. */
void upload_learn(struct upload_habits *habits, const struct upload_plan *plan, const struct upload_refusal *refusal);

/** Learn from a connection that broke @elapsed_ms after a body of @body_bytes had begun. */
void upload_learn_cut(struct upload_habits *habits, int64_t elapsed_ms, int64_t body_bytes);

#endif
