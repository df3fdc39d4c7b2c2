-- Instants are microseconds since 1970-01-01T00:00:00Z, so that they are exact, compare as
-- integers and cost nothing to cut into hours and days.

-- How far the book is settled: one row, whose lock orders those who settle.
CREATE TABLE {schema}.state (
	one         boolean PRIMARY KEY DEFAULT true CHECK (one),
	through     bigint  NOT NULL DEFAULT 0,                    -- the newest sequence
	recorded    bigint  NOT NULL DEFAULT -9223372036854775808, -- when it was booked
	floor       bigint  NOT NULL DEFAULT -9223372036854775808, -- nothing is recorded before it any more
	most        bigint  NOT NULL DEFAULT 0,                    -- the greatest id of a settled batch
	corrections bigint  NOT NULL DEFAULT 0,                    -- how many are settled
	since       bigint,                                        -- the earliest start of a settled record
	until       bigint                                         -- the latest one
);
INSERT INTO {schema}.state DEFAULT VALUES;

-- Ids of batches rise in the order in which batches are booked, so that a correction has a higher
-- one than what it corrects. They are drawn one by one for that.
CREATE SEQUENCE {schema}.batch_ids CACHE 1;

-- One row for each batch. Those that are not settled have the greatest bigint in through.
CREATE TABLE {schema}.batches (
	id          bigint  PRIMARY KEY,
	now         bigint  NOT NULL, -- the clock of the book that booked it
	width       integer NOT NULL, -- how many records it has
	corrections integer NOT NULL, -- how many of them are corrections
	since       bigint,           -- the earliest start in it; null where all are voids
	until       bigint,           -- the latest
	base        bigint,           -- the sequence before its first record's
	through     bigint  NOT NULL DEFAULT 9223372036854775807, -- that of its last
	recorded    bigint,
	late        boolean NOT NULL DEFAULT true, -- a batch with a higher id was settled before, or it is not settled
	most        bigint,           -- the greatest id of the batches up to here
	total       bigint,           -- how many corrections there are up to here
	first       bigint,           -- the earliest start up to here
	last        bigint            -- the latest
) WITH (fillfactor = 70);
CREATE INDEX batches_base     ON {schema}.batches (base) WHERE base IS NOT NULL;
CREATE INDEX batches_recorded ON {schema}.batches (recorded, base) WHERE recorded IS NOT NULL;
CREATE INDEX batches_late     ON {schema}.batches (through) WHERE late;

-- What records have in common. A content may stand in these tables under several ids: whoever meets
-- one first books it without waiting for others who do the same.
CREATE SEQUENCE {schema}.name_ids CACHE 1;
CREATE TABLE {schema}.pairs (
	id     bigint PRIMARY KEY,
	tenant text COLLATE "C" NOT NULL,
	meter  text COLLATE "C" NOT NULL -- empty: the voids of the tenant
);
CREATE INDEX pairs_content ON {schema}.pairs (tenant, meter);
CREATE TABLE {schema}.series (
	id         bigint PRIMARY KEY,
	pair       bigint NOT NULL,
	hash       bigint NOT NULL, -- of the dimensions
	dimensions text[] COLLATE "C" NOT NULL -- name, value, name, value, in the order of names
);
CREATE INDEX series_content ON {schema}.series (pair, hash);
CREATE TABLE {schema}.shapes (
	id    bigint PRIMARY KEY,
	names text[] COLLATE "C" NOT NULL -- of the values of a record, in order
);
CREATE TABLE {schema}.verdicts (
	id       bigint PRIMARY KEY,
	state    smallint NOT NULL, -- 0 unverified, 1 no rule, 2 verified
	billable boolean NOT NULL,
	version  text COLLATE "C" NOT NULL
);

-- The records. The sequence of one is base + ord of its batch.
CREATE TABLE {schema}.records (
	batch   bigint   NOT NULL,
	pair    bigint   NOT NULL,
	series  bigint   NOT NULL,
	start   bigint   NOT NULL, -- of a void -62135596800000000, which no other record can have
	"end"   bigint,
	shape   bigint   NOT NULL,
	verdict bigint   NOT NULL,
	ord     integer  NOT NULL,
	kind    smallint, -- of a correction: 1 void, 2 replace
	tenant  text COLLATE "C" NOT NULL,
	source  text COLLATE "C" NOT NULL,
	id      text COLLATE "C" NOT NULL,
	value   numeric,   -- the first of the values; null in a void
	more    numeric[], -- the others
	PRIMARY KEY (id, source, tenant), -- ids differ most, so that they are compared first
	CHECK (batch > 0 AND pair > 0 AND series > 0 AND shape > 0 AND verdict > 0)
);
CREATE INDEX records_pair  ON {schema}.records (pair, start);
CREATE INDEX records_batch ON {schema}.records (batch);

-- Which record corrects which. The key is the target: nothing is corrected twice.
CREATE TABLE {schema}.corrections (
	tenant        text COLLATE "C" NOT NULL,
	target_source text COLLATE "C" NOT NULL,
	target_id     text COLLATE "C" NOT NULL,
	source        text COLLATE "C" NOT NULL,
	id            text COLLATE "C" NOT NULL,
	kind          smallint NOT NULL,
	batch         bigint  NOT NULL,
	ord           integer NOT NULL,
	target_batch  bigint  NOT NULL,
	target_ord    integer NOT NULL,
	PRIMARY KEY (tenant, target_source, target_id)
);
CREATE UNIQUE INDEX corrections_place  ON {schema}.corrections (batch, ord);
CREATE INDEX        corrections_target ON {schema}.corrections (target_batch, target_ord);

-- Rollups, in chunks: one row is all rows of one projection, level and series in one span of time.
-- Everything here is written under the lock of the one row of tip.
CREATE TABLE {schema}.tip (
	one    boolean PRIMARY KEY DEFAULT true CHECK (one),
	latest bigint NOT NULL DEFAULT 0 -- the newest checkpoint
);
INSERT INTO {schema}.tip DEFAULT VALUES;
CREATE TABLE {schema}.checkpoints (
	at       bigint PRIMARY KEY,
	coverage bytea  NOT NULL,
	replaced bigint -- when the next one took over
);
CREATE SEQUENCE {schema}.rollup_ids CACHE 1;
CREATE TABLE {schema}.rollup_kinds (
	id         bigint PRIMARY KEY DEFAULT nextval('{schema}.rollup_ids'),
	projection text COLLATE "C" NOT NULL,
	level      smallint NOT NULL,
	UNIQUE (projection, level)
);
CREATE TABLE {schema}.rollup_pairs (
	id     bigint PRIMARY KEY DEFAULT nextval('{schema}.rollup_ids'),
	tenant text COLLATE "C" NOT NULL,
	meter  text COLLATE "C" NOT NULL,
	UNIQUE (tenant, meter)
);
CREATE TABLE {schema}.rollup_sets (
	id         bigint PRIMARY KEY DEFAULT nextval('{schema}.rollup_ids'),
	pair       bigint NOT NULL,
	hash       bigint NOT NULL, -- of the dimensions
	dimensions text[] COLLATE "C" NOT NULL
);
CREATE INDEX rollup_sets_content ON {schema}.rollup_sets (pair, hash);
CREATE TABLE {schema}.rollups (
	kind bigint NOT NULL,
	pair bigint NOT NULL,
	span bigint NOT NULL,
	set  bigint NOT NULL,
	data bytea  NOT NULL,
	PRIMARY KEY (kind, pair, span, set)
);
ALTER TABLE {schema}.rollups ALTER COLUMN data SET STORAGE EXTERNAL;
-- What commits replaced, for readers of earlier checkpoints.
CREATE TABLE {schema}.replaced (
	kind  bigint NOT NULL,
	pair  bigint NOT NULL,
	span  bigint NOT NULL,
	set   bigint NOT NULL,
	until bigint NOT NULL, -- the checkpoint from which on the rows are not valid any more
	data  bytea  NOT NULL,
	PRIMARY KEY (kind, pair, span, set, until)
);
CREATE INDEX replaced_until ON {schema}.replaced (until);
ALTER TABLE {schema}.replaced ALTER COLUMN data SET STORAGE EXTERNAL;

-- Jobs and executions.
CREATE TABLE {schema}.tasks (
	kind     text COLLATE "C" NOT NULL,
	id       text COLLATE "C" NOT NULL,
	owner    text COLLATE "C" NOT NULL,
	key      text COLLATE "C", -- null: none
	version  bigint  NOT NULL,
	created  bigint  NOT NULL,
	due      bigint,           -- null: finished
	attempts integer NOT NULL,
	expires  bigint,           -- null: never
	head     bytea   NOT NULL,
	body     bytea   NOT NULL,
	PRIMARY KEY (kind, id)
);
CREATE UNIQUE INDEX tasks_key ON {schema}.tasks (kind, owner, key) WHERE key IS NOT NULL;
CREATE INDEX tasks_owner   ON {schema}.tasks (kind, owner, created, id);
CREATE INDEX tasks_due     ON {schema}.tasks (kind, due) WHERE due IS NOT NULL;
CREATE INDEX tasks_expires ON {schema}.tasks (expires) WHERE expires IS NOT NULL;
ALTER TABLE {schema}.tasks ALTER COLUMN body SET STORAGE EXTERNAL;
