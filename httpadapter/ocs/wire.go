package ocs

import (
	"strconv"

	"github.com/shopspring/decimal"

	"github.com/usagebook/usagebook/httpadapter"
)

// write answers the rows: for each period the namespaces in order, or the one
// row of the tenant.
func (s *service) write(c *httpadapter.Call, tenant httpadapter.Tenant, periods []period, namespaces []string, grouped bool, rows map[place]*total) error {
	type line struct {
		place
		region int
	}
	var lines []line
	if !grouped {
		lines = []line{{place{absent: true}, tenant.ClusterRegion}}
	} else {
		for p := range rows {
			if p.absent {
				lines = append(lines, line{place{absent: true}, tenant.ClusterRegion})
				break
			}
		}
		for _, n := range namespaces {
			l := line{place{namespace: n}, tenant.ClusterRegion}
			for _, known := range tenant.Namespaces {
				if known.ID == n && known.ClusterRegion != nil {
					l.region = *known.ClusterRegion
				}
			}
			lines = append(lines, l)
		}
	}
	// Every total is made an integer before the first byte is written: an answer
	// that has begun cannot become an error any more.
	figures := make(map[place][4]int64, len(rows))
	for p, t := range rows {
		var row [4]int64
		for d := range 2 {
			var err error
			if row[2*d], err = s.rounding.Integer(t.events[d], s.meters, s.values[d]); err != nil {
				return err
			}
			streams := t.unnamed[d].Add(decimal.NewFromInt(t.streams[d]))
			if row[2*d+1], err = s.rounding.Integer(streams, s.meters, s.values[ingressStreams+d]); err != nil {
				return err
			}
		}
		figures[p] = row
	}
	return c.Stream(200, httpadapter.JSONType, func(out *httpadapter.Stream) error {
		open := byte('[')
		for i, p := range periods {
			for _, l := range lines {
				l.period = i
				err := out.Append(func(b []byte) []byte {
					b = httpadapter.AppendTime(append(append(b, open), `{"Date":`...), p.start, httpadapter.ISO)
					b = httpadapter.AppendString(append(b, `,"TenantId":`...), tenant.ID)
					if b = append(b, `,"NamespaceId":`...); l.absent {
						b = append(b, "null"...)
					} else {
						b = httpadapter.AppendString(b, l.namespace)
					}
					row := figures[l.place]
					b = strconv.AppendInt(append(b, `,"ClusterRegion":`...), int64(l.region), 10)
					b = strconv.AppendInt(append(b, `,"IngressEvents":`...), row[0], 10)
					b = strconv.AppendInt(append(b, `,"IngressStreamsAccessed":`...), row[1], 10)
					b = strconv.AppendInt(append(b, `,"EgressEvents":`...), row[2], 10)
					b = strconv.AppendInt(append(b, `,"EgressStreamsAccessed":`...), row[3], 10)
					return append(b, '}')
				})
				if err != nil {
					return err
				}
				open = ','
			}
		}
		return out.Append(func(b []byte) []byte {
			if open == '[' {
				b = append(b, '[')
			}
			return append(b, ']')
		})
	})
}
