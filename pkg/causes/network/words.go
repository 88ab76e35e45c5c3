package network

import (
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// saying is which cause a plugin's error speaks of. The values are the slugs of the causes.
type saying string

const (
	sayNothing        saying = ""
	sayNoDefinition   saying = "cni-net-attach-def-missing"
	sayNotInitialized saying = "cni-not-initialized"
	sayRangeFull      saying = "cni-ipam-leak-host-local"
	sayNoAddress      saying = "cni-ip-exhausted-cloud"
	sayForbidden      saying = "cni-forbidden"
	sayRefused        saying = "cni-token-expired"
	sayAgentGone      saying = "cni-chained-plugin-dead"
	sayNoAPI          saying = "cni-del-apiserver-unreachable"
	sayBroken         saying = "cni-state-corrupt"
	sayLeftover       saying = "stale-veth"
	sayNoDelete       saying = "cni-plugin-del-bug"
)

// vocabulary is what each cause is known by, in the order in which a message that has the words of several is given to one: Azure's plugin, for one,
// wraps "no available addresses" in a JSON error, and dockershim joins the errors of an ADD and of the DEL that cleans up after it.
func vocabulary() []struct {
	is    saying
	texts []diagnose.Text
} {
	type entry = struct {
		is    saying
		texts []diagnose.Text
	}
	return []entry{
		{sayNoDefinition, definitionMissing()},
		{sayNotInitialized, []diagnose.Text{notInitialized(), binaryMissing()}},
		{sayRangeFull, rangeFull()},
		{sayNoAddress, addressesGone()},
		{sayForbidden, forbidden()},
		{sayRefused, refused()},
		{sayAgentGone, agentGone()},
		{sayNoAPI, apiUnreachable()},
		{sayBroken, broken()},
		{sayLeftover, leftover()},
		{sayNoDelete, deleteFails()},
	}
}

// sayingOf tells which cause a message about a sandbox speaks of; sayNothing where it speaks of none, or not of the network.
func sayingOf(message string) saying {
	if foreign().Match(message) {
		return sayNothing
	}
	for _, v := range vocabulary() {
		if slices.ContainsFunc(v.texts, func(t diagnose.Text) bool { return t.Match(message) }) {
			return v.is
		}
	}
	return sayNothing
}

// foreign are messages about a sandbox that are not about its network: of its image, of the runtime itself, of resources of the node.
func foreign() diagnose.Text {
	return diagnose.Text{Any: []string{
		"sandbox image", "pull image", "pull and unpack", "pulling image", "/v2/",
		"containerd.sock", "crio.sock", "cri-dockerd.sock", "dockershim.sock", "docker.sock", "containerd/s/",
		"resource temporarily unavailable", "failed to create new OS thread", "device or resource busy", "too many open files", "no space left on device",
		"cannot allocate memory", "no runtime for", "The container name", // dockerd: a name that is taken "failed to reserve sandbox name", "unable to signal init",
	}}
}

// anyError are the forms in which the runtimes report an error of a network plugin, whatever it is.
func anyError() diagnose.Text {
	return diagnose.Text{Any: []string{
		"failed to setup network for sandbox",                                                  // containerd
		"failed to set up sandbox container", "failed to set up pod", "failed to teardown pod", // dockershim, cri-dockerd
		"failed to create pod network sandbox", "failed to destroy network for pod sandbox", "to CNI network", "from CNI network", // CRI-O
		"failed to destroy network for sandbox", "failed to clean up sandbox container",
		"failed (add)", "failed (delete)", "failed (check)", "error adding container to network", "CNI request failed", "CNI network could not be set up",
		"netplugin failed", "error adding network", "Error while adding to cni network", "Error deleting network", "Error while removing from cni network",
	}}
}

// definitionMissing is Multus, which does not find a network that the pod asks for (k8snetworkplumbingwg/multus-cni pkg/k8sclient).
func definitionMissing() []diagnose.Text {
	return []diagnose.Text{
		{Any: []string{
			"cannot find a network-attachment-definition", "GetCNIConfigFromFile", "/etc/cni/multus/net.d", "could not find network attachment definition",
			"cannot find network config", "GetNetworkDelegates: failed getting the delegate",
		}},
		{All: []string{"not found"}, Any: []string{"network-attachment-definition", "networkattachmentdefinition", "network attachment definition"}},
	}
}

// notInitialized is a runtime that has no network configuration it could use: containerd (internal/cri/server, go-cni), CRI-O (ocicni),
// dockershim and cri-dockerd, in the node's condition or in an event.
func notInitialized() diagnose.Text {
	return diagnose.Text{Any: []string{
		"NetworkPluginNotReady", "network plugin is not ready", "cni plugin not initialized", "cni config uninitialized", "cni config not initialized",
		"cni not initialized", "no CNI configuration file in", "No networks found in /etc/cni/net.d", "no valid networks found in", "no network config found in",
		"cni config load failed", "Unable to update cni config", "kubenet does not have netConfig", "missing CNI default network",
	}}
}

// standardPlugins are the plugins that are installed on a node as such, and have no agent (github.com/containernetworking/plugins, and Flannel's),
// as they stand in "failed to find plugin".
func standardPlugins() []string {
	var out []string
	for _, p := range []string{
		"loopback", "bridge", "portmap", "host-local", "flannel", "bandwidth", "firewall", "ptp", "tuning", "dhcp", "static", "macvlan", "ipvlan", "vlan", "vrf", "sbr",
	} {
		// as it is, quoted in an error, and quoted once more in a log
		out = append(out, `find plugin "`+p+`"`, `find plugin \"`+p+`\"`, `find plugin \\\"`+p+`\\\"`)
	}
	return out
}

// binaryMissing is a plugin of the standard set that was never installed on the node (containernetworking/cni pkg/invoke/find.go).
func binaryMissing() diagnose.Text {
	return diagnose.Text{All: []string{"failed to find plugin"}, Any: standardPlugins()}
}

// rangeFull is the host-local plugin without an address left (containernetworking/plugins plugins/ipam/host-local/backend/allocator).
func rangeFull() []diagnose.Text {
	return []diagnose.Text{
		{Any: []string{"no IP addresses available in", "duplicate allocation is not allowed"}},
		{All: []string{"requested IP address", "is not available in range set"}},
	}
}

// addressesGone are the words of the other address managers.
func addressesGone() []diagnose.Text {
	return []diagnose.Text{{Any: []string{
		"failed to assign an IP address to container", "no available IP/Prefix addresses", "InsufficientFreeAddressesInSubnet", "InsufficientCidrBlocks", // amazon-vpc-cni-k8s
		"no more free affine blocks", "Assigned 0 out of 1 requested IPv", "IPAM allocated only 0", "due to per host block limit", "No IPs available in pools", // Calico
		"Could not allocate IP in range",                                // Whereabouts
		"range is full", "No more IPs available", "all pools exhausted", // Cilium, OVN-Kubernetes
		"No available addresses", "No available address pools", // azure-vnet-ipam
		"not enough IPs available", "AllocateIPConfig failed", // azure-cns
		"IpNotEnough", "no available pod ip", "error get allocated eniip", "error get available eniip", // Terway
		"NoAvailableAddress", "no address allocated to pod", // Kube-OVN
		"all IP used out", "no IP available in", // Spiderpool
		"DHCP.Allocate", // the dhcp plugin
	}}, {
		// Cilium's agent answers, and not with an address.
		All: []string{"unable to allocate IP via local cilium agent"}, None: []string{"dial unix", "timeout", "context deadline exceeded", "connection refused"},
	}}
}

// forbidden is the API server refusing a plugin that it knows: a matter of RBAC. Calico wraps it in "connection is unauthorized".
func forbidden() []diagnose.Text {
	return []diagnose.Text{
		{All: []string{"is forbidden", "cannot "}, Any: []string{"User \"", "User \\\""}},
		{All: []string{"/api", ": Forbidden"}},
	}
}

// refused is the API server that does not know the bearer of the token (client-go, libcalico-go).
func refused() []diagnose.Text {
	return []diagnose.Text{
		{Any: []string{"unauthorized", "the server has asked for the client to provide credentials", "service account token has expired", "invalid bearer token"}},
	}
}

// agentGone is a plugin that does not reach its agent on the node, or lacks what that agent writes.
func agentGone() []diagnose.Text {
	return []diagnose.Text{
		{All: []string{"dial unix"}, Any: []string{"connection refused", "no such file or directory", "i/o timeout", "context deadline exceeded", "connection reset", "resource"}},
		{All: []string{"dial tcp 127.0.0.1"}, Any: []string{"connection refused", "i/o timeout"}, None: []string{"/api"}},
		{All: []string{"dial tcp [::1]"}, Any: []string{"connection refused", "i/o timeout"}, None: []string{"/api"}},
		{Any: []string{
			"unable to connect to Cilium agent", "unable to connect to Cilium daemon", "failed to create cilium agent client", "Cilium API client timeout exceeded",
			"Is the agent running?",
			"/var/lib/calico/nodename", "resource does not exist: ClusterInformation", // Calico
			"/run/flannel/subnet.env",                        // Flannel
			"failed to find plugin", "failed to locate bin/", // containernetworking/cni
			"no ztunnel connection", "failed to contact node Istio CNI agent", "failed to signal node Istio CNI agent", "unable to push CNI event", // istio-cni
			"failed to send CNI request", "failed to get context for the kubeconfig", // Multus
			"failed to get pod annotation", "timed out waiting for OVS port binding", "waiting for ovn-installed", // OVN-Kubernetes
			"Error received from AddNetwork gRPC call", "Error received from DelNetwork gRPC call", // amazon-vpc-cni-k8s
			"all SubConns are in TransientFailure", // gRPC: Antrea and others
		}},
		{All: []string{"dummy/cni", "EOF"}},                                                            // Multus and OVN-Kubernetes, whose agent went away in the middle
		{All: []string{"kubeconfig", "/cni/net.d", "no such file or directory"}},                       // what the provider's pod writes for its plugin
		{All: []string{"/opt/cni/bin/"}, Any: []string{"no such file or directory", "text file busy"}}, // its binary
		{All: []string{"/opt/cni/bin/"}, Any: []string{"exec format error", "permission denied"}},
	}
}

// apiUnreachable is a plugin whose request to the API server (or to its own etcd) gets no answer.
func apiUnreachable() []diagnose.Text {
	failures := []string{
		"i/o timeout", "connection refused", "no route to host", "context deadline exceeded", "network is unreachable", "connection timed out",
		"connection reset by peer", "operation not permitted", "no such host", "TLS handshake timeout",
	}
	var out []diagnose.Text
	for _, where := range []string{":443", ":6443", ":8443", ":2379", ":16443", ":9345", "/api"} {
		out = append(out, diagnose.Text{All: []string{"dial tcp", where}, Any: failures})
	}
	for _, path := range []string{"/api/v1/", "/apis/"} {
		out = append(out, diagnose.Text{
			All: []string{"https://", path},
			Any: []string{
				"TLS handshake timeout", "Client.Timeout exceeded", "context deadline exceeded", "x509:", ": EOF", "connection reset by peer", "client connection lost",
				"request canceled", "no such host", "connection refused", "i/o timeout", "the server is currently unable to handle the request", "cannotconnect",
				": Service Unavailable", "503 Service Unavailable", ": Bad Gateway", ": Gateway Timeout", // a proxy in the way, or a load balancer
			},
		})
	}
	return append(out,
		diagnose.Text{Any: []string{"etcd cluster is unavailable", "etcdserver:", "the server is currently unable to handle the request"}},
		diagnose.Text{All: []string{"ClusterInformation"}, Any: failures},
	)
}

// broken is a configuration, a cached result or an answer that a plugin cannot read.
func broken() []diagnose.Text {
	return []diagnose.Text{{Any: []string{
		"unexpected end of JSON input", "netplugin failed but error parsing its diagnostic message", "error parsing configuration", "error parsing configuration list",
		"cannot unmarshal", "failed to load netconf", "failed to parse netconf", "failed to parse network configuration", "failed to parse network config",
		"no configuration has been provided", "invalid configuration:", "incompatible CNI versions", "unsupported CNI result version", "unsupported CNI version",
		"missing prevResult", "the version is empty", "timed out locking store", "Store is locked", "does not support key prevResult", "Required prevResult missing", "failed to load cached", "failed to read cached", "error reading cached",
	}}, {
		All: []string{"invalid character"}, Any: []string{"looking for beginning of", "after top-level value", "after object key", "in string literal", "after array element"},
	}, {
		All: []string{"yaml:"}, Any: []string{"line ", "unmarshal"},
	}}
}

// leftover is what an earlier attempt, or an earlier pod, left on the node.
func leftover() []diagnose.Text {
	kill := []string{"KillPodSandbox"} // as it stands in every event about a failed DEL
	return []diagnose.Text{
		{All: []string{"veth"}, Any: []string{"already exists", "file exists"}},
		{All: []string{"vxlan"}, Any: []string{"already exists", "file exists"}},
		{All: []string{"file exists"}, Any: []string{"route", "rule", "link", "bridge", "address", "cni0", "interface", "netns"}},
		{All: []string{"already has an IP address different from"}},
		{All: []string{"ipset"}, Any: []string{": exist", "already added"}},
		{All: []string{"Statfs", "/ns/net", "no such file or directory"}, None: kill},
		{All: []string{"netns", "no such file or directory"}, None: kill},
		{All: []string{"unknown FS magic on"}, None: kill},
		{Any: []string{
			"Link not found", "failed to lookup", "link already exists", "duplicate IP", "is already in use", "Address already in use", "IP address conflict", "address conflict",
			"interface with name eth0 already exists",
		}, None: kill},
	}
}

// deleteFails is a plugin that is known not to take down what it, or another release of it, set up.
func deleteFails() []diagnose.Text {
	return []diagnose.Text{
		{All: []string{"requested interface name", "already assigned"}},
		{Any: []string{
			"failed to del rule", "failed to process delete request", "did not find reserved IP for container", "could not remove grpc wire", "delegateDel: error invoking",
			"failed to get the cached delegates file", "error reading the delegates",
		}},
		{All: []string{"KillPodSandbox", "Link not found"}},
		{All: []string{"KillPodSandbox", "WorkloadEndpoint", "not found"}}, // Calico
		{All: []string{"KillPodSandbox", "no such file or directory"}, Any: []string{"failed (delete)", "teardown pod"}},
	}
}

// takesDown tells whether an event is about a network that could not be taken down, rather than set up. dockershim cleans up after a failed ADD, and
// reports both in one.
func takesDown(message string) bool {
	return strings.Contains(message, "KillPodSandbox") || strings.Contains(message, "failed (delete)") && !strings.Contains(message, "failed (add)")
}
