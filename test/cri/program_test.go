package cri

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgramsEnd(t *testing.T) {
	tests := map[string]struct {
		command []string
		after   time.Duration
		code    int32
	}{
		"sleep alone":                  {[]string{"sleep", "5"}, 5 * time.Second, 0},
		"sleep with a unit":            {[]string{"sleep", "2m"}, 2 * time.Minute, 0},
		"a script ends with its code":  {[]string{"sh", "-c", "sleep 3; exit 7"}, 3 * time.Second, 7},
		"a script over several lines":  {[]string{"/bin/sh", "-c", "echo begin\nsleep 1\nsleep 2\n"}, 3 * time.Second, 0},
		"false":                        {[]string{"sh", "-c", "sleep 1 && false"}, time.Second, 1},
		"what comes after exit is not": {[]string{"sh", "-c", "exit 2; sleep 60"}, 0, 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				code, err := parseProgram(tt.command, nil).run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != tt.after || code != tt.code {
					t.Errorf("ended after %s with %d, want after %s with %d", took, code, tt.after, tt.code)
				}
			})
		})
	}
}

func TestServersRunUntilTheyAreEnded(t *testing.T) {
	for name, command := range map[string][]string{
		"no command":       nil,
		"a program":        {"/app/server", "--port=8080"},
		"a sleep for ever": {"sleep", "infinity"},
		"a script":         {"sh", "-c", "trap '' TERM; exec /app/server"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
				defer cancel()
				if _, err := parseProgram(command, nil).run(ctx); err == nil {
					t.Error("it ended by itself")
				}
			})
		})
	}
}

func TestUnknownWordsInAHookSucceedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		code, err := parseHook([]string{"sh", "-c", "/app/drain; sleep 4"}).run(t.Context())
		if err != nil || code != 0 || time.Since(start) != 4*time.Second {
			t.Errorf("ended after %s with %d, %v", time.Since(start), code, err)
		}
	})
}

func TestStopHonoursTheGracePeriod(t *testing.T) {
	tests := map[string]struct {
		command []string
		grace   time.Duration
		after   time.Duration
		code    int32
	}{
		"a server ends cleanly and soon":     {[]string{"/app/server"}, 30 * time.Second, termDelay, 0},
		"a shell says that it was ended":     {[]string{"sh", "-c", "sleep 3600"}, 30 * time.Second, termDelay, codeTerminated},
		"who ignores SIGTERM gets all of it": {[]string{"sh", "-c", "trap '' TERM; sleep 3600"}, 30 * time.Second, 30 * time.Second, codeKilled},
		"no grace is a kill":                 {[]string{"/app/server"}, 0, 0, codeKilled},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &container{program: parseProgram(tt.command, nil), gone: make(chan struct{})}
				c.start()
				start := time.Now()
				if err := c.stop(t.Context(), tt.grace); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took != tt.after || c.code != tt.code {
					t.Errorf("ended after %s with %d, want after %s with %d", took, c.code, tt.after, tt.code)
				}
			})
		})
	}
}

func TestDigestRef(t *testing.T) {
	for name, want := range map[string]string{
		"registry.example.com:5000/shop/cart:v1": "registry.example.com:5000/shop/cart@",
		"registry.example.com:5000/shop/cart":    "registry.example.com:5000/shop/cart@",
	} {
		if got := digestRef(name); len(got) <= len(want) || got[:len(want)] != want {
			t.Errorf("digestRef(%q) = %q, want prefix %q", name, got, want)
		}
	}
}
