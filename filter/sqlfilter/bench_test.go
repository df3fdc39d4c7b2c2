package sqlfilter_test

import "testing"

func BenchmarkWhere(b *testing.B) {
	c := check(b, "text eq 'egress' and qty gt 1.5", nil)
	for _, d := range dialects() {
		b.Run(d.Name, func(b *testing.B) {
			w := writer(b, d)
			b.ReportAllocs()
			for b.Loop() {
				where := w.Where(c, 1)
				if len(where.Args) != 2 || where.Residual != nil {
					b.Fatal(where.SQL)
				}
			}
		})
	}
}
