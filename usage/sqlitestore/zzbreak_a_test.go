package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/usagebook/usagebook/aggregate"
	"github.com/usagebook/usagebook/usage"
)

func zzopen(t *testing.T, path string, o *Options) *Store {
	s, err := Open(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
func zzbook(t *testing.T, s usage.Store) *usage.Book {
	b, err := usage.New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
func zzrec(i int) usage.Record {
	return usage.Record{Tenant: "t", Source: "s", ID: fmt.Sprint("id", i), Meter: "m", Start: time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC),
		Values: usage.Values{}.WithNumber("quantity", aggregate.Fixed(int64(i+1), 0)), Dimensions: usage.NewDimensions(usage.Dimension{Name: "r", Value: "x"})}
}

func TestZZHostile(t *testing.T) {
	for _, mode := range []string{"series", "verdict", "shape", "scale", "hugeseries"} {
		t.Run(mode, func(t *testing.T) {
			p := filepath.Join(t.TempDir(), "a.db")
			s := zzopen(t, p, nil)
			b := zzbook(t, s)
			if _, err := b.Append(context.Background(), zzrec(0)); err != nil {
				t.Fatal(err)
			}
			err := s.pool.write(context.Background(), func(c *conn) error {
				var at place
				var key, data []byte
				_, err := c.one(background, "SELECT pair,start,seq,id,data FROM usagebook_records", nil, func(r *rows) {
					at = place{r.int(0), r.int(1), r.int(2)}
					key, data = r.blob(3), r.blob(4)
				})
				if err != nil {
					return err
				}
				w, err := parseContent(data, at)
				if err != nil {
					return err
				}
				se, ve, sh := uint64(w.series), uint64(w.verdict), uint64(w.shape)
				vals := w.values.data
				switch mode {
				case "series":
					se = 1 << 63
				case "hugeseries":
					se = 1 << 28
				case "verdict":
					ve = 1 << 63
				case "shape":
					sh = 1<<62 | 1<<61
				case "scale":
					vals = []byte{200, 2}
				}
				d := binary.AppendUvarint(nil, se)
				d = binary.AppendUvarint(d, ve)
				d = binary.AppendUvarint(d, sh<<1)
				d = binary.LittleEndian.AppendUint32(d, sumOf(key))
				d = append(d, vals...)
				d = binary.LittleEndian.AppendUint32(d, contentSum(d, at))
				_, err = c.exec(background, "UPDATE usagebook_records SET data=?", driver.Value(d))
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			s = zzopen(t, p, nil)
			b = zzbook(t, s)
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("PANIC query: %v", r)
					}
				}()
				for _, g := range [][]string{nil, {"r"}} {
					page, err := b.Query(context.Background(), usage.AllTenants(), usage.Query{GroupBy: g, Measures: []usage.Measure{{Of: "quantity"}}})
					t.Log(g, page, err)
				}
			}()
			func() {
				defer func() {
					if r := recover(); r != nil {
						t.Errorf("PANIC scan: %v", r)
					}
				}()
				for r, err := range s.Scan(context.Background(), usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 1}}) {
					t.Log(r, err)
				}
			}()
		})
	}
}

func TestZZTrigger(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.db")
	s := zzopen(t, p, nil)
	s.Close()
	db, _ := sql.Open("sqlite", p)
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"CREATE TABLE zzz(a)",
		"CREATE TRIGGER evil AFTER INSERT ON usagebook_records BEGIN DELETE FROM usagebook_records WHERE seq=NEW.seq; END",
		"PRAGMA writable_schema=ON", "UPDATE sqlite_schema SET tbl_name='zzz' WHERE name='evil'", "PRAGMA writable_schema=OFF"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(q, err)
		}
	}
	db.Close()
	s, err := Open(context.Background(), p, nil)
	if err != nil {
		t.Log("refused:", err)
		return
	}
	defer s.Close()
	b := zzbook(t, s)
	r, err := b.Append(context.Background(), zzrec(0))
	t.Log(r, err)
	page, err := b.Query(context.Background(), usage.AllTenants(), usage.Query{Measures: []usage.Measure{{Aggregation: usage.Count}}})
	t.Error("evil trigger accepted; ", page, err)
	cerr := s.Check(context.Background())
	t.Log("check:", cerr)
}

func TestZZSequenceMin(t *testing.T) {
	s := zzopen(t, filepath.Join(t.TempDir(), "a.db"), nil)
	b := zzbook(t, s)
	b.Append(context.Background(), zzrec(0), zzrec(1))
	for _, f := range []string{"sequence ge 1", "sequence ge -9223372036854775807", "sequence ge -9223372036854775808", "sequence gt -9223372036854775808", "sequence ge -9223372036854775809", "sequence le 9223372036854775807", "sequence lt 9223372036854775808", "sequence ge 0.5", "sequence lt 1e30", "start ge 0001-01-01T00:00:00Z", "start le 9999-12-31T23:59:59Z", "recorded le 9999-12-31T23:59:59Z", "recorded ge 0001-01-01T00:00:00Z"} {
		for _, g := range [][]string{nil, {"id"}} {
			page, err := b.Query(context.Background(), usage.AllTenants(), usage.Query{Filter: f, GroupBy: g, Measures: []usage.Measure{{Aggregation: usage.Count}}})
			if err != nil {
				t.Log(f, err)
				continue
			}
			t.Log(f, g, page.Rows)
		}
	}
}

func TestZZBusyConvoy(t *testing.T) {
	p := filepath.Join(t.TempDir(), "a.db")
	s := zzopen(t, p, &Options{Busy: 200 * time.Millisecond})
	b := zzbook(t, s)
	db, _ := sql.Open("sqlite", p)
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			st := time.Now()
			_, err := b.Append(context.Background(), zzrec(i))
			t.Log(time.Since(st), err)
		}()
	}
	wg.Wait()
	db.Close()
}

func TestZZTaskVersion(t *testing.T) {
	s := zzopen(t, filepath.Join(t.TempDir(), "a.db"), nil)
	tk := &usage.Task{Kind: "job", ID: "x", Owner: "o", Version: math.MaxUint64}
	err := s.PutTask(context.Background(), tk)
	t.Log(err, tk.Version)
	got, err := s.Task(context.Background(), "job", "x")
	t.Log(got, err)
	for _, p := range []string{"//" + t.TempDir() + "/x.db", t.TempDir() + "/a?b#c%20 'é.db"} {
		s, err := Open(context.Background(), p, nil)
		t.Log(p, err)
		if err == nil {
			s.Close()
		}
	}
}

func TestZZDupValues(t *testing.T) {
	s := zzopen(t, filepath.Join(t.TempDir(), "a.db"), nil)
	b := zzbook(t, s)
	b.Append(context.Background(), zzrec(0), zzrec(1))
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprint("v", i))
	}
	names[150] = "quantity"
	for r, err := range s.Group(context.Background(), usage.GroupRead{Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 2}, Class: usage.Plain}, Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, Values: names}) {
		t.Log(r.Records, r.Values[150], err)
	}
	for r, err := range s.Group(context.Background(), usage.GroupRead{Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 2}, Class: usage.Plain}, Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, Values: []string{"quantity", "quantity"}}) {
		t.Log(r.Records, r.Values, err)
	}
	// a panic in callback, then go on
	func() {
		defer func() { recover() }()
		for range s.Group(context.Background(), usage.GroupRead{Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 2}, Class: usage.Plain}, Group: func(*usage.Series, usage.VerdictClass) int { panic("x") }, Values: names}) {
		}
	}()
	for r, err := range s.Group(context.Background(), usage.GroupRead{Selection: usage.Selection{Scope: usage.AllTenants(), Mark: usage.Mark{Sequence: 2}, Class: usage.Plain}, Group: func(*usage.Series, usage.VerdictClass) int { return 0 }, Values: []string{"quantity"}}) {
		t.Log(r.Records, r.Values, err)
	}
}
