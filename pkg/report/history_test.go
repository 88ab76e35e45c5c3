package report

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestManifestsOfPodsAreWhatAnUndoCreates(t *testing.T) {
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db-0","namespace":"shop","uid":"u","generateName":"x","ownerReferences":[{"kind":"StatefulSet","name":"db","uid":"o","controller":true}]},` +
		`"spec":{"nodeName":"w1","priority":0,"containers":[{"name":"c","image":"i"}],"ephemeralContainers":[{"name":"d"}]},"status":{"phase":"Running"}}`
	node := `{"apiVersion":"v1","kind":"Node","metadata":{"name":"w1","uid":"u","resourceVersion":"7","labels":{"a":"b"}},"status":{}}`
	r := &Run{Objects: []json.RawMessage{json.RawMessage(pod), json.RawMessage("null"), json.RawMessage(node)}}
	got, err := r.Manifests()
	want := []string{
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"db-0","namespace":"shop"},"spec":{"containers":[{"name":"c","image":"i"}]}}`,
		`{"apiVersion":"v1","kind":"Node","metadata":{"labels":{"a":"b"},"name":"w1"}}`,
	}
	if err != nil || len(got) != len(want) || string(got[0]) != want[0] || string(got[1]) != want[1] {
		t.Errorf("%v\n%s", err, got)
	}
	for _, bad := range []string{"", "[]", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}`, `{"apiVersion":"v1","kind":"Pod","spec":7}`} {
		r.Objects[1] = json.RawMessage(bad)
		if got, err := r.Manifests(); err == nil || !strings.Contains(err.Error(), "object 1") {
			t.Errorf("%q makes %s (%v)", bad, got, err)
		}
	}
}
