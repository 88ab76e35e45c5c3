package snapshot

import "testing"

func TestRank(t *testing.T) {
	if _, ok := Rank("b"); ok {
		t.Error("b has a rank")
	}
}
