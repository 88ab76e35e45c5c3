package dump_test

import (
	"encoding/json"
	"testing"

	"sigs.k8s.io/yaml"
)

func toYAML(t testing.TB, json string) []byte {
	t.Helper()
	out, err := yaml.JSONToYAML([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
