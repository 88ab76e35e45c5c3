package crowd

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// version is part of the name of a seeded directory: change it with the shape of the objects.
const version = 8

// Plan says how large the crowd is and what is wrong in it.
type Plan struct {
	Pods       int `json:"pods"`
	Nodes      int `json:"nodes"`
	Namespaces int `json:"namespaces"`
	// Stuck pods stand on the first StuckNodes nodes, evenly: half of them Terminating, half ContainerCreating.
	Stuck      int `json:"stuck"`
	StuckNodes int `json:"stuckNodes"`
	// Events is how many healthy pods have an event; stuck pods have two each.
	Events int `json:"events"`
}

// Sized is a crowd in the proportions that the benchmark promises: a node for each 100 pods, 200 stuck pods on 20
// nodes of 100,000 on 1,000.
func Sized(pods int) Plan {
	nodes := max(10, pods/100)
	stuckNodes := max(2, nodes/50)
	return Plan{
		Pods: pods, Nodes: nodes, Namespaces: min(50, max(5, pods/200)),
		Stuck: stuckNodes * 10, StuckNodes: stuckNodes, Events: pods / 10,
	}
}

// Disaster is a crowd in which 5 % of the pods are stuck on 30 % of the nodes.
func Disaster(pods int) Plan {
	p := Sized(pods)
	p.Stuck, p.StuckNodes = p.Pods/20, max(2, p.Nodes*3/10)
	return p
}

// Hash names the plan, and the shape that this package gives it.
func (p Plan) Hash() string {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // a struct of integers
	}
	sum := sha256.Sum256(fmt.Appendf(data, "v%d", version))
	return fmt.Sprintf("%d-%s", p.Pods, hex.EncodeToString(sum[:4]))
}

// NodeName names node i.
func NodeName(i int) string { return fmt.Sprintf("worker-%04d", i) }

// NamespaceName names namespace i.
func NamespaceName(i int) string { return fmt.Sprintf("team-%02d", i) }
