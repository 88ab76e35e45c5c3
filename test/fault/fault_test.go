package fault_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubectl-stuck/kubectl-stuck/test/fault"
)

func TestRuleMatches(t *testing.T) {
	cart := fault.Subject{Namespace: "shop", Pod: "cart-7d9f", Container: "cart", Image: "registry.example.com/shop/cart:v1", Source: "10.0.0.1:/exports/cart"}
	tests := map[string]struct {
		rule fault.Rule
		call fault.Call
		want bool
	}{
		"no match means all pods":             {fault.Rule{Call: fault.RunPodSandbox}, fault.RunPodSandbox, true},
		"another call is not meant":           {fault.Rule{Call: fault.RunPodSandbox}, fault.StopPodSandbox, false},
		"every means any CRI call":            {fault.Rule{Call: fault.Every}, fault.Status, true},
		"every means no mount":                {fault.Rule{Call: fault.Every}, fault.Mount, false},
		"a pod glob matches":                  {fault.Rule{Call: fault.StopContainer, Match: fault.Match{Namespace: "shop", Pod: "cart-*"}}, fault.StopContainer, true},
		"all fields must match":               {fault.Rule{Call: fault.StopContainer, Match: fault.Match{Namespace: "payments", Pod: "cart-*"}}, fault.StopContainer, false},
		"a star does not cross a slash":       {fault.Rule{Call: fault.PullImage, Match: fault.Match{Image: "registry.example.com/*"}}, fault.PullImage, false},
		"two stars at the end match the rest": {fault.Rule{Call: fault.PullImage, Match: fault.Match{Image: "registry.example.com/**"}}, fault.PullImage, true},
		"a server matches all its exports":    {fault.Rule{Call: fault.Mount, Match: fault.Match{Source: "10.0.0.1:**"}}, fault.Mount, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			set := &fault.Set{}
			tt.rule.Action = fault.Fail
			if _, err := set.Add(tt.rule); err != nil {
				t.Fatal(err)
			}
			if got := set.Before(t.Context(), tt.call, cart) != nil; got != tt.want {
				t.Errorf("matched = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestFailAnswersWithCodeAndFilledMessage(t *testing.T) {
	set := &fault.Set{}
	_, err := set.Add(fault.Rule{Call: fault.PullImage, Action: fault.Fail, Code: codes.NotFound, Message: `{image} of {namespace}/{pod}: not found`})
	if err != nil {
		t.Fatal(err)
	}
	got := status.Convert(set.Before(t.Context(), fault.PullImage, fault.Subject{Namespace: "shop", Pod: "cart", Image: "cart:v1"}))
	if got.Code() != codes.NotFound || got.Message() != "cart:v1 of shop/cart: not found" {
		t.Errorf("answered %s %q", got.Code(), got.Message())
	}
}

func TestFirstRuleThatMatchesDecides(t *testing.T) {
	set := &fault.Set{}
	_, err := set.Add(
		fault.Rule{ID: "cart", Call: fault.Every, Match: fault.Match{Pod: "cart"}, Action: fault.Fail, Message: "first"},
		fault.Rule{ID: "all", Call: fault.Every, Action: fault.Fail, Message: "second"})
	if err != nil {
		t.Fatal(err)
	}
	for pod, want := range map[string]string{"cart": "first", "checkout": "second"} {
		if got := status.Convert(set.Before(t.Context(), fault.Status, fault.Subject{Pod: pod})).Message(); got != want {
			t.Errorf("pod %s: answered %q, want %q", pod, got, want)
		}
	}
}

func TestTimesEndsARule(t *testing.T) {
	set := &fault.Set{}
	if _, err := set.Add(fault.Rule{Call: fault.StartContainer, Action: fault.Fail, Times: 2}); err != nil {
		t.Fatal(err)
	}
	var failed int
	for range 5 {
		if set.Before(t.Context(), fault.StartContainer, fault.Subject{}) != nil {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d calls failed, want 2", failed)
	}
}

func TestHangEndsWhenTheRuleIsRemoved(t *testing.T) {
	for name, release := range map[string]func(*fault.Set) error{
		"by its ID":       func(s *fault.Set) error { return s.Remove("hang") },
		"by clearing all": func(s *fault.Set) error { s.Clear(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := &fault.Set{}
				if _, err := set.Add(fault.Rule{ID: "hang", Call: fault.StopContainer, Action: fault.Hang}); err != nil {
					t.Fatal(err)
				}
				returned := make(chan error, 1)
				go func() { returned <- set.Before(context.Background(), fault.StopContainer, fault.Subject{}) }()
				time.Sleep(time.Hour)
				select {
				case <-returned:
					t.Fatal("the call did not hang")
				default:
				}
				if err := release(set); err != nil {
					t.Fatal(err)
				}
				if err := <-returned; err != nil {
					t.Errorf("the released call returned %v", err)
				}
			})
		})
	}
}

func TestHangEndsWhenTheCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := &fault.Set{}
		if _, err := set.Add(fault.Rule{Call: fault.Every, Action: fault.Hang}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if got := status.Code(set.Before(ctx, fault.Status, fault.Subject{})); got != codes.DeadlineExceeded {
			t.Errorf("answered %s, want DeadlineExceeded", got)
		}
	})
}

func TestDelayLetsTheCallHappenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := &fault.Set{}
		if _, err := set.Add(fault.Rule{Call: fault.CreateContainer, Action: fault.Delay, Delay: 90 * time.Second}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := set.Before(t.Context(), fault.CreateContainer, fault.Subject{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 90*time.Second {
			t.Errorf("the call was let go after %s", took)
		}
	})
}

func TestBadRulesAreRefused(t *testing.T) {
	for name, rule := range map[string]fault.Rule{
		"no call":          {Action: fault.Hang},
		"no action":        {Call: fault.Status},
		"an endless delay": {Call: fault.Status, Action: fault.Delay},
		"a bad pattern":    {Call: fault.Status, Action: fault.Hang, Match: fault.Match{Pod: "["}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := (&fault.Set{}).Add(rule); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

func TestClientAndServerAgree(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "faults.sock")
	set := &fault.Set{}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- fault.Serve(ctx, socket, set) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	client := fault.NewClient(socket)
	rule := fault.Rule{ID: "r", Call: fault.RunPodSandbox, Match: fault.Match{Namespace: "shop"}, Action: fault.Fail, Delay: time.Second, Code: codes.Internal, Message: "m", Times: 3}
	ids, err := untilServed(func() ([]string, error) { return client.Add(ctx, rule) })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ids, []string{"r"}) {
		t.Errorf("IDs are %q", ids)
	}
	rules, err := client.Rules(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rules, []fault.Rule{rule}) {
		t.Errorf("rules are %+v, want %+v", rules, rule)
	}
	if err := client.SetConditions(ctx, fault.NetworkLost()); err != nil {
		t.Fatal(err)
	}
	if got := set.Conditions(); !slices.Equal(got, []fault.Condition{fault.NetworkLost()}) {
		t.Errorf("conditions are %+v", got)
	}
	if err := client.Remove(ctx, "other"); err == nil || !strings.Contains(err.Error(), `"other"`) {
		t.Errorf("removing an unknown rule: %v", err)
	}
	if err := client.Clear(ctx); err != nil {
		t.Fatal(err)
	}
	if len(set.Rules()) != 0 || len(set.Conditions()) != 0 {
		t.Error("something is left after Clear")
	}
}

// untilServed repeats the first call until the socket is there.
func untilServed[T any](call func() (T, error)) (T, error) {
	var last error
	for range 100 {
		value, err := call()
		if err == nil {
			return value, nil
		}
		last = errors.Join(last, err)
		time.Sleep(20 * time.Millisecond)
	}
	var zero T
	return zero, last
}
