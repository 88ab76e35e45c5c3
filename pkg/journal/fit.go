package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
)

// unfitError says that something is not for the journal, whatever the disk.
type unfitError struct{ error }

func unfitf(format string, a ...any) error { return unfitError{fmt.Errorf(format, a...)} }

func isUnfit(err error) bool {
	var e unfitError
	return errors.As(err, &e)
}

// isFull tells errors of a disk, quota or limit without room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// fit completes a record, and refuses one that would not do as a journal.
func fit(rec *remedy.Record) error {
	if rec.APIVersion == "" {
		rec.APIVersion = remedy.APIVersion
	}
	if rec.Kind == "" {
		rec.Kind = remedy.KindRun
	}
	if rec.APIVersion != remedy.APIVersion || rec.Kind != remedy.KindRun {
		return unfitf("%s %s is not what a journal begins with", rec.APIVersion, rec.Kind)
	}
	if len(rec.Objects) != len(rec.Plan.Acts) {
		return unfitf("the plan has %d acts, and %d objects were given to be kept", len(rec.Plan.Acts), len(rec.Objects))
	}
	for i, raw := range rec.Objects {
		if err := harmless(raw); err != nil {
			return fmt.Errorf("object %d: %w", i, err)
		}
	}
	for i, raw := range rec.Kept {
		if err := harmless(raw); err != nil {
			return fmt.Errorf("kept object %d: %w", i, err)
		}
	}
	for _, act := range rec.Plan.Acts {
		for _, step := range act.Steps {
			if err := harmless(step.Manifest); err != nil {
				return fmt.Errorf("%s: %w", act.Target, err)
			}
		}
	}
	return nil
}

// harmless refuses objects that hold what is nobody's business: any Secret, and a ConfigMap with data. Nothing in this tool reads those; this is here
// for the day on which something does. An object that does not say its kind is refused, since nobody knows what it is; null and nothing are none.
func harmless(raw json.RawMessage) error {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil
	}
	var o struct {
		Kind       string                     `json:"kind"`
		Data       map[string]json.RawMessage `json:"data"`
		BinaryData map[string]json.RawMessage `json:"binaryData"`
		Items      []json.RawMessage          `json:"items"`
	}
	if err := json.Unmarshal(raw, &o); err != nil {
		// A field of another shape is of a kind that is not looked for; what is no JSON object is none of Kubernetes'.
		var shape *json.UnmarshalTypeError
		if !errors.As(err, &shape) || shape.Field == "" || shape.Field == "kind" {
			return unfitError{fmt.Errorf("not an object of Kubernetes: %w", err)}
		}
	}
	switch {
	case o.Kind == "":
		return unfitf("an object that does not say its kind")
	case o.Kind == "Secret", o.Kind == "SecretList":
		return unfitf("a Secret is never kept")
	case o.Kind == "ConfigMap" && len(o.Data)+len(o.BinaryData) > 0:
		return unfitf("the data of a ConfigMap is never kept")
	}
	for _, item := range o.Items {
		if err := harmless(item); err != nil {
			return err
		}
	}
	return nil
}
