module github.com/usagebook/usagebook/usage/postgresstore

go 1.25.0
