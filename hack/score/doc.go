// Command score holds the catalogue of causes against incidents whose cause is known: a folder of files, one incident each. It asks the engine
// what it makes of the incident's events and conditions, and the log scanner what it makes of its log lines, and counts hits, misses, and
// answers that are wrong and certain.
//
// A file is JSON:
//
//	{"id": "…", "cause_short": "slug of the established cause", "symptom_state": "Terminating", "k8s_version": "1.29",
//	 "evidence": {"events": [{"reason": "FailedMount", "message": "…", "source": "kubelet"}], "node_conditions": ["worker-3 NotReady"],
//	              "node_log_lines": ["…"], "pod_yaml_facts": {"finalizers": ["…"]}}}
//
// Incidents without events and without log lines are left out: nothing is known of them that a program could have seen.
package main
