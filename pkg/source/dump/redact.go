package dump

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// redactor replaces what tells whose cluster it was, so that the analysis still comes to the same result.
//
// It works on words, runs of letters and digits. A word of any name (of objects, images, volumes, servers, label values, …) that is not
// in the vocabulary gets a pseudonym, the same everywhere in the dump: in names, and inside messages. So what was composed stays
// composed: the pod web-7d9f-abcde still begins with the name of its ReplicaSet, and pvc-<uid> still ends in the claim's UID. The
// vocabulary are the words of Kubernetes itself and of its messages; they tell nothing of their user, and to replace them would
// change what a message says. Words with a secret behind them (environment, arguments, annotations, the last words of a container)
// are removed altogether. Pseudonyms depend on a random number that is not kept, so they cannot be looked up.
type redactor struct {
	salt  []byte
	plain map[string]bool // fields whose value stays
	mount map[string]bool // mount options that stay
	keep  map[string]bool // the vocabulary
	words map[string]bool // that get a pseudonym wherever they stand
	names map[string]string
}

const redacted = "REDACTED"

// newRedactor learns the words of all names in the snapshot.
func newRedactor(s *snapshot.Snapshot, keep []string) (*redactor, error) {
	r := &redactor{salt: make([]byte, 32), plain: setOf(plainFields), mount: setOf(mountOptions), keep: setOf(vocabulary), words: map[string]bool{}, names: map[string]string{}}
	if _, err := rand.Read(r.salt); err != nil {
		return nil, err
	}
	for _, text := range keep {
		for _, w := range wordPattern.FindAllString(text, -1) {
			r.keep[w] = true
		}
	}
	for _, info := range snapshot.Kinds() {
		for _, o := range objectsOf(s, info) {
			if _, err := encode(o, info, r); err != nil {
				return nil, err
			}
		}
	}
	m := metadata{Origin: s.Origin(), Census: s.Census(), Gaps: slices.Clone(s.Gaps()), Coverage: s.Coverage()}
	r.metadata(&m)
	return r, nil
}

func setOf(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// object redacts the JSON of one object.
func (r *redactor) object(data []byte, _ snapshot.Info) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(r.value(nil, v)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// metadata redacts what a dump records beside the objects.
func (r *redactor) metadata(m *metadata) {
	m.Origin.Context, m.Origin.Server, m.Origin.Path = r.name(m.Origin.Context), r.name(m.Origin.Server), ""
	m.Census.Namespace = r.name(m.Census.Namespace)
	nodes := map[string]*snapshot.NodeCount{}
	for n, c := range m.Census.Nodes {
		nodes[r.name(n)] = c
	}
	m.Census.Nodes = nodes
	m.Gaps = slices.Clone(m.Gaps)
	for i := range m.Gaps {
		g := &m.Gaps[i]
		g.Namespace, g.Name, g.Detail = r.name(g.Namespace), r.name(g.Name), r.text(userPattern.ReplaceAllString(g.Detail, `User "`+redacted+`"`))
	}
	complete := map[snapshot.Kind][]string{}
	for k, spaces := range m.Coverage.Complete {
		for _, ns := range spaces {
			complete[k] = append(complete[k], r.name(ns))
		}
	}
	m.Coverage.Complete = complete
	m.Coverage.Absent = slices.Clone(m.Coverage.Absent)
	for i := range m.Coverage.Absent {
		a := &m.Coverage.Absent[i]
		a.Namespace, a.Name = r.name(a.Namespace), r.name(a.Name)
	}
	m.Coverage.Nodes = slices.Clone(m.Coverage.Nodes)
	for i, n := range m.Coverage.Nodes {
		m.Coverage.Nodes[i] = r.name(n)
	}
}

// value redacts a JSON value; path are the keys that lead to it.
func (r *redactor) value(path []string, v any) any {
	key := ""
	if len(path) > 0 {
		key = path[len(path)-1]
	}
	switch v := v.(type) {
	case map[string]any:
		return r.members(path, key, v)
	case []any:
		for i := range v {
			v[i] = r.value(path, v[i])
		}
		return v
	case string:
		return r.leaf(path, key, v)
	default:
		return v
	}
}

func (r *redactor) members(path []string, key string, m map[string]any) any {
	switch key {
	case "annotations":
		return r.annotations(m)
	case "fieldsV1":
		text, err := json.Marshal(m)
		var out any
		if err != nil || json.Unmarshal([]byte(r.text(string(text))), &out) != nil {
			return map[string]any{}
		}
		return out
	case "terminated":
		if reason := m["reason"]; m["message"] != nil && (reason == "Error" || reason == "Completed") {
			m["message"] = redacted // what the program printed last
		}
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		under := slices.Concat(path, []string{k})
		switch key {
		case "labels", "matchLabels", "nodeSelector", "selector", "requests", "limits", "capacity", "allocatable", "used", "hard", "disruptedPods":
			k = r.qualified(k)
		case "volumeAttributes", "parameters", "options":
			k = r.qualified(k)
		}
		out[k] = r.value(under, v)
	}
	return out
}

func (r *redactor) annotations(m map[string]any) any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		s, ok := v.(string)
		domain, _, _ := strings.Cut(k, "/")
		switch {
		case !ok:
		case strings.Contains(k, "/") && (domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") || strings.HasSuffix(domain, ".k8s.io")) && len(s) < 256:
			out[k] = r.name(s)
		default:
			out[r.qualified(k)] = redacted
		}
	}
	return out
}

func (r *redactor) leaf(path []string, key, s string) string {
	parent := ""
	if len(path) > 1 {
		parent = path[len(path)-2]
	}
	switch {
	case s == "" || timePattern.MatchString(s):
		return s
	case key == "caBundle":
		return "UkVEQUNURUQ=" // bytes
	case (key == "value" && (parent == "env" || parent == "httpHeaders")) || key == "command" || key == "args":
		return redacted
	case key == "mountOptions":
		option, _, _ := strings.Cut(s, "=")
		if r.mount[option] {
			return s
		}
		return redacted
	case slices.Contains([]string{"requests", "limits", "allocatedResources", "overhead", "capacity", "allocatable", "used", "hard"}, parent) && quantityPattern.MatchString(s):
		return s
	case r.plain[key] && parent != "labels" && parent != "matchLabels" && parent != "nodeSelector" && parent != "selector":
		return s
	case key == "message" || key == "note":
		return r.text(s)
	case key == "finalizers" || key == "key" || key == "topologyKey" || key == "topologyKeys":
		return r.qualified(s)
	}
	return r.name(s)
}

// qualified redacts a key like example.com/team: a domain of Kubernetes or of a known product stays, and so does a key without
// a domain.
func (r *redactor) qualified(s string) string {
	domain, _, ok := strings.Cut(s, "/")
	if !ok || publicDomain(domain) {
		return s
	}
	return r.name(s)
}

// publicDomain tells whether a domain is that of a public project or product.
func publicDomain(d string) bool {
	for _, p := range strings.Fields(publicDomains) {
		if d == p || strings.HasSuffix(d, "."+p) {
			return true
		}
	}
	return false
}

var (
	wordPattern     = regexp.MustCompile(`[\p{L}\p{N}]+`)
	timePattern     = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
	quantityPattern = regexp.MustCompile(`^[0-9.]+[A-Za-z]{0,2}$`)
	userPattern     = regexp.MustCompile(`User "[^"]*"`)
	addressPattern  = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}`)
	dashedPattern   = regexp.MustCompile(`\b[0-9]{1,3}(?:-[0-9]{1,3}){3}\b`)
	quotedPattern   = regexp.MustCompile(`"[a-z0-9][a-z0-9.-]*(?:/[a-z0-9.-]+)?"`)
	hostPattern     = regexp.MustCompile(`[a-z0-9][a-z0-9-]*(?:\.[a-z0-9][a-z0-9-]*){2,}`)
	numberPattern   = regexp.MustCompile(`^v?[0-9]{1,5}$`)
)

// name gives every word of a name that is not in the vocabulary its pseudonym.
func (r *redactor) name(s string) string {
	if s == "" || publicDriver(s) {
		return s
	}
	return r.replace(r.addresses(s), true)
}

// publicDriver tells whether it is the name of a published CSI driver or provisioner, on which causes may depend.
func publicDriver(s string) bool {
	return !strings.ContainsAny(s, "/:@ ") && strings.Contains(s, ".") && publicDomain(s) ||
		strings.HasPrefix(s, "kubernetes.io/") && strings.Count(s, "/") == 1
}

// text gives the words in a message that belong to a name their pseudonym.
func (r *redactor) text(s string) string {
	s = r.addresses(s)
	s = hostPattern.ReplaceAllStringFunc(s, func(h string) string {
		if publicDomain(h) {
			return h
		}
		return r.replace(h, true)
	})
	s = quotedPattern.ReplaceAllStringFunc(s, func(q string) string {
		if publicDriver(q[1 : len(q)-1]) {
			return q
		}
		return r.replace(q, true)
	})
	return r.replace(s, false)
}

// replace puts pseudonyms for words. learn makes every word that is not in the vocabulary one of those.
func (r *redactor) replace(s string, learn bool) string {
	return wordPattern.ReplaceAllStringFunc(s, func(w string) string {
		if learn && !r.known(w) {
			r.words[w] = true
		}
		if !r.words[w] {
			return w
		}
		if p, ok := r.names[w]; ok {
			return p
		}
		p := r.pseudonym(w)
		r.names[w] = p
		r.words[p] = false
		r.keep[p] = true
		return p
	})
}

// known tells whether a word stays: it is in the vocabulary, a letter, or a short number.
func (r *redactor) known(w string) bool {
	return len(w) == 1 || numberPattern.MatchString(w) || r.keep[w]
}

func (r *redactor) sum(s string) []byte {
	h := hmac.New(sha256.New, r.salt)
	h.Write([]byte(s))
	return h.Sum(nil)
}

func (r *redactor) pseudonym(w string) string {
	return "x" + strings.ToLower(base32.StdEncoding.EncodeToString(r.sum(w))[:8])
}

// addresses gives IP addresses others. Those that mean the same everywhere stay.
func (r *redactor) addresses(s string) string {
	s = dashedPattern.ReplaceAllStringFunc(s, func(a string) string { // as in ip-10-0-0-9.internal
		ip, err := netip.ParseAddr(strings.ReplaceAll(a, "-", "."))
		if err != nil {
			return a
		}
		h := r.sum("address " + ip.String())
		return fmt.Sprintf("10-%d-%d-%d", h[0], h[1], h[2])
	})
	return addressPattern.ReplaceAllStringFunc(s, func(a string) string {
		ip, err := netip.ParseAddr(a)
		if err != nil || ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			return a
		}
		h := r.sum("address " + ip.String())
		if ip.Is4() {
			return fmt.Sprintf("10.%d.%d.%d", h[0], h[1], h[2])
		}
		return fmt.Sprintf("2001:db8::%x:%x", int(h[0])<<8|int(h[1]), int(h[2])<<8|int(h[3]))
	})
}

// plainFields hold a value out of a fixed set, or something that is nobody's name.
const plainFields = `kind apiVersion apiGroup phase reason type status component reportingController reportingComponent operation
 fieldsType subresource restartPolicy dnsPolicy protocol scheme effect operator imagePullPolicy terminationMessagePolicy
 terminationMessagePath qosClass preemptionPolicy whenUnsatisfiable volumeMode accessModes persistentVolumeReclaimPolicy
 reclaimPolicy volumeBindingMode fsType medium resourceVersion kubeletVersion kubeProxyVersion kernelVersion osImage
 containerRuntimeVersion architecture operatingSystem sizeLimit divisor storage podManagementPolicy completionMode
 concurrencyPolicy failurePolicy matchPolicy sideEffects reinvocationPolicy scope operations admissionReviewVersions
 addressType unhealthyPodEvictionPolicy updateStrategy podFailurePolicy fsGroupPolicy volumeLifecycleModes action clock mountPropagation
 resizePolicy signal internalTrafficPolicy externalTrafficPolicy ipFamilies ipFamilyPolicy sessionAffinity apiGroups apiVersions
 maxUnavailable minAvailable maxSurge targetPort handler validationActions parameterNotFoundAction patchType scopes scopeName allocationMode`

// mountOptions stay as they are; others may hold passwords.
const mountOptions = `hard soft intr nointr timeo retrans retry nfsvers vers minorversion proto tcp udp rdma ro rw sync async noatime
 nodiratime relatime nolock lock noresvport resvport rsize wsize actimeo nconnect bg fg sec discard nobarrier cache mfsymlinks
 nosharesock serverino file_mode dir_mode uid gid bind`

// publicDomains are those of Kubernetes and of published products; objects named under them tell what is installed, not by whom.
const publicDomains = `kubernetes.io k8s.io x-k8s.io openshift.io csi.aws.com amazonaws.com k8s.aws karpenter.sh eks.amazonaws.com
 azure.com azure.microsoft.com kubernetes.azure.com gke.io cloud.google.com networking.gke.io csi.storage.gke.io cattle.io rancher.io
 longhorn.io rook.io csi.ceph.com ceph.com istio.io linkerd.io cilium.io projectcalico.org tigera.io cni.cncf.io argoproj.io
 fluxcd.io toolkit.fluxcd.io helm.sh crossplane.io strimzi.io nvidia.com amd.com intel.com portworx.com elastic.co cert-manager.io
 velero.io openebs.io csi.vsphere.vmware.com vmware.com digitalocean.com linode.com hetzner.cloud csi.alibabacloud.com
 alibabacloud.com tencent.com huaweicloud.com oraclecloud.com ovh.net keda.sh knative.dev tekton.dev gatekeeper.sh kyverno.io
 kubevirt.io coreos.com monitoring.coreos.com piraeus.io linbit.com juicefs.com weave.works metallb.io traefik.io nginx.org
 fargate virtual-kubelet.io kubeedge.io openyurt.io volcano.sh kubeflow.org ray.io spotinst.io datadoghq.com vault.hashicorp.com
 secrets-store.csi.x-k8s.io`

// vocabulary are the words of Kubernetes, of the programs around it, and of their messages.
const vocabulary = `
 a about above absent accept access account across action active add address admission after again agent alive all allocate allocated already
 also amd64 an and annotation another any api apiserver app application apply approved apps are arch argument arm64 arp as assigned async at attach
 attachable attached attacher attachment attempt audit auth authentication authorization auto available azure back backend backoff bad balancer
 base batch be because become been before beta binary bind binding block body bound bridge broken buffer build busy but by bytes ca cache cached call
 calico called can cannot canceled cancelled capacity cause ceph certificate change changed channel check checkpoint checksum cgroup cgroups child
 cilium claim class classid cleanup client clone close closed cloud cluster cni code com command complete completed component compute condition
 config configmap configmaps configuration configured conflict connect connected connection container containerd containers content context
 control controller controllers controlplane copy core coredns could count cpu crash crashed crd cri crio cron cronjob crt csi csr current daemon daemonset
 daemonsets data database date day days dead deadline debug default delete deleted deletion deny denied dependency deployment deployments desc describe
 desired destroy detach detached detaching detected dev device devices dial did differ digest dir directory disabled discovery disk dns do docker dockershim does
 domain don done down drain driver drivers due during each ebs edge efs eks empty enabled end endpoint endpoints endpointslice enforce enough entity
 env eof ephemeral err error errors etcd etc event events evict evicted eviction example exceeded exec execute exist existing exists exit exited expected
 expired ext4 external fail failed failing failure fatal fault fetch field file files filesystem filter finalizer finalizers find finish finished
 flag flannel flexvolume for forbidden force foreground fork format found free freeze from fs fsck full fuse fusermount gateway gc gcr general generate get ghcr given
 glusterfs go gone grace graceful group grpc guest had handle handler handshake hard has have health healthy healthz heartbeat helm hold hook host hostname hostpath hosts hour hours http https hung
 id if image imageid images in include incorrect increase info ingress init initial initialize initialized initializing input inode insert insufficient instance int internal
 interface interrupted into invalid io iptables ipvs is iscsi isn istio issue it its job jobs json k8s keep kernel key kill killed killing kind kms kube kubeadm kubectl kubelet
 kubernetes label labels last latest launch layer lease leases left length level library like limit limits line link linux list listen live liveness load loadbalancer local localhost lock locked log login logs longhorn
 lookup loop lost low lsof lun machine main make manager manifest map mapped mapping mark marked master match matched max may mcr memory message metadata method metrics
 min minute minutes mirror missing mode modified module monitor more most mount mounted mounting mounts multi multipath must name named namespace namespaces negative net netns network networking never new nfs
 nfsd no node nodename nodes none normal not nothing notify nova now null number nvme object objects of off offline ok old on one only oom open openstack operation operator option or
 orphan orphaned os other out output over overlay overlayfs own owner parameter parent partition password patch path paths pause pd pending per permission permitted persistent persistentvolume
 persistentvolumeclaim phase pid pids ping pipe platform plugin pod podip pods podsandbox policy pool port ports post preempted prefix prepare present pressure pressures previous priority private
 privileged probe problem process processes projected propagation protected protection protocol provide provided provider provision provisioned provisioner proxy public publish pull pulled pulling push pv pvc quay query queue
 quota rack range rate rbac rbd read readiness readonly ready real reason rebuild receive received reclaim reconcile recreate recursive refer reference refused region register registered registration registry reject rejected
 relist release remote remount remove removed rename repeated replace replica replicas replicaset replicasets replication report request requested requests require required reserved reset resize resolve resource resources
 response restart restarted restarting result retries retry retrying return returned role rollback rollout root route router rpc rule run runc running runsc runtime runtimeclass safe same sandbox sandboxes save schedule scheduled scheduler
 scheduling schema script sec seconds secret secrets security see seen selector self send server service serviceaccount services session set setup setting sha256 share shared shim should shut shutdown sidecar sig sign signal since size skip slice slow small
 snapshot so sock socket soft some source space spec specified specify ssl stage stale standard start started starting startup stat state stateful statefulset statefulsets static status still stop stopped stopping storage storageclass storageclasses stream string stuck subpath subpaths
 subset success successful successfully such sufficient suspend svc sync synced syncing syscall system systemd table tag taint tainted taints target task tcp tear temporarily temporary template term terminate terminated terminating termination test than that the their then there
 these they this thread threads through time timed timeout times tls tmp tmpfs to token too toleration tolerations tolerate took toomanyrequests topology transient transport tree trust try trying ttl two type udp uid unable unattached unauthorized unavailable unbound
 unexpected unfreeze unhealthy uninitialized unit unix unknown unmount unmounted unmounting unpack unpublish unreachable unreserved unschedulable unsupported until unused up update updated upgrade upstream url use used user using usr utc valid validate validating validation value var verify verified version
 versions vfs vg virtual vm vmware volume volumeattachment volumes vpc vsphere wait waiting warning was watch webhook webhooks were when where whether which while will windows with within without work worker workload would write written wrong x509 xfs yaml yes you your zfs zone
 org net cn true false nil amd arm s390x ppc64le cfg ip ips ipam ipv4 ipv6 mtu veth eth0 bpf sandboxed kmsg proc sys mnt opt lib srv home run etcdserver stdout stderr tail head overlay2 xattr acl selinux apparmor seccomp capabilities
 critical important standalone
 `
