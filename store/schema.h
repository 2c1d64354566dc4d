/*
 * The tables of the state file, as numbered steps: step N leads from version N to N + 1. A step that was released is
 * never changed; a new version is a new step.
 */
#ifndef DRAY_STORE_SCHEMA_H
#define DRAY_STORE_SCHEMA_H

/* PRAGMA application_id, by which a file is known as ours: "dray". */
#define SCHEMA_APPLICATION_ID 0x64726179

/* PRAGMA user_version of a file that has all steps behind it. */
#define SCHEMA_VERSION 3

/* From this version on a file has all that is read when somebody looks back. */
#define SCHEMA_VERSION_READ 2

extern const char *const schema_steps[SCHEMA_VERSION];

#endif
