package snapshot

import "sort"

// Census counts the pods of every node by the STATUS word that kubectl prints. It is made from one
// cheap list, so the words are a hint and not a verdict: full objects decide (a pod in a terminal
// phase reads "Completed" although it is being deleted).
type Census struct {
	// Namespace is the one namespace that was counted; empty means all of them.
	Namespace string `json:"namespace,omitempty"`
	// Partial is true where pods that bear on the answer could not be counted or read: a list that failed or was cut, or pods of other
	// namespaces on the nodes in question.
	Partial bool `json:"partial,omitempty"`
	// Nodes has an entry for each node with a pod; the key "" counts pods without a node.
	Nodes map[string]*NodeCount `json:"nodes"`
}

// NodeCount counts the pods of one node.
type NodeCount struct {
	Pods  int `json:"pods"`
	Ready int `json:"ready"` // STATUS Running and all containers ready
	Ended int `json:"ended"` // STATUS Completed, Succeeded
	// Status counts the pods by STATUS word.
	Status map[string]int `json:"status"`
}

// Add counts one pod.
func (c *Census) Add(node, status string, ready, containers int) {
	if c.Nodes == nil {
		c.Nodes = map[string]*NodeCount{}
	}
	n := c.Nodes[node]
	if n == nil {
		n = &NodeCount{Status: map[string]int{}}
		c.Nodes[node] = n
	}
	n.Pods++
	n.Status[status]++
	switch {
	case status == "Running" && ready == containers && containers > 0:
		n.Ready++
	case status == "Completed" || status == "Succeeded":
		n.Ended++
	}
}

// Pods is how many pods were counted.
func (c Census) Pods() int {
	total := 0
	for _, n := range c.Nodes {
		total += n.Pods
	}
	return total
}

// Of returns the count of one node; all zero where the node has no pods.
func (c Census) Of(node string) NodeCount {
	if n := c.Nodes[node]; n != nil {
		return *n
	}
	return NodeCount{}
}

// NodeNames lists the counted nodes in order, without the entry for pods that have none.
func (c Census) NodeNames() []string {
	names := make([]string, 0, len(c.Nodes))
	for n := range c.Nodes {
		if n != "" {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}
