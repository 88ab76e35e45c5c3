package scope

// Storm tells whether so many nodes are unhealthy in the same way that the nodes are not to blame one by one: the control plane, or the network
// between, is to be suspected first. Result.Nodes is 0 where nodes were not read, which is no storm and proves none.
func (r Result) Storm() bool { return stormy(r.Nodes, r.Unhealthy) }

func stormy(nodes, unhealthy int) bool {
	return nodes >= stormNodes && unhealthy >= stormNodes && float64(unhealthy) >= stormShare*float64(nodes)
}
