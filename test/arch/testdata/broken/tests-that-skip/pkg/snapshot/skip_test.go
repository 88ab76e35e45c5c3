package snapshot

import (
	"testing"
	check "testing"
)

type suite struct{ tb testing.TB }

type reader struct{}

func (reader) Skip() {}

func TestSkips(t *testing.T) {
	if testing.Short() { // want tests-run "testing.Short"
		t.Skip("no") // want tests-run "t.Skip"
	}
	reader{}.Skip()
	var r reader
	r.Skip()
	s := suite{tb: t}
	s.tb.SkipNow() // want tests-run "tb.SkipNow"
}

func require(on check.TB) {}

func needs(this *testing.B) {
	this.Skipf("no") // want tests-run "this.Skipf"
}
