// Package scenario is a collection of clusters in trouble: each Scenario makes
// one failure on a bed.Cluster, in a namespace of its own and mostly on a node
// of its own, knows when the API shows it, and says what the right answer of
// the plugin would be.
//
// Scenarios compose: a Fleet starts the healthy nodes and those that the chosen
// scenarios need, sets all of them up and waits for them together.
//
//	fleet, err := scenario.NewFleet(scenario.All()...)
//	err = fleet.Setup(ctx, cluster)   // nodes, workloads, faults
//	err = fleet.Settled(ctx, cluster) // the API shows all of it
//	for _, s := range fleet.Scenarios { for _, want := range s.Want { … } }
//
// What a real node does in each of these failures was observed first; the
// injected faults lead to the same objects. Setup and Settled look at the API
// only and must not use the plugin: it is judged by Want.
package scenario
