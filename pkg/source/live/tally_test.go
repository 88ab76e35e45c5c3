package live

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

func tableOf(columns string, rows ...string) string {
	var defs []string
	for _, c := range strings.Split(columns, ",") {
		defs = append(defs, `{"name":"`+c+`","type":"string","format":"","description":"x","priority":0}`)
	}
	var cells []string
	for _, r := range rows {
		cells = append(cells, `{"cells":[`+r+`],"object":null}`)
	}
	return `{"kind":"Table","metadata":{"resourceVersion":"7"},"columnDefinitions":[` + strings.Join(defs, ",") + `],"rows":[` + strings.Join(cells, ",") + `]}`
}

func TestTalliesAreReadFromTheColumnsOfEachKind(t *testing.T) {
	for name, c := range map[string]struct {
		table string
		want  []source.Tally
	}{
		"deployments": {
			tableOf("Name,Ready,Up-to-date,Available,Age", `"web","3/3",1,3,"5d"`, `"cart","0/2",0,0,"1m"`),
			[]source.Tally{{Name: "web", Wanted: 3, Have: 1}, {Name: "cart", Wanted: 2}},
		},
		"replica sets": {
			tableOf("Name,Desired,Current,Ready,Age", `"web-1",3,0,0,"5d"`, `"web-0",0,0,0,"9d"`),
			[]source.Tally{{Name: "web-1", Wanted: 3}, {Name: "web-0"}},
		},
		"daemon sets, which have up-to-date pods as well": {
			tableOf("Name,Desired,Current,Ready,Up-to-date,Available,Node Selector,Age", `"agent",5,3,3,1,3,"\u003cnone\u003e","5d"`),
			[]source.Tally{{Name: "agent", Wanted: 5, Have: 3}},
		},
		"stateful sets": {
			tableOf("Name,Ready,Age", `"db","1/3","5d"`),
			[]source.Tally{{Name: "db", Wanted: 3, Have: 1}},
		},
		"jobs": {
			tableOf("Name,Status,Completions,Duration,Age", `"a","Running","0/1","5m","5m"`, `"b","Complete","1/1","5m","5m"`, `"c","Failed","0/1","5m","5m"`, `"d","Running","0/1 of 4","5m","5m"`),
			[]source.Tally{{Name: "a", Wanted: 1}, {Name: "b", Wanted: 1, Have: 1, Over: true}, {Name: "c", Wanted: 1, Over: true}, {Name: "d", Wanted: 1}},
		},
		"jobs of a server that does not tell their status": {
			tableOf("Name,Completions,Duration,Age", `"a","0/2","5m","5m"`),
			[]source.Tally{{Name: "a", Wanted: 2}},
		},
		"cells that are no counts": {
			tableOf("Name,Desired,Current", `"a",null,{}`, `"b","x",99999999999999999999999999999999999999`, `"c",4,2.5`),
			nil, // {} is refused
		},
		"numbers as words, and too long ones": {
			tableOf("Name,Desired,Current", `"b","3",99999999999999999999999999999999999999`, `"c",4,2.5`),
			[]source.Tally{{Name: "b", Wanted: 3}, {Name: "c", Wanted: 4}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []source.Tally
			err := decodeTallies(strings.NewReader(c.table), func(row *source.Tally) { got = append(got, *row) })
			if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
				t.Errorf("got %+v, error %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestATableOfSomethingElseGivesNoTallies(t *testing.T) {
	for _, in := range []string{`{"kind":"DeploymentList","items":[]}`, tableOf("Name,Age", `"a","5d"`), `{"kind":"Table","columnDefinitions":[]}`} {
		if err := decodeTallies(strings.NewReader(in), func(*source.Tally) { t.Error("a row") }); !errors.Is(err, errNoTable) {
			t.Errorf("%s: %v, want errNoTable", in, err)
		}
	}
	whole := tableOf("Name,Desired,Current", `"a",1,1`, `"b",2,2`)
	for n := range len(whole) {
		_ = decodeTallies(strings.NewReader(whole[:n]), func(*source.Tally) {}) // cut anywhere: an error, and no panic
	}
}
