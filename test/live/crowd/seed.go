package crowd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
)

// seeded is written beside etcd's data when it is whole.
const seeded = "seeded"

// Seed fills dir, an etcd data directory, unless it was filled before. binary is the test bed's multi-call
// binary, which holds etcd. Progress goes to log.
func Seed(ctx context.Context, binary, dir string, p Plan, log io.Writer) (err error) {
	mark := filepath.Join(filepath.Dir(dir), filepath.Base(dir)+"."+seeded)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil { // what an interrupted run left
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	start := time.Now()
	fmt.Fprintf(log, "seeding %d pods on %d nodes\n", p.Pods, p.Nodes)
	client, stop, err := startEtcd(ctx, binary, dir)
	if err != nil {
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	err = p.write(ctx, client, start)
	if err = errors.Join(err, client.Close(), stop()); err != nil {
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	fmt.Fprintf(log, "seeded in %s\n", time.Since(start).Round(100*time.Millisecond))
	return os.WriteFile(mark, nil, 0o600)
}

// startEtcd runs etcd on the directory; stop ends it and waits until its data is on disk.
func startEtcd(ctx context.Context, binary, dir string) (client *clientv3.Client, stop func() error, err error) {
	urls := make([]string, 2)
	for i := range urls {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		urls[i] = "http://" + l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, nil, err
		}
	}
	cmd := exec.Command(binary, "etcd", "--name=bed", "--data-dir="+dir, "--listen-client-urls="+urls[0],
		"--advertise-client-urls="+urls[0], "--listen-peer-urls="+urls[1], "--initial-advertise-peer-urls="+urls[1],
		"--initial-cluster=bed="+urls[1], "--unsafe-no-fsync", "--log-level=error",
		"--quota-backend-bytes="+strconv.Itoa(8<<30), "--max-request-bytes="+strconv.Itoa(16<<20), "--snapshot-count=10000")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start etcd: %w", err)
	}
	stop = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return fmt.Errorf("stop etcd: %w", err)
		}
		_ = cmd.Wait() // ends by the signal, which is no failure
		return nil
	}
	client, err = clientv3.New(clientv3.Config{Endpoints: urls[:1], DialTimeout: 10 * time.Second, MaxCallSendMsgSize: 16 << 20})
	if err == nil {
		ready, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		_, err = client.Get(ready, "health")
	}
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return client, stop, nil
}

// put is one object for the store.
type put struct {
	key        string
	apiVersion string
	kind       string
	object     interface{ Marshal() ([]byte, error) }
}

// whole is an object in JSON. The API server takes that from its store too.
type whole []byte

// Marshal returns it as it is.
func (w whole) Marshal() ([]byte, error) { return w, nil }

// encode gives the object as the API server stores it: four bytes, and the object in an envelope
// (k8s.io/apimachinery/pkg/runtime/serializer/protobuf).
func (p put) encode() (string, error) {
	if w, ok := p.object.(whole); ok {
		return string(w), nil
	}
	raw, err := p.object.Marshal()
	if err != nil {
		return "", err
	}
	u := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: p.apiVersion, Kind: p.kind}, Raw: raw}
	data, err := u.Marshal()
	if err != nil {
		return "", err
	}
	return "k8s\x00" + string(data), nil
}

// batch is how many objects are written at once; etcd's --max-txn-ops is 128.
const batch = 100

func (p Plan) write(ctx context.Context, client *clientv3.Client, now time.Time) error {
	puts := make(chan []put, 4)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for some := range puts {
				ops := make([]clientv3.Op, 0, len(some))
				for _, o := range some {
					value, err := o.encode()
					if err != nil {
						cancel(fmt.Errorf("encode %s: %w", o.key, err))
						return
					}
					ops = append(ops, clientv3.OpPut(o.key, value))
				}
				if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
					cancel(fmt.Errorf("write %s: %w", some[0].key, err))
					return
				}
			}
		})
	}
	var some []put
	flush := func() {
		if len(some) > 0 {
			select {
			case puts <- some:
			case <-ctx.Done():
			}
			some = nil
		}
	}
	p.each(now, func(o put) {
		if some = append(some, o); len(some) == batch {
			flush()
		}
	})
	flush()
	close(puts)
	writers.Wait()
	return context.Cause(ctx)
}

// each calls add for every object, under the key that the API server gives it (--etcd-prefix /registry).
func (p Plan) each(now time.Time, add func(put)) {
	for i := range p.Namespaces {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: NamespaceName(i), UID: uid(6, i), CreationTimestamp: at(now.Add(-240 * time.Hour)), Labels: map[string]string{corev1.LabelMetadataName: NamespaceName(i)}}}
		n.Spec.Finalizers, n.Status.Phase = []corev1.FinalizerName{corev1.FinalizerKubernetes}, corev1.NamespaceActive
		add(put{"/registry/namespaces/" + n.Name, "v1", "Namespace", n})
	}
	for i := range p.Nodes {
		add(put{"/registry/minions/" + NodeName(i), "v1", "Node", p.node(i, now)})
		add(put{"/registry/leases/" + corev1.NamespaceNodeLease + "/" + NodeName(i), "coordination.k8s.io/v1", "Lease", p.lease(i, now)})
	}
	claims := map[string]bool{}
	events := 0
	for _, pod := range p.pods() {
		o := pod.object(now)
		add(put{"/registry/pods/" + o.Namespace + "/" + o.Name, "v1", "Pod", o})
		for i := range o.Spec.Volumes {
			if c := o.Spec.Volumes[i].PersistentVolumeClaim; c != nil && !claims[o.Namespace+"/"+c.ClaimName] {
				claims[o.Namespace+"/"+c.ClaimName] = true
				pvc, pv := volume(o.Namespace, c.ClaimName, len(claims), now)
				add(put{"/registry/persistentvolumeclaims/" + pvc.Namespace + "/" + pvc.Name, "v1", "PersistentVolumeClaim", pvc})
				add(put{"/registry/persistentvolumes/" + pv.Name, "v1", "PersistentVolume", pv})
			}
		}
		if pod.state == healthy {
			if events++; events > p.Events {
				continue
			}
		}
		for _, e := range pod.events(now) {
			add(put{"/registry/events/" + e.Namespace + "/" + e.Name, "v1", "Event", e})
		}
	}
}

func volume(namespace, claim string, number int, now time.Time) (*corev1.PersistentVolumeClaim, *corev1.PersistentVolume) {
	name, class := fmt.Sprintf("pvc-%s", uid(7, number)), "shared-files"
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}
	pvc := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim, Namespace: namespace, UID: uid(7, number), CreationTimestamp: at(now.Add(-240 * time.Hour))},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: modes, VolumeName: name, StorageClassName: &class},
		Status:     corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, AccessModes: modes},
	}
	pv := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid(8, number), CreationTimestamp: at(now.Add(-240 * time.Hour))},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: modes, StorageClassName: class, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			ClaimRef:               &corev1.ObjectReference{Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: namespace, Name: claim, UID: pvc.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{Server: "files.example", Path: "/" + claim}},
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeBound},
	}
	return pvc, pv
}

// KeepAlive renews the leases of the nodes, once at once and then every 30 s, until the context ends. The first
// round is over when it returns; wait returns when the others are.
func KeepAlive(ctx context.Context, client kubernetes.Interface, p Plan) (wait func(), err error) {
	if err := renew(ctx, client, p, 0); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			// Evenly over half a minute, as kubelets do over ten seconds.
			if err := renew(ctx, client, p, 30*time.Second/time.Duration(p.Nodes)); err != nil {
				return // only where the context or the server ended
			}
		}
	}()
	return func() { <-done }, nil
}

func renew(ctx context.Context, client kubernetes.Interface, p Plan, pause time.Duration) error {
	errs := make(chan error, p.Nodes)
	slots := make(chan struct{}, 16)
	for i := range p.Nodes {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			patch := fmt.Appendf(nil, `{"spec":{"renewTime":%q}}`, time.Now().UTC().Format(metav1.RFC3339Micro))
			_, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Patch(ctx, NodeName(i), types.MergePatchType, patch, metav1.PatchOptions{})
			errs <- err
		}()
	}
	for range p.Nodes {
		if err := <-errs; err != nil {
			return fmt.Errorf("renew the nodes' leases: %w", err)
		}
	}
	return nil
}

// SeedObjects fills dir, an empty etcd data directory, with the objects, of any kind that a snapshot can hold.
func SeedObjects(ctx context.Context, binary, dir string, objects []runtime.Object) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	client, stop, err := startEtcd(ctx, binary, dir)
	if err != nil {
		return fmt.Errorf("seed %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, client.Close(), stop()) }()
	for _, o := range objects {
		p, err := storedAs(o)
		if err != nil {
			return err
		}
		value, err := p.encode()
		if err != nil {
			return fmt.Errorf("encode %s: %w", p.key, err)
		}
		if _, err := client.Put(ctx, p.key, value); err != nil {
			return fmt.Errorf("write %s: %w", p.key, err)
		}
	}
	return nil
}

// storedAs says under which key the API server keeps an object. Metadata alone becomes an object without content.
func storedAs(o runtime.Object) (put, error) {
	if partial, ok := o.(*metav1.PartialObjectMetadata); ok {
		switch partial.Kind {
		case "ConfigMap":
			o = &corev1.ConfigMap{ObjectMeta: partial.ObjectMeta, Data: map[string]string{"key": "value"}}
		case "Secret":
			o = &corev1.Secret{ObjectMeta: partial.ObjectMeta, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"key": []byte("value")}}
		}
	}
	if u, ok := o.(*unstructured.Unstructured); ok { // of a kind without a Go type here; such groups stand in their keys
		data, err := u.MarshalJSON()
		if err != nil {
			return put{}, fmt.Errorf("seed %s: %w", u.GetName(), err)
		}
		resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
		return put{"/registry/" + resource.Group + "/" + resource.Resource + "/" + u.GetName(), u.GetAPIVersion(), u.GetKind(), whole(data)}, nil
	}
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		return put{}, fmt.Errorf("seed %T: %w", o, err)
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return put{}, fmt.Errorf("seed %T: %w", o, err)
	}
	kind := kinds[0]
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	place := resource.Resource
	switch kind.Kind { // what the registry does not name after the resource
	case "Node":
		place = "minions"
	case "Service":
		place = "services/specs"
	}
	key := "/registry/" + place + "/"
	if m.GetNamespace() != "" {
		key += m.GetNamespace() + "/"
	}
	message, ok := o.(interface{ Marshal() ([]byte, error) })
	if !ok {
		return put{}, fmt.Errorf("%T has no protobuf form", o)
	}
	return put{key + m.GetName(), kind.GroupVersion().String(), kind.Kind, message}, nil
}
