package causes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/causes/network"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
)

// The forms in which runtimes wrap a network plugin's error. %s is the error.
var networkForms = map[string][]string{
	"FailedCreatePodSandBox": {
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "4f2a": plugin type="net" name="net" failed (add): %s`,                                                                                                                                                                    // containerd 1.6 and later
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "4f2a": %s`,                                                                                                                                                                                                               // containerd before
		`(combined from similar events): Failed create pod sandbox: rpc error: code = Unknown desc = failed to set up sandbox container "4f2a" network for pod "p": NetworkPlugin cni failed to set up pod "p_shop" network: %s`,                                                                                                      // dockershim
		`Failed to create pod sandbox: rpc error: code = Unknown desc = [failed to set up sandbox container "4f2a" network for pod "p": networkPlugin cni failed to set up pod "p_shop" network: %s, failed to clean up sandbox container "4f2a" network for pod "p": networkPlugin cni failed to teardown pod "p_shop" network: %s]`, // cri-dockerd
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create pod network sandbox k8s_p_shop_1_0(4f2a): error adding pod shop_p to CNI network "net": plugin type="net" name="net" failed (add): %s`,                                                                                                       // CRI-O
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create pod network sandbox k8s_p_shop_1_0(4f2a): error adding pod shop_p to CNI network "multus-cni-network": [shop/p/1:net]: error adding container to network "net": %s`,                                                                          // CRI-O and Multus
	},
	"FailedKillPod": {
		`error killing pod: failed to "KillPodSandbox" for "9c-1" with KillPodSandboxError: "rpc error: code = Unknown desc = failed to destroy network for sandbox \"4f2a\": plugin type=\"net\" name=\"net\" failed (delete): %s"`,
		`error killing pod: failed to "KillPodSandbox" for "9c-1" with KillPodSandboxError: "rpc error: code = Unknown desc = networkPlugin cni failed to teardown pod \"p_shop\" network: %s"`,
		`error killing pod: failed to "KillPodSandbox" for "9c-1" with KillPodSandboxError: "rpc error: code = Unknown desc = failed to destroy network for pod sandbox k8s_p_shop_1_0(4f2a): error removing pod shop_p from CNI network \"net\": %s"`,
	},
}

// TestNetworkPluginsErrorsAreTold wraps what network plugins say in the forms of every runtime, and asks which cause it is laid to.
func TestNetworkPluginsErrorsAreTold(t *testing.T) {
	const (
		add = "FailedCreatePodSandBox"
		del = "FailedKillPod"
	)
	all := slugsOf(network.All())
	for slug, says := range map[string][]struct {
		text    string
		reasons []string
	}{
		"cni-token-expired": {
			{`error getting ClusterInformation: connection is unauthorized: Unauthorized`, []string{add, del}}, // Calico
			{`connection is unauthorized: Unauthorized`, []string{add, del}},                                   // Calico before 3.14
			{`Unauthorized`, []string{add, del}},                                                               // istio-cni, linkerd-cni
			{`Multus: [shop/p]: error getting pod: Unauthorized`, []string{add}},
			{`the server has asked for the client to provide credentials`, []string{add, del}}, // client-go
		},
		"cni-forbidden": {
			{`error getting ClusterInformation: connection is unauthorized: clusterinformations.crd.projectcalico.org "default" is forbidden: User "system:serviceaccount:net:plugin" cannot get resource "clusterinformations" in API group "crd.projectcalico.org" at the cluster scope`, []string{add, del}},
			{`pods "p" is forbidden: User "system:node:n" cannot patch resource "pods/status" in API group "" in the namespace "shop"`, []string{add}},
			{`Get "https://[10.96.0.1]:443/api/v1/namespaces/shop/pods/p": Forbidden`, []string{add}}, // linkerd-cni
		},
		"cni-del-apiserver-unreachable": {
			{`error getting ClusterInformation: Get "https://[10.96.0.1]:443/apis/crd.projectcalico.org/v1/clusterinformations/default": dial tcp 10.96.0.1:443: i/o timeout`, []string{add, del}},
			{`error getting ClusterInformation: Get "https://10.96.0.1:443/apis/crd.projectcalico.org/v1/clusterinformations/default": net/http: TLS handshake timeout`, []string{add, del}},
			{`error getting ClusterInformation: Get "https://[10.96.0.1]:443/apis/crd.projectcalico.org/v1/clusterinformations/default": x509: certificate signed by unknown authority`, []string{add, del}},
			{`error getting ClusterInformation: Get "https://[10.96.0.1]:443/apis/crd.projectcalico.org/v1/clusterinformations/default": context deadline exceeded`, []string{add}},
			{`error getting ClusterInformation: Get "https://10.96.0.1:443/apis/crd.projectcalico.org/v1/clusterinformations/default": Service Unavailable`, []string{add, del}}, // a proxy
			{`Multus: [shop/p]: error getting pod: Get "https://[10.96.0.1]:443/api/v1/namespaces/shop/pods/p?timeout=1m0s": dial tcp 10.96.0.1:443: connect: no route to host`, []string{add, del}},
			{`Get "https://127.0.0.1:6443/apis/crd.projectcalico.org/v1/ippools": dial tcp 127.0.0.1:6443: connect: connection refused`, []string{add}}, // a proxy of the API server on each node
			{`Get "https://api.net.internal:6443/api/v1/nodes/n": dial tcp: lookup api.net.internal on 10.0.0.2:53: no such host`, []string{add}},
			{`client: etcd cluster is unavailable or misconfigured; error #0: dial tcp 10.0.0.9:2379: connect: connection refused`, []string{add}}, // Calico on etcd
		},
		"cni-chained-plugin-dead": {
			{`unable to connect to Cilium agent: failed to create cilium agent client after 30.000000 seconds timeout: Get "http://localhost/v1/config": dial unix /var/run/cilium/cilium.sock: connect: connection refused`, []string{add, del}},
			{`unable to connect to Cilium daemon: Failed to create cilium agent client after 30.000000 seconds timeout`, []string{add}},
			{`Unable to create endpoint: Cilium API client timeout exceeded`, []string{add}},
			{`stat /var/lib/calico/nodename: no such file or directory: check that the calico/node container is running and has mounted /var/lib/calico/`, []string{add}},
			{`error getting ClusterInformation: resource does not exist: ClusterInformation(default) with error: clusterinformations.crd.projectcalico.org "default" not found`, []string{add}},
			{`open /run/flannel/subnet.env: no such file or directory`, []string{add}},
			{`loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory`, []string{add}},
			{`rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial unix /var/run/antrea/cni.sock: connect: no such file or directory"`, []string{add, del}},
			{`CmdAdd (shim): failed to send CNI request: Post "http://dummy/cni": dial unix /run/multus/multus.sock: connect: connection refused`, []string{add}},
			{`CmdDel (shim): failed to send CNI request: Post "http://dummy/cni": EOF: StdinData: {"type":"multus-shim"}`, []string{del}},
			{`add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:50051: connect: connection refused"`, []string{add}},
			{`unable to allocate IP address: Post "http://127.0.0.1:6784/ip/4f2a": dial tcp 127.0.0.1:6784: connect: connection refused`, []string{add}}, // Weave
			{`istio-cni cmdAdd failed to contact node Istio CNI agent: unable to push CNI event: Post "http://unix/cmdadd": dial unix /var/run/istio-cni/pluginevent.sock: connect: connection refused`, []string{add}},
			{`unable to push CNI event (status code 500): partial add error: no ztunnel connection`, []string{add}},
			{`CNI request failed with status 400: '[shop/p 4f2a] failed to get pod annotation: timed out waiting for annotations: context deadline exceeded'`, []string{add}}, // OVN-Kubernetes
			{`IPAM Invoker Add failed with error: Failed to get IP address from CNS: http request failed: Post "http://localhost:10090/network/requestipconfigs": dial tcp 127.0.0.1:10090: connect: connection refused`, []string{add}},
			{`failed to find plugin "istio-cni" in path [/opt/cni/bin]`, []string{add, del}},
			{`failed to find plugin "calico" in path [/opt/cni/bin]`, []string{add}},
			{`could not remove grpc wire: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:51111: connect: connection refused"`, []string{del}},
			{`netplugin failed with no error message: fork/exec /opt/cni/bin/linkerd-cni: no such file or directory`, []string{add}},
			{`error getting k8s client: stat /etc/cni/net.d/calico-kubeconfig: no such file or directory`, []string{add}},
		},
		"cni-not-initialized": {
			{`failed to find plugin "loopback" in path [/opt/cni/bin]`, []string{add}},
			{`failed to find plugin "portmap" in path [/home/kubernetes/bin]`, []string{add, del}},
			{`cni plugin not initialized`, []string{add, del}},
			{`cni config uninitialized`, []string{add}},
		},
		"cni-ip-exhausted-cloud": {
			{`add cmd: failed to assign an IP address to container`, []string{add}}, // AWS
			{`failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks and strict affinity enabled`, []string{add}},
			{`failed to request 1 IPv4 addresses. IPAM allocated only 0`, []string{add}},
			{`error at storage engine: Could not allocate IP in range: ip: 10.1.0.1 / - 10.1.0.6 / range: 10.1.0.0/29 / excludeRanges: []`, []string{add}},
			{`unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure  range is full`, []string{add}},
			{`unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure  No more IPs available`, []string{add}},
			{`Failed to allocate pool: Failed to delegate: Failed to allocate address: No available addresses`, []string{add}},
			{`netplugin failed but error parsing its diagnostic message "{\n \"code\": 100,\n \"msg\": \"Failed to allocate address: No available addresses\"\n}": invalid character '{' after top-level value`, []string{add}},
			{`IPAM Invoker Add failed with error: Failed to get IP address from CNS with error: AllocateIPConfig failed: not enough IPs available for 9c6a, waiting on Azure CNS to allocate more with NC Status: `, []string{add}},
			{`cmdAdd: error alloc ip rpc error: code = Unknown desc = error get allocated eniip, err: InvalidVSwitchId.IpNotEnough`, []string{add}}, // Terway
			{`RPC failed; request ip return 500 no address allocated to pod shop/p`, []string{add}},                                                 // Kube-OVN
			{`error calling DHCP.Allocate: no more tries`, []string{add}},
		},
		"cni-ipam-leak-host-local": {
			{`failed to allocate for range 0: no IP addresses available in range set: 10.244.3.1-10.244.3.254`, []string{add}},
			{`CNI request failed with status 400: 'failed to run IPAM for 4f2a: failed to run CNI IPAM ADD: no IP addresses available in network: openshift-sdn'`, []string{add}},
			{`failed to allocate for range 0: 10.244.3.7 has been allocated to 4f2a, duplicate allocation is not allowed`, []string{add}},
			{`failed to allocate for range 0: requested IP address 10.244.3.7 is not available in range set 10.244.3.1-10.244.3.254`, []string{add}},
		},
		"cni-net-attach-def-missing": {
			{`Multus: [shop/p]: error loading k8s delegates k8s args: TryLoadPodDelegates: error in getting k8s network for pod: GetNetworkDelegates: failed getting the delegate: getKubernetesDelegate: cannot find a network-attachment-definition (fast) in namespace (shop): network-attachment-definitions.k8s.cni.cncf.io "fast" not found`, []string{add}},
			{`Multus: [shop/p]: error loading k8s delegates k8s args: GetNetworkDelegates: failed getting the delegate: GetCNIConfig: err in GetCNIConfigFromFile: No networks found in /etc/cni/multus/net.d`, []string{add}},
		},
		"cni-state-corrupt": {
			{`netplugin failed but error parsing its diagnostic message "": unexpected end of JSON input`, []string{add}},
			{`unexpected end of JSON input`, []string{add, del}},
			{`delegateDel: error invoking ConflistDel - "fast": conflistDel: error in getting result from DelNetworkList: failed to parse netconf: unexpected end of JSON input`, []string{del}},
			{`error parsing configuration: invalid character '}' looking for beginning of object key string`, []string{add}},
			{`incompatible CNI versions; config is "1.1.0", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0"]`, []string{add}},
			{`Network configuration does not support key prevResult and value`, []string{add}},
			{`invalid version "": the version is empty`, []string{add, del}},
			{`Failed to initialize key-value store of network plugin, err:timed out locking store`, []string{add, del}},
			{`invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable`, []string{add, del}},
		},
		"stale-veth": {
			{`container veth name provided (eth0) already exists`, []string{add}},
			{`failed to set bridge addr: "cni0" already has an IP address different from 10.244.3.1/24`, []string{add}},
			{`failed to set bridge addr: could not add IP address to "cni0": file exists`, []string{add}},
			{`vxlan add failed: Failed to add vxlan vx7: file exists`, []string{add}},
			{`add command: failed to setup network: setup NS network: failed to add host route: file exists`, []string{add}},
			{`failed to add IP 10.100.32.173 to ipset inpod-probes: exist`, []string{add}},
			{`failed to Statfs "/proc/6702/ns/net": no such file or directory`, []string{add}},
			{`CNI request failed with status 400: 'Link not found'`, []string{add}},
		},
		"cni-plugin-del-bug": {
			{`delegateDel: error invoking ConflistDel - "fast": conflistDel: error in getting result from DelNetworkList: failed to del rule table 500: no such file or directory`, []string{del}},
			{`del cmd: failed to process delete request`, []string{del}},
			{`WorkloadEndpoint.crd.projectcalico.org "WorkloadEndpoint(shop/n-k8s-p-eth0)" not found`, []string{del}},
			{`Multus: error reading the delegates: open /var/lib/cni/multus/4f2a: no such file or directory`, []string{del}},
			{`netplugin failed with no error message: signal: killed`, []string{del}},
			{`runtime error: invalid memory address or nil pointer dereference`, []string{del}},
		},
		"cni-plugin-fails": {
			{`netplugin failed with no error message: signal: killed`, []string{add}},
			{`exit status 127`, []string{add}},
			{`cannot convert: no valid IP addresses`, []string{add}},
			{`failed to set bridge addr: could not add IP address to "cni0": permission denied`, []string{add}},
			{`pods "p" not found`, []string{add}},
			{`runtime error: invalid memory address or nil pointer dereference; goroutine 1 [running]`, []string{add}},
			{`failed to create macvlan: invalid argument`, []string{add}},
		},
	} {
		for _, c := range says {
			for _, reason := range c.reasons {
				for _, form := range networkForms[reason] {
					text := c.text
					if strings.Contains(form, `\"`) {
						text = strings.ReplaceAll(text, `"`, `\"`)
					}
					message := strings.ReplaceAll(form, "%s", text)
					s := newScene(t).node(time.Hour)
					if reason == del {
						s.deleted(10 * time.Minute)
					} else {
						s.waiting("ContainerCreating", "").since(10 * time.Minute)
					}
					s.event(time.Minute, reason, message)
					d := s.diagnose()
					got := told(d, all)
					if !slices.Equal(got, []string{slug}) {
						t.Errorf("%s is laid to %v, and is %s", message, got, slug)
					}
				}
			}
		}
	}
}

// told lists the causes of the list that speak, in the order of their findings.
func told(d diagnose.Diagnosis, slugs []string) []string {
	var out []string
	for _, f := range d.Findings {
		if slices.Contains(slugs, f.Slug) && !slices.Contains(out, f.Slug) {
			out = append(out, f.Slug)
		}
	}
	return out
}

func slugsOf(l []diagnose.Cause) []string {
	var out []string
	for _, c := range l {
		out = append(out, c.Slug)
	}
	return out
}

// TestTroubleOfTheRuntimeIsNotLaidToTheNetwork holds what else can go wrong with a sandbox against the causes.
func TestTroubleOfTheRuntimeIsNotLaidToTheNetwork(t *testing.T) {
	all := slugsOf(network.All())
	for _, message := range []string{
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "registry.example/pause:3.9": failed to pull image: failed to do request: Head "https://registry.example/v2/pause/manifests/3.9": dial tcp 10.0.0.3:443: i/o timeout`,
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox image "registry.example/pause:3.9": unexpected status from HEAD request: 401 Unauthorized`,
		`Failed to create pod sandbox: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd/containerd.sock: connect: connection refused"`,
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "4f2a": plugin type="net" failed (add): fork/exec /opt/cni/bin/net: resource temporarily unavailable`,
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to reserve sandbox name "p_shop_1_0": name "p_shop_1_0" is reserved for "4f2a"`,
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container for pod "p": Error response from daemon: OCI runtime create failed: unable to apply cgroup configuration`,
		`Failed to create pod sandbox: rpc error: code = DeadlineExceeded desc = context deadline exceeded`,
		`Failed create pod sandbox: rpc error: code = Unknown desc = failed to create a sandbox for pod "p": Error response from daemon: Conflict. The container name "/k8s_POD_p_shop_1_0" is already in use by container "4f2a". You have to remove (or rename) that container to be able to reuse that name.`,
		`Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: open /proc/self/fd: no space left on device`,
	} {
		s := newScene(t).node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", message)
		if got := told(s.diagnose(), all); len(got) > 0 {
			t.Errorf("%s is laid to %v", message, got)
		}
	}
}

// TestWhatFitsTwoNetworkCausesNamesBoth holds words that do not tell two causes apart.
func TestWhatFitsTwoNetworkCausesNamesBoth(t *testing.T) {
	const sandbox = `Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "4f2a": `
	for _, c := range []struct{ said, slug, or string }{
		{`[shop/p:fast]: error adding container to network "fast": Link not found`, "stale-veth", "cni-plugin-fails"},
		{`Multus: [shop/p/1]: error getting pod: Unauthorized`, "cni-token-expired", "cni-chained-plugin-dead"},
	} {
		d := newScene(t).node(time.Hour).waiting("ContainerCreating", "").since(10*time.Minute).event(time.Minute, "FailedCreatePodSandBox", sandbox+c.said).diagnose()
		if !slices.ContainsFunc(d.Findings, func(f diagnose.Finding) bool { return f.Slug == c.slug && slices.Contains(f.Alternatives, c.or) }) {
			t.Errorf("%s: no finding of %s names %s: %s", c.said, c.slug, c.or, list2(d.Findings))
		}
	}
}
