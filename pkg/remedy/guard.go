package remedy

import (
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// Level is what a guard says to a plan.
type Level string

// The levels.
const (
	Warn  Level = "warn"
	Block Level = "block"
)

// Verdict is what one guard says of one act, or of a whole run.
type Verdict struct {
	// Guard is its name: "at-most-one".
	Guard string `json:"guard"`
	Level Level  `json:"level"`
	// Reason says what was seen and what follows from it, in one or two sentences.
	Reason string `json:"reason"`
	// Override is the flag that lifts a block, with what it takes: "--even-in-grace", `--attest "…"`; empty where nothing does.
	Override string `json:"override,omitempty"`
	// Lifted tells that the person lifted it. The reason stays true.
	Lifted bool `json:"lifted,omitempty"`
	// By is what lifted it: the flag, or the words of the attestation.
	By string `json:"by,omitempty"`
	// WouldNotHelp tells that the verdict speaks of the step's use, and not of its danger.
	WouldNotHelp bool                `json:"wouldNotHelp,omitempty"`
	Evidence     []diagnose.Evidence `json:"evidence,omitempty"`
}

// Blocks tells whether the verdict forbids the act.
func (v Verdict) Blocks() bool { return v.Level == Block && !v.Lifted }

// Guard is a check that can allow an act, warn of it or block it.
type Guard struct {
	Name string // short and stable, kebab-case
	// Prevents says what would happen without it, for docs/SAFETY.md.
	Prevents string
	// Flag is what lifts it, without its dashes; empty where nothing does. Lifts is the flag as help shows it: `--attest "…"`.
	Flag, Lifts string
	// For are the remedies that it guards; none means every one that the tool carries out.
	For []ID
	// Needs are the kinds that it looks at, beyond the pod. What could not be read never allows.
	Needs []snapshot.Kind
	// Check judges one act about a pod. It returns nothing where it has nothing to say. A block that the person lifted is returned as lifted.
	Check func(*Case, Remedy) []Verdict
	// Node judges what is to be done to a node. A guard has Check, Node or both, or Run.
	Node func(*NodeCase, ID) []Verdict
	// Run judges all acts of a run together.
	Run func(*Run) []Verdict
}
