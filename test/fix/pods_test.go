package fix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// shape is what kind of stuck pod to make.
type shape struct {
	node       string // empty: none
	finalizers []string
	// ended: its containers are done, so that a deletion needs no kubelet.
	ended bool
	// pulling: it hangs in ImagePullBackOff.
	pulling bool
	// deleted: it was deleted a second before its time was up, and is Terminating.
	deleted bool
	owner   *metav1.OwnerReference
}

// podNamed makes a pod.
func (w *world) podNamed(ctx context.Context, namespace, name string, s shape) (*corev1.Pod, error) {
	pods := w.client.CoreV1().Pods(namespace)
	grace := int64(1)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "cart"}, Finalizers: s.finalizers},
		Spec: corev1.PodSpec{
			NodeName: s.node, TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/shop/cart:1"}},
		},
	}
	if s.owner != nil {
		p.OwnerReferences = []metav1.OwnerReference{*s.owner}
	}
	p, err := pods.Create(ctx, p, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create pod %s/%s: %w", namespace, name, err)
	}
	if s.node != "" {
		if p, err = w.report(ctx, p, s); err != nil {
			return nil, err
		}
	}
	if s.deleted {
		if err := pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &grace}); err != nil {
			return nil, fmt.Errorf("delete pod %s/%s: %w", namespace, name, err)
		}
		if p, err = pods.Get(ctx, name, metav1.GetOptions{}); err != nil {
			return nil, fmt.Errorf("pod %s/%s should be Terminating: %w", namespace, name, err)
		}
	}
	return p, nil
}

// report says of a pod what its kubelet would.
func (w *world) report(ctx context.Context, p *corev1.Pod, s shape) (*corev1.Pod, error) {
	began := metav1.Now()
	p.Status.StartTime = &began
	p.Status.Phase = corev1.PodRunning
	c := corev1.ContainerStatus{Name: "main", Image: "registry.example.com/shop/cart:1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}, Ready: true}
	ready := corev1.ConditionTrue
	switch {
	case s.ended:
		p.Status.Phase = corev1.PodSucceeded
		c.Ready, ready = false, corev1.ConditionFalse
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: began, FinishedAt: began, Reason: "Completed"}}
	case s.pulling:
		p.Status.Phase = corev1.PodPending
		c.Ready, ready = false, corev1.ConditionFalse
		c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: `Back-off pulling image "registry.example.com/shop/cart:1"`}}
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{c}
	p.Status.Conditions = []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: began},
		{Type: corev1.PodInitialized, Status: corev1.ConditionTrue, LastTransitionTime: began},
		{Type: corev1.ContainersReady, Status: ready, LastTransitionTime: began},
		{Type: corev1.PodReady, Status: ready, LastTransitionTime: began},
	}
	now, err := w.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	if err != nil {
		return nil, fmt.Errorf("status of pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	return now, nil
}

// settle is the part of the scheduler and of a kubelet for a pod that was made: it runs.
func (w *world) settle(ctx context.Context, namespace, name, node string) {
	bind := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	if w.client.CoreV1().Pods(namespace).Bind(ctx, bind, metav1.CreateOptions{}) != nil {
		return
	}
	if p, err := w.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
		_, _ = w.report(ctx, p, shape{})
	}
}

// erase ends a pod whatever holds it.
func (w *world) erase(ctx context.Context, namespace, name string, uid types.UID) error {
	pods := w.client.CoreV1().Pods(namespace)
	var none int64
	for range 5 {
		p, err := pods.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && uid != "" && p.UID != uid {
			return nil
		}
		if err != nil {
			return fmt.Errorf("erase pod %s/%s: %w", namespace, name, err)
		}
		if len(p.Finalizers) > 0 {
			if _, err := pods.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("erase pod %s/%s: %w", namespace, name, err)
			}
		}
		err = pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &p.UID}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("erase pod %s/%s: %w", namespace, name, err)
		}
	}
	return nil
}

// patch changes a pod as somebody else would.
func (w *world) patch(ctx context.Context, namespace, name, merge string) error {
	_, err := w.client.CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, []byte(merge), metav1.PatchOptions{FieldManager: "somebody-else"})
	return err
}

// planned is a pod that a run is about.
type planned struct {
	Name string
	UID  types.UID
	// Again is what to make where the pod is swapped for another of its name.
	Again shape
}

// target is what one run is about.
type target struct {
	Namespace string
	Pods      []planned
	// Finalizers are those to come off; the pods that keep others stay.
	Finalizers []string
	// Creates tells that the run is to make the pods again.
	Creates bool
	// ID is the run that is to be undone, and Plan the file to be carried out.
	ID, Plan string
	// Ghost is the node that the pods are bound to and that does not exist.
	Ghost string
	// Kubelet: somebody finishes deletions. Controller: somebody makes the pod again.
	Kubelet, Controller bool
	owner               *metav1.OwnerReference
}

func (t *target) names() []string {
	var out []string
	for _, p := range t.Pods {
		out = append(out, p.Name)
	}
	return out
}

// reached tells whether what the run was for is there, and what is missing.
func (w *world) reached(ctx context.Context, t *target) (bool, string) {
	for _, p := range t.Pods {
		now, err := w.client.CoreV1().Pods(t.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		switch {
		case err != nil && !apierrors.IsNotFound(err):
			return false, err.Error()
		case t.Creates && (err != nil || now.UID == p.UID):
			return false, fmt.Sprintf("pod %s was not made again", p.Name)
		case t.Creates || err != nil || now.UID != p.UID:
			continue
		case len(t.Finalizers) == 0:
			return false, fmt.Sprintf("pod %s is there", p.Name)
		}
		for _, f := range t.Finalizers {
			for _, g := range now.Finalizers {
				if f == g {
					return false, fmt.Sprintf("pod %s has finalizer %s", p.Name, f)
				}
			}
		}
		if len(t.Finalizers) > len(now.Finalizers) && len(now.Finalizers) == 0 {
			return false, fmt.Sprintf("pod %s is there", p.Name)
		}
	}
	return true, ""
}

// clean takes away what a run left.
func (w *world) clean(ctx context.Context, t *target) error {
	var errs []error
	for _, p := range t.Pods {
		errs = append(errs, w.erase(ctx, t.Namespace, p.Name, ""))
	}
	if t.Ghost != "" {
		errs = append(errs, w.unnode(ctx, t.Ghost))
	}
	if t.owner != nil {
		errs = append(errs, w.client.AppsV1().StatefulSets(t.Namespace).Delete(ctx, t.owner.Name, metav1.DeleteOptions{}))
	}
	return errors.Join(errs...)
}

// swap puts another pod in the place of one: same name, same state, another UID.
func (w *world) swap(ctx context.Context, t *target, i int) (*corev1.Pod, error) {
	p := t.Pods[i]
	if err := w.erase(ctx, t.Namespace, p.Name, ""); err != nil {
		return nil, err
	}
	return w.podNamed(ctx, t.Namespace, p.Name, p.Again)
}

// statefulSet makes one that no controller looks after.
func (w *world) statefulSet(ctx context.Context, namespace, name string) (*metav1.OwnerReference, error) {
	labels := map[string]string{"app": "cart"}
	one := int32(1)
	s, err := w.client.AppsV1().StatefulSets(namespace).Create(ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &one, ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.example.com/shop/cart:1"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create StatefulSet %s/%s: %w", namespace, name, err)
	}
	yes := true
	return &metav1.OwnerReference{APIVersion: "apps/v1", Kind: "StatefulSet", Name: name, UID: s.UID, Controller: &yes, BlockOwnerDeletion: &yes}, nil
}

// finish is the kubelet's part of a deletion: the containers have stopped, and the object goes.
func (w *world) finish(ctx context.Context, namespace, name string, uid types.UID) {
	p, err := w.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil || p.UID != uid || p.DeletionTimestamp == nil {
		return
	}
	var none int64
	_ = w.client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: &metav1.Preconditions{UID: &uid}})
}

// replace is the controller's part: where the pod is gone, another of its name is made, and it is well.
func (w *world) replace(ctx context.Context, t *target, p planned, node string) {
	for range 20 {
		_, err := w.client.CoreV1().Pods(t.Namespace).Get(ctx, p.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			_, _ = w.podNamed(ctx, t.Namespace, p.Name, shape{node: node, owner: t.owner})
			return
		}
		if err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// raw is a JSON document that compares by what it says.
func raw(b []byte) string {
	var v any
	if json.Unmarshal(b, &v) != nil {
		return string(b)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(b)
	}
	return string(out)
}
