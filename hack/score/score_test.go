package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

func TestIncidentsAreScored(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-min", "100", "testdata"}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{"2 incidents read, 1 of them with events, 1 with log lines", "right 1 of 1"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestAnswersAreJudged(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []answer
		want    verdict
	}{
		{"nothing", nil, miss},
		{"the cause", []answer{{"a", diagnose.Likely, nil}}, hit},
		{"the cause among those that cannot be told apart", []answer{{"b", diagnose.Likely, []string{"a"}}}, named},
		{"as sure as another", []answer{{"b", diagnose.Likely, nil}, {"a", diagnose.Likely, nil}}, named},
		{"below another", []answer{{"b", diagnose.Likely, nil}, {"a", diagnose.Possible, nil}}, listed},
		{"another", []answer{{"b", diagnose.Likely, nil}}, wrong},
		{"another, for certain", []answer{{"b", diagnose.Certain, nil}, {"a", diagnose.Possible, nil}}, certain},
	} {
		if got := judge(c.answers, "a"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestWhatCannotBeScoredIsAnError(t *testing.T) {
	var out bytes.Buffer
	for _, args := range [][]string{{}, {"no-such-folder"}, {"testdata", "testdata"}} {
		if err := run(args, &out); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
