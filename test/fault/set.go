package fault

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Set holds the rules of one node. Its zero value has none. It is safe for
// concurrent use.
type Set struct {
	mu         sync.Mutex
	rules      []*activeRule
	conditions []Condition
	last       int // the last number given to a rule without an ID
}

type activeRule struct {
	Rule
	used     int
	released chan struct{} // closed when the rule is removed
}

// Add puts rules behind those that are there, and returns their IDs. A rule
// with the ID of another replaces it.
func (s *Set) Add(rules ...Rule) ([]string, error) {
	for _, r := range rules {
		if err := r.validate(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, r := range rules {
		if r.ID == "" {
			s.last++
			r.ID = "rule-" + strconv.Itoa(s.last)
		}
		s.remove(r.ID)
		s.rules = append(s.rules, &activeRule{Rule: r, released: make(chan struct{})})
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// Remove removes the rules and lets go the calls that they hold. Unknown IDs
// are an error, so that a test does not believe it healed something.
func (s *Set) Remove(ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if !s.remove(id) {
			return fmt.Errorf("fault rule %q: there is none", id)
		}
	}
	return nil
}

func (s *Set) remove(id string) bool {
	for i, r := range s.rules {
		if r.ID == id {
			close(r.released)
			s.rules = slices.Delete(s.rules, i, i+1)
			return true
		}
	}
	return false
}

// Clear removes all rules and conditions: the node is as new.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		close(r.released)
	}
	s.rules, s.conditions = nil, nil
}

// Rules are the rules there are, in the order in which they are tried.
func (s *Set) Rules() []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := make([]Rule, 0, len(s.rules))
	for _, r := range s.rules {
		rules = append(rules, r.Rule)
	}
	return rules
}

// SetConditions replaces what is wrong with the runtime as a whole.
func (s *Set) SetConditions(conditions ...Condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conditions = slices.Clone(conditions)
}

// Conditions are what is wrong with the runtime as a whole.
func (s *Set) Conditions() []Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.conditions)
}

// Before is called before each call of the node and does what the first
// matching rule says: it returns nil when the call shall happen, and the error
// that the caller shall get instead. The error is a gRPC status.
func (s *Set) Before(ctx context.Context, call Call, about Subject) error {
	r := s.take(call, about)
	if r == nil {
		return nil
	}
	switch r.Action {
	case Hang:
		select {
		case <-r.released:
			return nil
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	case Delay:
		return r.wait(ctx)
	default:
		if err := r.wait(ctx); err != nil {
			return err
		}
		code := r.Code
		if code == codes.OK {
			code = codes.Unknown
		}
		return status.Error(code, r.text(about))
	}
}

func (r *activeRule) wait(ctx context.Context) error {
	if r.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(r.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.released:
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	return nil
}

func (s *Set) take(call Call, about Subject) *activeRule {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.Times > 0 && r.used >= r.Times {
			continue
		}
		if r.matches(call, about) {
			r.used++
			return r
		}
	}
	return nil
}
