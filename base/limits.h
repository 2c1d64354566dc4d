/*
 * Every cap on what a peer may make us hold or do, on one page, each with its reason.
 */
#ifndef DRAY_BASE_LIMITS_H
#define DRAY_BASE_LIMITS_H

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

/* MAN-20: the specification asks registries for 4 MiB at least; Gitea allows 10, nobody needs more. */
#define LIMIT_MANIFEST_BYTES (8 * MIB)
/* LYR-15: rarely above 4 MiB; read into memory to compare diff_ids. */
#define LIMIT_CONFIG_BYTES (16 * MIB)
/* T-25: a token reply is a few KiB (HTTP-14 allows 1 MiB); 16 KiB is the longest token that fits into a header line of
 * usual servers. */
#define LIMIT_TOKEN_REPLY_BYTES (64 * KIB)
#define LIMIT_TOKEN_BYTES       (16 * KIB)
/* HTTP-14: error bodies are for one line of text. */
#define LIMIT_ERROR_BODY_BYTES (64 * KIB)
/* ERR-15: the warnings of one host. */
#define LIMIT_WARNING_BYTES (4 * KIB)
/* HTTP-14: a page of 100,000 tags of the greatest length. */
#define LIMIT_TAG_PAGE_BYTES (16 * MIB)
/* TAG-10: a listing that has not ended after so many pages is a loop. */
#define LIMIT_TAG_PAGES 10000
/* T-33: tags of one repository. */
#define LIMIT_TAGS 1000000
/* T-10: header lines of one reply, all of them together, and one line (Location may be several KiB: HTTP-15). */
#define LIMIT_HEADER_BYTES      (64 * KIB)
#define LIMIT_HEADER_COUNT      100
#define LIMIT_HEADER_LINE_BYTES (32 * KIB)
/* RED-2 */
#define LIMIT_REDIRECTS 10
/* T-30: real manifests nest less than 10 deep; a parser's stack must not be a peer's to choose. */
#define LIMIT_JSON_DEPTH  64
#define LIMIT_JSON_TOKENS 200000
/* IDX-1, T-34: nested indexes, and all manifests that one root reaches. */
#define LIMIT_INDEX_DEPTH    8
#define LIMIT_TREE_MANIFESTS 10000
/* And their bytes, all of which are held while the image is copied: an index of 5,000 usual children has some 10 MB. */
#define LIMIT_TREE_BYTES ((int64_t)64 * 1024 * 1024)
/* T-85: what refers to one subject, how long chains of referrers may be, and a page of the API; an image has some ten
 * referrers, and a list of them is an index, with the size of one. */
#define LIMIT_REFERRERS            1000
#define LIMIT_REFERRER_DEPTH       3
#define LIMIT_REFERRERS_PAGE_BYTES (4 * MIB)
/* A manifest of the largest size could name so many layers; images have at most 127. */
#define LIMIT_LAYERS 4096
/* LYR-5: the window of `zstd --ultra -22`; more is asked for only by --long. */
#define LIMIT_ZSTD_WINDOW_LOG 27
/* T-43: what one layer may inflate to, and how steeply. */
#define LIMIT_LAYER_BYTES   ((int64_t)64 * 1024 * 1024 * 1024)
#define LIMIT_INFLATE_RATIO 1200
/* T-22: what a credential helper may print; and how long it may take where nothing else is said (CRED-9). */
#define LIMIT_HELPER_BYTES (64 * KIB)
#define LIMIT_HELPER_MS    60000
/* T-74: a configuration is written by hand. */
#define LIMIT_CONFIG_FILE_BYTES (1 * MIB)
#define LIMIT_CONFIG_DEPTH      32
#define LIMIT_CONFIG_EVENTS     200000
/* T-77: matching one tag against one pattern. */
#define LIMIT_PATTERN_BYTES (1 * KIB)
#define LIMIT_MATCH_STEPS   100000
/* T-73: foreign text in one line of ours. */
#define LIMIT_FOREIGN_TEXT 200
/* LAY-16 says 4 MiB for crane; a directory of 100,000 images needs more. */
#define LIMIT_LAYOUT_INDEX_BYTES   (64 * MIB)
#define LIMIT_LAYOUT_INDEX_ENTRIES 100000
/* What a search for referrers remembers of a layout: some 200 bytes of each manifest. */
#define LIMIT_LAYOUT_MANIFESTS 1000000
/* An entry of ours has 25 values at most. */
#define LIMIT_LAYOUT_INDEX_TOKENS 3000000
/* CRED: config.json and auth.json. */
#define LIMIT_AUTH_FILE_BYTES (1 * MIB)

#endif
