// Package postgresstore keeps a book in a schema of a PostgreSQL database.
package postgresstore
