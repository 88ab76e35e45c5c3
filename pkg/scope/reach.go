package scope

// Reach is what a failure spans.
type Reach string

// The reaches.
const (
	ReachPod       Reach = "pod"     // this pod, or this workload, for a reason of its own
	ReachNode      Reach = "node"    // the node it is on
	ReachShared    Reach = "shared"  // something that pods of several nodes have in common
	ReachCluster   Reach = "cluster" // the control plane, or so many nodes that it must be suspected
	ReachUndecided Reach = "undecided"
)

// Reaches lists what a cause can span. Undecided is a verdict, and no cause's.
func Reaches() []Reach { return []Reach{ReachPod, ReachNode, ReachShared, ReachCluster} }

// Confidence is how sure a statement is.
type Confidence string

// The degrees of confidence.
const (
	Certain  Confidence = "certain"  // the evidence leaves no other explanation
	Likely   Confidence = "likely"   // the usual explanation of such evidence
	Possible Confidence = "possible" // one of several
)

// Rank orders degrees of confidence, the surest highest.
func (c Confidence) Rank() int {
	switch c {
	case Certain:
		return 3
	case Likely:
		return 2
	case Possible:
		return 1
	default:
		return 0
	}
}
