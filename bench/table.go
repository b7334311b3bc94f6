package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// row is one number of the table.
type row struct {
	Case    string  `json:"case"`
	What    string  `json:"what"`
	Product float64 `json:"product"`
	Limit   float64 `json:"limit,omitempty"` // of a count: what must be; 0 = there is none
	Unit    string  `json:"unit"`
	Ratio   float64 `json:"ratio,omitempty"`
	Target  string  `json:"target"`
	Pass    bool    `json:"pass"`
	Count   bool    `json:"count"` // must be right whatever the machine
}

// exact is a count that must be what it must be.
func exact(what string, got, want int) row {
	return row{What: what, Product: float64(got), Limit: float64(want), Unit: "rows", Target: fmt.Sprintf("= %d", want), Pass: got == want, Count: true}
}

// atLeast is a rate: it must reach least (0 = no bound) and share of the limit's (0 = no bound).
func atLeast(what string, got, limit float64, unit string, least, share float64) row {
	r := row{What: what, Product: got, Limit: limit, Unit: unit, Ratio: over(got, limit)}
	r.Pass = got >= least && (share == 0 || r.Ratio >= share)
	r.Target = target(">=", least, share)
	return r
}

// atMost is a cost: it must stay within most (0 = no bound) and times that of the limit (0 = no bound).
func atMost(what string, got, limit float64, unit string, most, times float64) row {
	r := row{What: what, Product: got, Limit: limit, Unit: unit, Ratio: over(got, limit)}
	r.Pass = (most == 0 || got <= most) && (times == 0 || r.Ratio <= times)
	r.Target = target("<=", most, times)
	return r
}

func over(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func target(sign string, bound, ratio float64) string {
	switch {
	case bound != 0 && ratio != 0:
		return fmt.Sprintf("%s %s, %s %gx", sign, number(bound), sign, ratio)
	case bound != 0:
		return sign + " " + number(bound)
	case ratio != 0:
		return fmt.Sprintf("%s %gx", sign, ratio)
	}
	return "-"
}

// number is short and exact enough for a table.
func number(v float64) string {
	switch {
	case v == float64(int64(v)):
		return fmt.Sprintf("%d", int64(v))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// report is a run.
type report struct {
	At         time.Time `json:"at"`
	Size       float64   `json:"size"`
	Seconds    float64   `json:"seconds"`
	LoadBefore string    `json:"load_before"`
	LoadAfter  string    `json:"load_after"`
	Rows       []row     `json:"rows"`
}

func (r report) print(out io.Writer) {
	_, _ = fmt.Fprintf(out, "size %g, %.0f s, load of the machine %s before and %s after\n\n", r.Size, r.Seconds, r.LoadBefore, r.LoadAfter)
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "case\tproduct\tlimit\tratio\ttarget\tpass")
	for _, row := range r.Rows {
		limit, ratio, pass := "-", "-", "ok"
		if row.Limit != 0 {
			limit = number(row.Limit)
		}
		if row.Ratio != 0 {
			ratio = number(row.Ratio)
		}
		switch {
		case row.Pass:
		case row.Count:
			pass = "WRONG"
		default:
			pass = "FAIL"
		}
		_, _ = fmt.Fprintf(t, "%s: %s\t%s %s\t%s\t%s\t%s\t%s\n", row.Case, row.What, number(row.Product), row.Unit, limit, ratio, row.Target, pass)
	}
	_ = t.Flush()
}

func (r report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o600)
}

func (r report) wrong() bool {
	for _, row := range r.Rows {
		if row.Count && !row.Pass {
			return true
		}
	}
	return false
}
