package sourcetest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
)

// sameCounts compares the counts of workloads.
func sameCounts(ctx context.Context, t *testing.T, reference, b source.Backend) {
	t.Helper()
	seen := 0
	for _, k := range snapshot.Workloads() {
		for _, r := range []source.ListRequest{{Kind: k}, {Kind: k, Namespace: "shop"}, {Kind: k, LabelSelector: "!pod-template-hash"}} {
			count := func(b source.Backend) (rows []source.Tally) {
				if err := b.Counts(ctx, r, func(row *source.Tally) { rows = append(rows, *row) }); err != nil {
					t.Errorf("%+v: %v", r, err)
				}
				slices.SortFunc(rows, func(a, b source.Tally) int { return strings.Compare(show(a), show(b)) })
				return rows
			}
			want, got := count(reference), count(b)
			seen += len(want)
			if !slices.Equal(want, got) {
				t.Errorf("%+v: want %s, got %s", r, show(want), show(got))
			}
		}
	}
	if seen == 0 {
		t.Error("there are no workloads, so this compares nothing")
	}
}
