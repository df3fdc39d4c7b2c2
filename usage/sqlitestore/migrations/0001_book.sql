-- The tables of a book. Every row carries a checksum (crc, or the last four bytes
-- of its blob), because SQLite itself has none: what a changed byte of the file
-- would turn into another answer is refused instead.

CREATE TABLE usagebook_schema (
	version INTEGER PRIMARY KEY
);

-- Settings of the book that change: floor is the instant, in Unix microseconds,
-- before which nothing is booked any more.
CREATE TABLE usagebook_meta (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL,
	crc INTEGER NOT NULL
) WITHOUT ROWID;

-- The dictionary: what repeats from record to record stands here once. kind says
-- what it is: 1 a tenant with a meter (a pair), 2 a series, 3 a tenant with a
-- source, 4 a verdict, 5 a list of names of values, 6 a projection and level.
CREATE TABLE usagebook_names (
	kind INTEGER NOT NULL,
	code INTEGER NOT NULL,
	content BLOB NOT NULL,
	crc INTEGER NOT NULL,
	PRIMARY KEY (kind, code)
) WITHOUT ROWID;
CREATE UNIQUE INDEX usagebook_names_content ON usagebook_names (kind, content);

-- The records, in the order in which queries read them. start is in Unix
-- microseconds, seq the place in the order of commit. id is the identity: tenant
-- with source, and the id. data is series, verdict, end and values.
CREATE TABLE usagebook_records (
	pair INTEGER NOT NULL,
	start INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	id BLOB NOT NULL,
	data BLOB NOT NULL,
	PRIMARY KEY (pair, start, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX usagebook_records_id ON usagebook_records (id);

-- The order of commit: the records from seq first on were booked at one moment;
-- places says where each of them stands in usagebook_records.
CREATE TABLE usagebook_log (
	first INTEGER PRIMARY KEY,
	records INTEGER NOT NULL,
	recorded INTEGER NOT NULL,
	crc INTEGER NOT NULL,
	places BLOB NOT NULL
);
CREATE INDEX usagebook_log_recorded ON usagebook_log (recorded);

-- The records that are corrections or corrected. since is the seq from which on
-- the record is: its own, or that of its correction. kind and target say what it
-- corrects, by, by_kind and by_id what corrects it.
CREATE TABLE usagebook_chained (
	pair INTEGER NOT NULL,
	start INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	since INTEGER NOT NULL,
	kind INTEGER,
	target BLOB,
	by INTEGER,
	by_kind INTEGER,
	by_id BLOB,
	crc INTEGER NOT NULL,
	PRIMARY KEY (pair, start, seq)
) WITHOUT ROWID;
CREATE INDEX usagebook_chained_since ON usagebook_chained (since);

-- The checkpoints that can be read, and the rollup rows: data holds those of one
-- series and span of time. replaced holds what was current until a checkpoint.
CREATE TABLE usagebook_checkpoints (
	at INTEGER PRIMARY KEY,
	replaced_at INTEGER,
	coverage BLOB,
	crc INTEGER NOT NULL
);
CREATE TABLE usagebook_rollups (
	kind INTEGER NOT NULL,
	pair INTEGER NOT NULL,
	span INTEGER NOT NULL,
	series INTEGER NOT NULL,
	data BLOB NOT NULL,
	crc INTEGER NOT NULL,
	PRIMARY KEY (kind, pair, span, series)
) WITHOUT ROWID;
CREATE TABLE usagebook_replaced (
	kind INTEGER NOT NULL,
	pair INTEGER NOT NULL,
	span INTEGER NOT NULL,
	series INTEGER NOT NULL,
	until INTEGER NOT NULL,
	data BLOB NOT NULL,
	crc INTEGER NOT NULL,
	PRIMARY KEY (kind, pair, span, series, until)
) WITHOUT ROWID;
CREATE INDEX usagebook_replaced_until ON usagebook_replaced (until);

-- Jobs and executions. due and expires are null where a task has none. Bodies
-- are apart, so that a task can be claimed without writing its body again.
CREATE TABLE usagebook_tasks (
	number INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,
	id TEXT NOT NULL,
	owner TEXT NOT NULL,
	key TEXT NOT NULL,
	version INTEGER NOT NULL,
	created INTEGER NOT NULL,
	due INTEGER,
	attempts INTEGER NOT NULL,
	expires INTEGER,
	head BLOB,
	crc INTEGER NOT NULL
);
CREATE UNIQUE INDEX usagebook_tasks_id ON usagebook_tasks (kind, id);
CREATE UNIQUE INDEX usagebook_tasks_key ON usagebook_tasks (kind, owner, key) WHERE key <> '';
CREATE INDEX usagebook_tasks_owner ON usagebook_tasks (kind, owner, created, id);
CREATE INDEX usagebook_tasks_due ON usagebook_tasks (kind, due) WHERE due IS NOT NULL;
CREATE INDEX usagebook_tasks_expires ON usagebook_tasks (expires) WHERE expires IS NOT NULL;
CREATE TABLE usagebook_bodies (
	number INTEGER PRIMARY KEY,
	body BLOB NOT NULL,
	crc INTEGER NOT NULL
);

INSERT INTO usagebook_schema (version) VALUES (1);
