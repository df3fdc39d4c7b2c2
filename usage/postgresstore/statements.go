package postgresstore

// statements are those whose text is always the same.
type statements struct {
	nextIDs                                         string
	findSeries, findPairs, findShapes, allVerdicts  string
	newPairs, newSeries, newShapes, newVerdicts     string
	seriesByID, pairsByID, shapesByID, verdictsByID string
	rollupSetsByID                                  string
	lookUp, targets, targetsBooked                  string
	lockState, settle                               string
	look, lookAtTime                                string
}

// unsettled is the sequence of records whose batch is not settled.
const unsettled = "9223372036854775807"

// committedExpression is whether a row was made by a transaction that is over,
// and so not by the one that asks, which may yet be rolled back.
const committedExpression = "(age(x.xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid))::text"

// bookedColumns are what booked reads, of records r, batches b and corrections c.
const bookedColumns = `r.batch::text, r.ord::text, (b.base + r.ord)::text, b.recorded::text, r.series::text, r.start::text, r."end"::text,
	r.shape::text, r.value::text, r.more::text, r.kind::text, c.target_source::text, c.target_id::text`

const bookedColumnCount = 13

const bookedJoins = ` LEFT JOIN {s}.batches b ON b.id = r.batch AND b.base IS NOT NULL
	LEFT JOIN {s}.corrections c ON r.kind IS NOT NULL AND c.batch = r.batch AND c.ord = r.ord`

func newStatements(s *Store) statements {
	sequence := func(name string) string { return literal(s.schema + "." + name) }
	t := s.text
	return statements{
		nextIDs: "SELECT nextval(" + sequence("name_ids") + ")::text FROM generate_series(1, $1::int)",

		findSeries: t(`SELECT x.id::text, ` + committedExpression + `, x.pair::text, p.tenant::text, p.meter::text, x.dimensions::text
			FROM unnest($1::text[], $2::text[], $3::bigint[]) u(tenant, meter, hash)
			JOIN {s}.pairs p ON p.tenant = u.tenant AND p.meter = u.meter JOIN {s}.series x ON x.pair = p.id AND x.hash = u.hash`),
		findPairs: t(`SELECT x.id::text, ` + committedExpression + `, x.tenant::text, x.meter::text
			FROM unnest($1::text[], $2::text[]) u(tenant, meter) JOIN {s}.pairs x ON x.tenant = u.tenant AND x.meter = u.meter`),
		findShapes: t(`SELECT x.id::text, ` + committedExpression + `, x.names::text
			FROM unnest($1::text[]) u(names) JOIN {s}.shapes x ON x.names = u.names::text[]`),
		allVerdicts: t(`SELECT x.id::text, ` + committedExpression + `, x.state::text, x.billable::text, x.version::text FROM {s}.verdicts x`),

		newPairs:    t(`INSERT INTO {s}.pairs (id, tenant, meter) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[])`),
		newSeries:   t(`INSERT INTO {s}.series (id, pair, hash, dimensions) SELECT a, b, c, d::text[] FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) u(a, b, c, d)`),
		newShapes:   t(`INSERT INTO {s}.shapes (id, names) SELECT a, b::text[] FROM unnest($1::bigint[], $2::text[]) u(a, b)`),
		newVerdicts: t(`INSERT INTO {s}.verdicts (id, state, billable, version) SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::boolean[], $4::text[])`),

		seriesByID:   t(`SELECT x.id::text, p.tenant::text, p.meter::text, x.dimensions::text FROM {s}.series x JOIN {s}.pairs p ON p.id = x.pair WHERE x.id = ANY($1::bigint[])`),
		pairsByID:    t(`SELECT id::text, tenant::text, meter::text FROM {s}.pairs WHERE id = ANY($1::bigint[])`),
		shapesByID:   t(`SELECT id::text, names::text FROM {s}.shapes WHERE id = ANY($1::bigint[])`),
		verdictsByID: t(`SELECT id::text, state::text, billable::text, version::text FROM {s}.verdicts WHERE id = ANY($1::bigint[])`),

		rollupSetsByID: t(`SELECT x.id::text, p.tenant::text, p.meter::text, x.dimensions::text FROM {s}.rollup_sets x JOIN {s}.rollup_pairs p ON p.id = x.pair WHERE x.id = ANY($1::bigint[])`),

		// One look-up of the index for each, however few records there were when the
		// statement was planned: LIMIT keeps a join from reading the table.
		lookUp: t(`SELECT u.at::text, ` + bookedColumns + `
			FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY u(tenant, source, id, at)
			CROSS JOIN LATERAL (SELECT * FROM {s}.records r WHERE r.tenant = u.tenant AND r.source = u.source AND r.id = u.id LIMIT 1) r` + bookedJoins),
		// The corrections of the targets, the corrections of these, and so on to the
		// heads of the chains.
		targets: t(`WITH RECURSIVE up AS (
				SELECT c.tenant, c.target_source, c.target_id, c.source, c.id, c.kind
				FROM unnest($1::text[], $2::text[], $3::text[]) u(tenant, source, id)
				JOIN {s}.corrections c ON c.tenant = u.tenant AND c.target_source = u.source AND c.target_id = u.id
				UNION
				SELECT c.tenant, c.target_source, c.target_id, c.source, c.id, c.kind
				FROM up JOIN {s}.corrections c ON c.tenant = up.tenant AND c.target_source = up.source AND c.target_id = up.id)
			SELECT tenant::text, target_source::text, target_id::text, source::text, id::text, kind::text FROM up`),
		targetsBooked: t(`SELECT u.at::text, r.batch::text, r.ord::text, r.kind::text
			FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY u(tenant, source, id, at)
			CROSS JOIN LATERAL (SELECT * FROM {s}.records r WHERE r.tenant = u.tenant AND r.source = u.source AND r.id = u.id LIMIT 1) r`),

		lockState: t(`SELECT through::text FROM {s}.state FOR UPDATE`),
		settle:    t(settleSQL),

		look:       t(lookSQL("b.base < $1 ORDER BY b.base DESC LIMIT 1")),
		lookAtTime: t(lookSQL("b.recorded < $1 ORDER BY b.recorded DESC, b.base DESC LIMIT 1")),
	}
}
