#include "store/schema.h"

/* Times are milliseconds since 1970 in UTC; digests and references are canonical text. */
static const char tables[] = "CREATE TABLE run ("
			     "	id INTEGER PRIMARY KEY,"
			     "	config_hash TEXT NOT NULL,"
			     "	started_ms INTEGER NOT NULL,"
			     "	finished_ms INTEGER," /* null: still running, or died */
			     "	exit_code INTEGER,"
			     "	images INTEGER, copied INTEGER, unchanged INTEGER, failed INTEGER,"
			     "	downloaded_bytes INTEGER, uploaded_bytes INTEGER"
			     ") STRICT;"

			     "CREATE TABLE job ("
			     "	run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,"
			     "	source TEXT NOT NULL,"
			     "	target TEXT NOT NULL,"
			     "	digest TEXT,"
			     "	outcome TEXT NOT NULL,"
			     "	stage TEXT, error_kind TEXT, error_text TEXT,"
			     "	duration_ms INTEGER NOT NULL,"
			     "	finished_ms INTEGER NOT NULL,"
			     "	PRIMARY KEY (run, source, target)"
			     ") STRICT, WITHOUT ROWID;"

			     "CREATE TABLE tag ("
			     "	target TEXT PRIMARY KEY NOT NULL,"
			     "	source TEXT NOT NULL,"
			     "	source_digest TEXT NOT NULL,"
			     "	platforms TEXT NOT NULL,"
			     "	written TEXT NOT NULL,"
			     "	first_seen_ms INTEGER NOT NULL,"
			     "	verified_ms INTEGER NOT NULL"
			     ") STRICT, WITHOUT ROWID;"

			     "CREATE TABLE blob ("
			     "	digest TEXT NOT NULL,"
			     "	decoder TEXT NOT NULL,"
			     "	size INTEGER NOT NULL,"
			     "	diff_id TEXT NOT NULL,"
			     "	proven_ms INTEGER NOT NULL,"
			     "	PRIMARY KEY (digest, decoder)"
			     ") STRICT, WITHOUT ROWID;"

			     "CREATE TABLE location ("
			     "	registry TEXT NOT NULL,"
			     "	digest TEXT NOT NULL,"
			     "	repository TEXT NOT NULL,"
			     "	seen_ms INTEGER NOT NULL,"
			     "	PRIMARY KEY (registry, digest, repository)"
			     ") STRICT, WITHOUT ROWID;"

			     "PRAGMA application_id = 0x64726179;"
			     "PRAGMA user_version = 1;";

/* How often in a row a job was tried, and what it cost; and its history is found without reading all of it. */
static const char attempts[] = "ALTER TABLE job ADD COLUMN attempts INTEGER NOT NULL DEFAULT 1;"
			       "ALTER TABLE job ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;"
			       "CREATE INDEX job_of_source ON job (source, target, run);"
			       "CREATE INDEX job_of_target ON job (target, run);"
			       "PRAGMA user_version = 2;";

/* Nobody ever asked for it. */
static const char no_config_hash[] = "ALTER TABLE run DROP COLUMN config_hash;"
				     "PRAGMA user_version = 3;";

const char *const schema_steps[SCHEMA_VERSION] = {tables, attempts, no_config_hash};
