package remedy

import (
	"encoding/json"
	"time"
)

// Who is who changed something.
type Who struct {
	// User is the name at the machine, and Host the machine's.
	User string `json:"user,omitempty"`
	Host string `json:"host,omitempty"`
	// Kubernetes is whom the API server took the request for, with Groups; empty where it would not say.
	Kubernetes string   `json:"kubernetes,omitempty"`
	Groups     []string `json:"groups,omitempty"`
	// As is whom the person acted as (--as).
	As string `json:"as,omitempty"`
}

// Record is the beginning of a run's journal: all that is needed to know what was to be done, and to take it back.
type Record struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"` // StuckRun
	ID         string    `json:"id"`
	Time       time.Time `json:"time"` // by this machine's clock
	Version    string    `json:"version"`
	Args       []string  `json:"args,omitempty"`
	Who        Who       `json:"who"`
	Plan       Plan      `json:"plan"`
	// Objects are the objects as they were, whole, one for each act; null where the act creates one.
	Objects []json.RawMessage `json:"objects"`
	// Kept are objects that go with what is changed and have no act of their own, whole: the pods of a Node that is deleted.
	Kept []json.RawMessage `json:"kept,omitempty"`
}

// EntryType is what a later line of the journal tells.
type EntryType string

// The types of entries.
const (
	Intent  EntryType = "intent"  // the call is about to be sent
	Result  EntryType = "outcome" // what came of it
	Proof   EntryType = "proof"   // what was seen afterwards
	Replan  EntryType = "replan"  // the object had changed; the guards were run again, and this is the act as it is now
	Message EntryType = "message"
	End     EntryType = "end" // the run ended, with its status
)

// Entry is one line that is added to a run's journal.
type Entry struct {
	Time    time.Time `json:"time"`
	Type    EntryType `json:"type"`
	Act     int       `json:"act"`
	Step    int       `json:"step"`
	Attempt int       `json:"attempt,omitempty"`
	// Request is what is sent, of an intent: "DELETE /api/v1/namespaces/shop/pods/cart-0", with its body.
	Request string          `json:"request,omitempty"`
	Body    json.RawMessage `json:"body,omitempty"`
	Outcome *Outcome        `json:"outcome,omitempty"`
	Now     *Act            `json:"now,omitempty"` // of a replan
	// Object is the object as it was just before a replan, whole.
	Object json.RawMessage `json:"object,omitempty"`
	Status Status          `json:"status,omitempty"` // of the end
	Text   string          `json:"text,omitempty"`
}

// History is one run as its journal tells it.
type History struct {
	Record  `json:",inline"`
	Entries []Entry `json:"entries"`
	// Torn tells that the journal ends in the middle of a line: the process was ended while it wrote.
	Torn bool `json:"torn,omitempty"`
	// Path is the file.
	Path string `json:"path,omitempty"`
}
