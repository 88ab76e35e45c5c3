package source

import (
	"context"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

type names = map[types.NamespacedName]bool

func clusterNames(list ...string) names {
	n := names{}
	for _, s := range list {
		if s != "" {
			n[types.NamespacedName{Name: s}] = true
		}
	}
	return n
}

// subjects are the pods whose references are read: those that may be stuck, and those that were asked for.
func (p *plan) subjects() []*corev1.Pod {
	pods := p.pods.candidates()
	for _, n := range p.named {
		if !candidate(n) {
			pods = append(pods, n)
		}
	}
	return pods
}

// readReferences reads what the pods in question refer to, and what else the causes in use need.
func (p *plan) readReferences(ctx context.Context) {
	also := map[snapshot.Kind]names{}
	for _, ref := range p.query.Also {
		if also[ref.Kind] == nil {
			also[ref.Kind] = names{}
		}
		also[ref.Kind][types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}] = true
	}
	for k, wanted := range also {
		p.fetch(ctx, k, wanted)
	}
	pods := p.subjects()
	if len(pods) == 0 && len(p.query.Nodes) == 0 && len(p.suspect) == 0 {
		if p.webhooks { // a pod that cannot be created has no pod to look at
			p.readWebhooks(ctx)
		}
		return
	}
	p.say("reading what %d pods refer to", len(pods))
	moving := p.withMoving(pods)
	p.all(
		func() { p.readOwners(ctx, moving) },
		func() { p.readVolumes(ctx, moving) },
		func() { p.readConfig(ctx, pods) },
		func() { p.readResourceClaims(ctx, pods) },
		func() { p.readWebhooks(ctx) },
		func() { p.readNamespaces(ctx, moving) },
		func() { p.readRoomKinds(ctx) },
		func() { p.readEvents(ctx, pods) },
	)
	p.readFinalizerOwners(ctx, pods)
}

// readOwners reads the controllers of the pods. A pod of a Deployment names it by its own labels, so its
// ReplicaSet is only read where a cause looks at it or the label is missing (see snapshot.Owner).
func (p *plan) readOwners(ctx context.Context, pods []*corev1.Pod) {
	owners := map[snapshot.Kind]names{snapshot.ReplicaSet: {}, snapshot.StatefulSet: {}, snapshot.Job: {}, snapshot.DaemonSet: {}}
	for _, pod := range pods {
		c := metav1.GetControllerOf(pod)
		if c == nil || owners[snapshot.Kind(c.Kind)] == nil {
			continue
		}
		k := snapshot.Kind(c.Kind)
		if p.needs[k] || (k == snapshot.ReplicaSet && pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == "") {
			owners[k][types.NamespacedName{Namespace: pod.Namespace, Name: c.Name}] = true
		}
	}
	if p.needs[snapshot.DaemonSet] { // all: a missing pod of a network or storage plugin has no candidate
		delete(owners, snapshot.DaemonSet)
	}
	p.all(
		func() {
			deployments := names{}
			for _, o := range p.fetch(ctx, snapshot.ReplicaSet, owners[snapshot.ReplicaSet]) {
				m, ok := o.(metav1.Object)
				if !ok {
					continue
				}
				if c := metav1.GetControllerOf(m); c != nil && c.Kind == string(snapshot.Deployment) {
					deployments[types.NamespacedName{Namespace: nameOf(o).Namespace, Name: c.Name}] = true
				}
			}
			if p.needs[snapshot.Deployment] {
				p.fetch(ctx, snapshot.Deployment, deployments)
			}
		},
		func() { p.fetch(ctx, snapshot.StatefulSet, owners[snapshot.StatefulSet]) },
		func() { p.fetch(ctx, snapshot.Job, owners[snapshot.Job]) },
		func() {
			if p.needs[snapshot.DaemonSet] {
				p.readEverywhere(ctx, snapshot.DaemonSet)
			}
		},
	)
}

// readEverywhere reads every object of a namespaced kind, or, without the right to, those of the one namespace.
func (p *plan) readEverywhere(ctx context.Context, k snapshot.Kind) {
	if !p.readAll(ctx, k, "") && p.query.Namespace != "" {
		p.readAll(ctx, k, p.query.Namespace)
	}
}

// readVolumes follows PVC → PV → StorageClass, and reads what attaches the volumes. It is part of the trunk:
// a shared volume is what pods on several nodes have in common most often.
func (p *plan) readVolumes(ctx context.Context, pods []*corev1.Pod) {
	claims, drivers, nodes := names{}, names{}, names{}
	for _, pod := range pods {
		uses := false
		for i := range pod.Spec.Volumes {
			v := &pod.Spec.Volumes[i]
			if v.CSI != nil {
				drivers[types.NamespacedName{Name: v.CSI.Driver}] = true
				uses = true
			}
		}
		for _, c := range claimsOf(pod) {
			claims[types.NamespacedName{Namespace: pod.Namespace, Name: c}] = true
			uses = true
		}
		if uses && pod.Spec.NodeName != "" {
			nodes[types.NamespacedName{Name: pod.Spec.NodeName}] = true
		}
	}
	p.addWitnessClaims(claims, nodes)
	for _, n := range p.query.Nodes {
		nodes[types.NamespacedName{Name: n}] = true
	}
	if len(nodes) == 0 && len(claims) == 0 {
		return
	}
	var attachments []*storagev1.VolumeAttachment
	var attachErr error
	volumes, provisioners := names{}, map[string]bool{}
	p.all(
		func() {
			classes := names{}
			for _, o := range p.fetch(ctx, snapshot.PersistentVolumeClaim, claims) {
				c, ok := o.(*corev1.PersistentVolumeClaim)
				if !ok {
					continue
				}
				if c.Spec.VolumeName != "" {
					volumes[types.NamespacedName{Name: c.Spec.VolumeName}] = true
				}
				provisioners[provisionerOf(c)] = true
				if c.Spec.StorageClassName != nil && *c.Spec.StorageClassName != "" {
					classes[types.NamespacedName{Name: *c.Spec.StorageClassName}] = true
				}
			}
			p.all(
				func() { p.fetch(ctx, snapshot.StorageClass, classes) },
				func() {
					for _, o := range p.fetch(ctx, snapshot.PersistentVolume, volumes) {
						if v, ok := o.(*corev1.PersistentVolume); ok && v.Spec.CSI != nil {
							drivers[types.NamespacedName{Name: v.Spec.CSI.Driver}] = true
						}
					}
				},
			)
		},
		func() {
			if p.needs[snapshot.VolumeAttachment] {
				attachErr = p.list(ctx, ListRequest{Kind: snapshot.VolumeAttachment}, func(o runtime.Object) {
					if a, ok := o.(*storagev1.VolumeAttachment); ok {
						attachments = append(attachments, a)
					}
				})
			}
		},
		func() {
			if p.needs[snapshot.CSINode] {
				p.fetch(ctx, snapshot.CSINode, nodes)
			}
		},
	)
	if p.needs[snapshot.CSIDriver] {
		p.fetch(ctx, snapshot.CSIDriver, drivers)
	}
	p.readDrivers(ctx, drivers, provisioners, attachments, volumes)
	if p.needs[snapshot.VolumeAttachment] {
		p.keepAttachments(attachments, attachErr, volumes)
	}
}

// keepAttachments keeps all VolumeAttachments, or, where they are very many, those of the suspect nodes and of
// the volumes in question.
func (p *plan) keepAttachments(list []*storagev1.VolumeAttachment, err error, volumes names) {
	if err != nil {
		p.gap(snapshot.VolumeAttachment, "", "", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	all := len(list) <= p.limits.volumes || len(p.query.Room) > 0
	for _, a := range list {
		pv := a.Spec.Source.PersistentVolumeName
		if all || p.suspect[a.Spec.NodeName] > 0 || a.DeletionTimestamp != nil || (pv != nil && volumes[types.NamespacedName{Name: *pv}]) {
			p.builder.Add(a)
		}
	}
	if all && err == nil {
		p.builder.SetComplete(snapshot.VolumeAttachment, "")
	}
}

// readConfig looks whether the ConfigMaps, Secrets and RuntimeClasses exist that pods need to start. What is
// marked optional is not missed, so it is not asked for.
func (p *plan) readConfig(ctx context.Context, pods []*corev1.Pod) {
	configMaps, secrets, classes := names{}, names{}, names{}
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		if c := pod.Spec.RuntimeClassName; c != nil && *c != "" {
			classes[types.NamespacedName{Name: *c}] = true
		}
		need := func(to names, name string, optional *bool) {
			if name != "" && (optional == nil || !*optional) {
				to[types.NamespacedName{Namespace: pod.Namespace, Name: name}] = true
			}
		}
		referTo(&pod.Spec, func(name string, optional *bool) { need(configMaps, name, optional) },
			func(name string, optional *bool) { need(secrets, name, optional) })
	}
	var tasks []func()
	for k, wanted := range map[snapshot.Kind]names{snapshot.ConfigMap: configMaps, snapshot.Secret: secrets, snapshot.RuntimeClass: classes} {
		if p.needs[k] {
			tasks = append(tasks, func() { p.fetch(ctx, k, wanted) })
		}
	}
	p.all(tasks...)
}

// referTo calls the functions for each ConfigMap and Secret without which the pod cannot start.
func referTo(spec *corev1.PodSpec, configMap, secret func(name string, optional *bool)) {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if v.ConfigMap != nil {
			configMap(v.ConfigMap.Name, v.ConfigMap.Optional)
		}
		if v.Secret != nil {
			secret(v.Secret.SecretName, v.Secret.Optional)
		}
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ConfigMap != nil {
				configMap(s.ConfigMap.Name, s.ConfigMap.Optional)
			}
			if s.Secret != nil {
				secret(s.Secret.Name, s.Secret.Optional)
			}
		}
	}
	for _, s := range spec.ImagePullSecrets {
		secret(s.Name, nil)
	}
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, f := range c.EnvFrom {
			if f.ConfigMapRef != nil {
				configMap(f.ConfigMapRef.Name, f.ConfigMapRef.Optional)
			}
			if f.SecretRef != nil {
				secret(f.SecretRef.Name, f.SecretRef.Optional)
			}
		}
		for _, e := range c.Env {
			if e.ValueFrom == nil {
				continue
			}
			if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
				configMap(r.Name, r.Optional)
			}
			if r := e.ValueFrom.SecretKeyRef; r != nil {
				secret(r.Name, r.Optional)
			}
		}
	}
}

// readNamespaces reads the namespaces of the pods and the disruption budgets in them.
func (p *plan) readNamespaces(ctx context.Context, pods []*corev1.Pod) {
	namespaces := map[string]bool{}
	for _, pod := range pods {
		namespaces[pod.Namespace] = true
	}
	var tasks []func()
	if p.needs[snapshot.Namespace] {
		tasks = append(tasks, func() {
			p.fetch(ctx, snapshot.Namespace, clusterNames(slices.Collect(maps.Keys(namespaces))...))
		})
	}
	if p.needs[snapshot.PodDisruptionBudget] {
		if p.query.Namespace == "" && len(namespaces) > 3 {
			tasks = append(tasks, func() { p.readAll(ctx, snapshot.PodDisruptionBudget, "") })
		} else {
			for n := range namespaces {
				tasks = append(tasks, func() { p.readAll(ctx, snapshot.PodDisruptionBudget, n) })
			}
		}
	}
	p.all(tasks...)
}

// readWebhooks reads the admission webhooks, and the Services and endpoints of those that are called for pods; and the admission policies.
func (p *plan) readWebhooks(ctx context.Context) {
	tasks := []func(){func() { p.readPolicies(ctx) }}
	for _, k := range []snapshot.Kind{snapshot.MutatingWebhookConfiguration, snapshot.ValidatingWebhookConfiguration} {
		if p.needs[k] {
			tasks = append(tasks, func() { p.readWebhooksOf(ctx, k) })
		}
	}
	p.all(tasks...)
}

func (p *plan) readWebhooksOf(ctx context.Context, k snapshot.Kind) {
	services := names{}
	serves := func(rules []admissionv1.RuleWithOperations, c admissionv1.WebhookClientConfig) {
		if c.Service != nil && matchesPods(rules) {
			services[types.NamespacedName{Namespace: c.Service.Namespace, Name: c.Service.Name}] = true
		}
	}
	err := p.list(ctx, ListRequest{Kind: k}, func(o runtime.Object) {
		p.add(o)
		switch c := o.(type) {
		case *admissionv1.MutatingWebhookConfiguration:
			for i := range c.Webhooks {
				serves(c.Webhooks[i].Rules, c.Webhooks[i].ClientConfig)
			}
		case *admissionv1.ValidatingWebhookConfiguration:
			for i := range c.Webhooks {
				serves(c.Webhooks[i].Rules, c.Webhooks[i].ClientConfig)
			}
		}
	})
	if err != nil {
		p.gap(k, "", "", err)
		return
	}
	p.mu.Lock()
	p.builder.SetComplete(k, "")
	p.mu.Unlock()
	var tasks []func()
	if p.needs[snapshot.Service] {
		tasks = append(tasks, func() { p.fetch(ctx, snapshot.Service, services) })
	}
	if p.needs[snapshot.EndpointSlice] {
		for s := range services {
			tasks = append(tasks, func() { p.readEndpoints(ctx, s) })
		}
	}
	p.all(tasks...)
}

// matchesPods tells whether a webhook is called for pods or their status.
func matchesPods(rules []admissionv1.RuleWithOperations) bool {
	for _, r := range rules {
		if !slices.Contains(r.APIGroups, "") && !slices.Contains(r.APIGroups, "*") {
			continue
		}
		for _, res := range r.Resources {
			switch res {
			case "*", "*/*", "pods", "pods/*", "pods/status", "*/status", "pods/binding", "*/binding", "pods/eviction", "*/eviction":
				return true
			}
		}
	}
	return false
}

func (p *plan) readEndpoints(ctx context.Context, service types.NamespacedName) {
	r := ListRequest{
		Kind: snapshot.EndpointSlice, Namespace: service.Namespace,
		LabelSelector: discoveryv1.LabelServiceName + "=" + service.Name,
	}
	if err := p.list(ctx, r, func(o runtime.Object) { p.add(o) }); err != nil {
		p.gap(snapshot.EndpointSlice, service.Namespace, "", err)
	}
}
