package remedy

// HostStep is one thing to do on the machine of a node, which this tool cannot do from outside.
type HostStep struct {
	// What says what to do, and Why what it is for, a sentence each.
	What string `json:"what"`
	Why  string `json:"why"`
	// Commands are for a root shell on the machine.
	Commands []string `json:"commands,omitempty"`
}

// RestoreItem is one label, taint, annotation or state of a saved node, and what is done about it.
type RestoreItem struct {
	Field string `json:"field"` // "label", "taint", "annotation", "cordon"
	Key   string `json:"key,omitempty"`
	// Saved and Now are its value then and now; absent is "".
	Saved string `json:"saved,omitempty"`
	Now   string `json:"now,omitempty"`
	// Puts tells that it is put back; Why says why, or why not.
	Puts bool   `json:"puts"`
	Why  string `json:"why"`
	// Owner is who owns it, where it is somebody's: "kubelet", "cloud-controller-manager", "node controller".
	Owner string `json:"owner,omitempty"`
}

// Stage is one part of the life of a probe.
type Stage string

// The stages, in their order.
const (
	StageCreate   Stage = "create"   // the API server takes the pod
	StageSchedule Stage = "schedule" // the scheduler binds it
	StageVolume   Stage = "volume"   // its volumes are mounted
	StageSandbox  Stage = "sandbox"  // its sandbox and network are there
	StageImage    Stage = "image"    // its image is there
	StageStart    Stage = "start"    // its container runs
	StageLog      Stage = "log"      // its log can be read through the kubelet
	StageDelete   Stage = "delete"   // it stops and is gone
)

// StageTime is how one stage went.
type StageTime struct {
	Stage Stage `json:"stage"`
	// Passed tells that it was seen to be done; Milliseconds how long it took, or how long it was waited for.
	Passed       bool  `json:"passed"`
	Milliseconds int64 `json:"milliseconds"`
	// Text says what was seen where it did not pass, or could not be told apart from another: the message of an event, the waiting reason.
	Text string `json:"text,omitempty"`
	// Untold tells that the stage was seen to end together with others: its time is counted with one of them.
	Untold bool `json:"untold,omitempty"`
}

// ProbeRun is what was seen of one probe.
type ProbeRun struct {
	Node   string      `json:"node"`
	Pod    string      `json:"pod"` // namespace/name
	Image  string      `json:"image"`
	Stages []StageTime `json:"stages"`
	// Works tells that every stage passed.
	Works bool `json:"works"`
	// Left tells that the pod could not be cleaned up, and how to do it.
	Left string `json:"left,omitempty"`
}

// Has tells that the stage was passed.
func (r *ProbeRun) Has(stage Stage) bool {
	for _, s := range r.Stages {
		if s.Stage == stage {
			return s.Passed
		}
	}
	return false
}

// ProbeResult is the probe of a node beside that of a healthy one.
type ProbeResult struct {
	Run ProbeRun `json:"run"`
	// Beside is the same on a healthy node; nil where there was none to compare with, and Alone says why.
	Beside *ProbeRun `json:"beside,omitempty"`
	Alone  string    `json:"alone,omitempty"`
	// Works tells that the node does all of it. Verdict says in a sentence or two what follows: whether it is the node, and which stage does not work.
	Works   bool   `json:"works"`
	Verdict string `json:"verdict"`
	// Reach is what the probe settles an undecided reach to: "node", "pod", "cluster"; empty where it settles nothing.
	Reach string `json:"reach,omitempty"`
}
