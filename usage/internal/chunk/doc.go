// Package chunk packs rollup rows for stores that keep them in a database.
//
// A query of a month of days reads one rollup row a day, of each meter. As rows
// of a database that would be thousands of rows, each fetched by itself; packed
// by series and span of time it is a few, and what is inside is decoded in
// memory. Three nouns:
//
//   - a [Row] is a rollup row without what all rows of its chunk have in common,
//     and with the checkpoint since which it is valid;
//   - a [Chunk] is the rows of one [Place]: projection, level, series and span;
//   - a span is the number of a stretch of time: a day of hours, 32 days, a year
//     of months.
//
// [Chunk.Apply] makes a commit's rows current and returns those that they
// replace, which a store keeps beside it for readers of earlier checkpoints.
//
// The form ends in a checksum: a chunk with a changed byte is refused
// ([ErrDamaged]) and never read wrong. Numbers are exact, of any size.
package chunk
