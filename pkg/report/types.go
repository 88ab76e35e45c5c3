package report

import (
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/scope"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// The version and kind of the document.
const (
	APIVersion = "kubectl-stuck.dev/v1alpha1"
	Kind       = "StuckReport"
)

// Report is what is stuck, why, and what to do. Times are UTC; durations are whole seconds in fields that end in "Seconds".
type Report struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	TakenAt    time.Time       `json:"takenAt"`
	Origin     snapshot.Origin `json:"origin"`
	// Asked says what the report is limited to.
	Asked   Asked   `json:"asked"`
	Summary Summary `json:"summary"`
	// Groups are the stuck pods by node, worst first; pods without a node are a group with no node name.
	Groups []Group  `json:"groups"`
	Shared []Shared `json:"shared"`
	// Objects are stuck and are no pods: workloads that cannot create theirs, and namespaces that do not go.
	Objects []Object `json:"objects"`
	// Waiting are pods that are on their way: in their grace period or younger than their threshold.
	Waiting []Pod  `json:"waiting"`
	Gaps    []Gap  `json:"gaps"`
	Skipped []Skip `json:"skipped"`
	// Well are pods that were asked for by name and are neither stuck nor waiting.
	Well []PodLine `json:"well,omitempty"`
	// Nodes is set where nodes were asked for: the overview, or the whole story of some.
	Nodes []NodeStory `json:"nodes,omitempty"`
}

// Asked says what the report was limited to.
type Asked struct {
	Namespace     string   `json:"namespace,omitempty"` // empty: all
	Names         []string `json:"names,omitempty"`
	Nodes         []string `json:"nodes,omitempty"`
	LabelSelector string   `json:"labelSelector,omitempty"`
	FieldSelector string   `json:"fieldSelector,omitempty"`
	States        []string `json:"states,omitempty"`
}

// Summary counts.
type Summary struct {
	StuckPods  int `json:"stuckPods"`
	StuckNodes int `json:"stuckNodes"` // nodes with a stuck pod
	NodeWide   int `json:"nodeWide"`   // of those, judged to be the node's own failure
	Shared     int `json:"shared"`     // of those, judged to be a shared failure
	Undecided  int `json:"undecided"`
	Waiting    int `json:"waiting"`
	// StuckObjects are those of Objects.
	StuckObjects int `json:"stuckObjects"`
	Pods         int `json:"pods"`  // looked at
	Nodes        int `json:"nodes"` // looked at
	// Complete is false where something that bears on the answer could not be read.
	Complete bool `json:"complete"`
}

// Group is the stuck pods of one node.
type Group struct {
	Node       string           `json:"node"`
	Reach      scope.Reach      `json:"reach"`
	Confidence scope.Confidence `json:"confidence"`
	Why        []string         `json:"why"`
	Decide     string           `json:"decide,omitempty"`
	Total      int              `json:"total"`
	Healthy    int              `json:"healthy"`
	Stuck      int              `json:"stuck"`
	Facts      *NodeFacts       `json:"facts,omitempty"`
	Findings   []Finding        `json:"findings"`
	Pods       []Pod            `json:"pods"`
	// Next is the command to run next.
	Next string `json:"next"`
	// Logs is what the node's own logs say, where they were asked for with a pod.
	Logs *NodeLogs `json:"logs,omitempty"`
}

// NodeFacts is what the API knows of a node.
type NodeFacts struct {
	Exists          bool       `json:"exists"`
	Ready           string     `json:"ready"`
	ReadyReason     string     `json:"readyReason,omitempty"`
	ReadyMessage    string     `json:"readyMessage,omitempty"`
	ReadySince      *time.Time `json:"readySince,omitempty"`
	LeaseAgeSeconds *int64     `json:"leaseAgeSeconds,omitempty"`
	LeaseAge        string     `json:"leaseAge,omitempty"` // the same for people: "4s"
	LeaseStale      bool       `json:"leaseStale"`
	Cordoned        bool       `json:"cordoned"`
	Taints          []string   `json:"taints,omitempty"`
	Kubelet         string     `json:"kubelet,omitempty"`
	Runtime         string     `json:"runtime,omitempty"`
	Kernel          string     `json:"kernel,omitempty"`
	OSImage         string     `json:"osImage,omitempty"`
	Zone            string     `json:"zone,omitempty"`
}

// Pod is one stuck, or waiting, pod.
type Pod struct {
	Namespace  string           `json:"namespace"`
	Name       string           `json:"name"`
	UID        string           `json:"uid"`
	Node       string           `json:"node"`
	State      stuck.State      `json:"state"`
	Status     string           `json:"status"` // the STATUS word that kubectl prints
	Stage      stuck.Stage      `json:"stage,omitempty"`
	Reach      scope.Reach      `json:"reach,omitempty"`
	Confidence scope.Confidence `json:"confidence,omitempty"`
	Since      time.Time        `json:"since"`
	// StuckForSeconds counts from Since to the moment the picture was taken.
	StuckForSeconds  int64         `json:"stuckForSeconds"`
	StuckFor         string        `json:"stuckFor"` // the same for people: "14m"
	ThresholdSeconds int64         `json:"thresholdSeconds"`
	ClearsBy         *time.Time    `json:"clearsBy,omitempty"`
	ClearsWhy        string        `json:"clearsWhy,omitempty"`
	Owner            *snapshot.Ref `json:"owner,omitempty"`
	Finalizers       []string      `json:"finalizers,omitempty"`
	// FinalizerOwners is set for pods that are being deleted and have finalizers.
	FinalizerOwners []FinalizerOwner `json:"finalizerOwners,omitempty"`
	// Removal is set for pods that are being deleted and for which somebody is asked before they may go.
	Removal *Removal `json:"removal,omitempty"`
	// Volumes are those of a stuck pod that may wait for them, or for their unmounting, and what they rest on.
	Volumes []PodVolume `json:"volumes,omitempty"`
	// Events tells what the events tell about it: spoken, silent, gone (it is stuck for longer than they are kept, so their absence says nothing)
	// or unread.
	Events   diagnose.Hearing `json:"events"`
	Findings []Finding        `json:"findings"`
	// Unexplained is set where nothing in the catalogue explains the pod: what was looked at, and what could not be.
	Unexplained *Unexplained `json:"unexplained,omitempty"`
}

// Unexplained says what was looked at in vain.
type Unexplained struct {
	LookedAt []string `json:"lookedAt"`
	Missing  []string `json:"missing,omitempty"`
}

// Finding is a cause applied to a subject.
type Finding struct {
	Code         diagnose.Code       `json:"code"`
	Slug         string              `json:"slug"`
	Title        string              `json:"title"`
	Subject      snapshot.Ref        `json:"subject"`
	Reach        scope.Reach         `json:"reach,omitempty"`
	Confidence   scope.Confidence    `json:"confidence"`
	Message      string              `json:"message"`
	Evidence     []diagnose.Evidence `json:"evidence"`
	Explains     []snapshot.Ref      `json:"explains,omitempty"`
	Alternatives []string            `json:"alternatives,omitempty"`
	Decide       string              `json:"decide,omitempty"`
	Remedies     []Remedy            `json:"remedies"`
}

// Remedy is one rung of the ladder, least dangerous first.
type Remedy struct {
	ID      string        `json:"id"`
	Risk    diagnose.Risk `json:"risk"`
	Text    string        `json:"text"`
	Command string        `json:"command,omitempty"`
}

// Shared is what stuck pods on several nodes have in common.
type Shared struct {
	Kind       string           `json:"kind"`
	Name       string           `json:"name"`
	Pods       []snapshot.Ref   `json:"pods"`
	Nodes      []string         `json:"nodes"`
	Owners     int              `json:"owners"`
	Healthy    int              `json:"healthy"`
	Confidence scope.Confidence `json:"confidence"`
	Why        string           `json:"why"`
}

// Gap is something that could not be read.
type Gap = snapshot.Gap

// Skip is a cause that was not tried, and why.
type Skip = diagnose.Skip

// NodeStory is one node with everything about it that bears on stuck pods.
type NodeStory struct {
	Name       string           `json:"name"`
	Reach      scope.Reach      `json:"reach,omitempty"` // empty where nothing is stuck there and the node is well
	Confidence scope.Confidence `json:"confidence,omitempty"`
	Why        []string         `json:"why"`
	Decide     string           `json:"decide,omitempty"`
	Facts      NodeFacts        `json:"facts"`
	Roles      []string         `json:"roles,omitempty"`
	Total      int              `json:"total"`
	Healthy    int              `json:"healthy"`
	Stuck      int              `json:"stuck"`
	Waiting    int              `json:"waiting"`
	Findings   []Finding        `json:"findings"`

	// What follows is filled for nodes that were asked for by name.
	Conditions  []NodeCondition `json:"conditions,omitempty"`
	HealthyPods []PodLine       `json:"healthyPods,omitempty"`
	OtherPods   []PodLine       `json:"otherPods,omitempty"` // neither healthy nor stuck: ended, not ready
	Volumes     []NodeVolume    `json:"volumes,omitempty"`
	Budgets     []Budget        `json:"budgets,omitempty"`
	Events      []EventLine     `json:"events,omitempty"`
	// IfDeleted says what deleting the Node object would mean, one statement each.
	IfDeleted []string `json:"ifDeleted,omitempty"`
	Next      string   `json:"next,omitempty"`
	// Logs is what the node's own logs say, where they were asked for.
	Logs *NodeLogs `json:"logs,omitempty"`
}

// NodeCondition is one condition of a node.
type NodeCondition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since"`
	Bad     bool      `json:"bad"`
}

// PodLine is a pod that is not stuck.
type PodLine struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Status    string        `json:"status"`
	Owner     *snapshot.Ref `json:"owner,omitempty"`
	// ReadySince is when it last became Ready.
	ReadySince *time.Time `json:"readySince,omitempty"`
}

// NodeVolume is a volume that the API says is attached to, or used on, the node.
type NodeVolume struct {
	Name     string         `json:"name"`   // of the PersistentVolume, or server:path
	Driver   string         `json:"driver"` // CSI driver or volume plugin
	Attached bool           `json:"attached"`
	Detail   string         `json:"detail,omitempty"` // detach or attach error, deletion under way
	Pods     []snapshot.Ref `json:"pods"`
}

// Budget is a PodDisruptionBudget that covers pods of the node.
type Budget struct {
	Namespace          string `json:"namespace"`
	Name               string `json:"name"`
	DisruptionsAllowed int32  `json:"disruptionsAllowed"`
	Pods               int    `json:"pods"` // pods of this node that it covers
}

// EventLine is an event about the node.
type EventLine struct {
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Count   int32     `json:"count"`
	Last    time.Time `json:"last"`
}
