package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// incident is one file.
type incident struct {
	ID      string `json:"id"`
	Truth   string `json:"cause_short"`
	State   string `json:"symptom_state"`
	Version string `json:"k8s_version"`

	Evidence struct {
		Events     []event        `json:"events"`
		Conditions []string       `json:"node_conditions"`
		Lines      []string       `json:"node_log_lines"`
		Facts      map[string]any `json:"pod_yaml_facts"`
	} `json:"evidence"`
}

type event struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Source  string `json:"source"`
}

// read reads every *.json of a folder, by name.
func read(dir string) ([]incident, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("folder %s: %w", dir, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("folder %s holds no *.json", dir)
	}
	slices.Sort(paths)
	var out []incident
	var bad []error
	for _, path := range paths {
		raw, err := os.ReadFile(path) //nolint:gosec // the folder is the caller's
		if err != nil {
			bad = append(bad, err)
			continue
		}
		var i incident
		if err := json.Unmarshal(raw, &i); err != nil {
			bad = append(bad, fmt.Errorf("%s: %w", path, err))
			continue
		}
		if i.Truth == "" {
			bad = append(bad, fmt.Errorf("%s: cause_short is missing", path))
			continue
		}
		if i.ID == "" {
			i.ID = strings.TrimSuffix(filepath.Base(path), ".json")
		}
		out = append(out, i)
	}
	return out, errors.Join(bad...)
}
