package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/remedy"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// maxPlan bounds a plan file, in bytes: ten thousand acts fit.
const maxPlan = 64 << 20

// runFile carries out a saved plan. Nothing of the file is believed but what was wished for, and for which objects: it is planned anew on fresh
// objects, and has to come out the same.
func (o *fixOptions) runFile(ctx context.Context, w World, config *genericclioptions.ConfigFlags) error {
	saved, err := o.savedPlan(w)
	if err != nil {
		return err
	}
	for _, act := range saved.Acts {
		if act.Target.Kind != snapshot.Pod {
			return usagef("the plan is about %s: what is done to a node is planned anew each time, with `kubectl stuck node`", act.Target)
		}
	}
	r, err := o.source.openFresh(ctx, w, config)
	if err != nil {
		return err
	}
	q := lookQuery{namespace: saved.Acts[0].Target.Namespace}
	var refs []snapshot.Ref
	for _, act := range saved.Acts {
		refs = append(refs, act.Target)
		q.names = append(q.names, act.Target.Name)
		if act.Target.Namespace != q.namespace {
			q.namespace, q.names = "", nil // pods are named within a namespace; what is stuck of all of them is read instead
			break
		}
	}
	if q.names == nil {
		refs = refs[:0]
		for _, act := range saved.Acts {
			refs = append(refs, act.Target)
		}
	}
	l, err := takeLook(ctx, w, r, q)
	if err != nil {
		return err
	}
	cluster := clusterOf(ctx, r, l.origin)
	if err := sameCluster(saved.Cluster, cluster); err != nil {
		return err
	}
	now := l.picture.S.Now()
	switch {
	case now.After(saved.Expires) || saved.Expires.Sub(saved.Made) > remedy.Lifetime:
		return refusedError{fmt.Errorf("the plan expired at %s, %s after it was made; make a new one; nothing was changed", saved.Expires.UTC().Format("15:04:05"), remedy.Lifetime)}
	case saved.Made.After(now.Add(remedy.Lifetime)):
		return refusedError{fmt.Errorf("the plan says that it was made at %s, which is yet to come; nothing was changed", saved.Made.UTC().Format("2006-01-02 15:04:05"))}
	}
	for _, ref := range refs {
		p := l.picture.S.Pod(ref.Namespace, ref.Name)
		switch {
		case p == nil && l.picture.S.Has(snapshot.Pod, ref.Namespace, ref.Name) == snapshot.Absent:
			return refusedError{fmt.Errorf("%s of the plan is gone; make a new plan; nothing was changed", ref)}
		case p == nil:
			return fmt.Errorf("%s of the plan could not be found among what is stuck, or not be read; make a new plan; nothing was changed", ref)
		case p.UID != ref.UID:
			return refusedError{fmt.Errorf("%s has UID %s, and the plan is for %s: another object has its name; nothing was changed", ref, p.UID, ref.UID)}
		}
	}
	doc := l.document(refs)
	plan, err := remedy.Make(l.picture, refs, saved.Asked, cluster)
	if err != nil {
		return refusedError{fmt.Errorf("the plan cannot be made again: %w; nothing was changed", err)}
	}
	if diff := differs(saved, plan); diff != "" {
		return refusedError{fmt.Errorf("the plan comes out differently now: %s; make a new one; nothing was changed", diff)}
	}
	plan.Made, plan.Expires = saved.Made, saved.Expires
	c := &change{w: w, reader: r, flags: o.change, render: o.render, doc: doc, plan: plan, look: l, again: o.again(w, r)}
	return c.run(ctx)
}

// sameCluster holds a saved plan, or a run, against the cluster that is asked now. Clusters are told apart by their ID where both are known.
func sameCluster(saved, now remedy.Cluster) error {
	switch {
	case saved.ID != "" && now.ID != "":
		if saved.ID != now.ID {
			return refusedError{fmt.Errorf("it is for another cluster (%s at %s): choose that with --context; nothing was changed", saved.Context, saved.Server)}
		}
	case saved.Server != now.Server:
		return refusedError{fmt.Errorf("it is for the API server at %s (context %s), and this is %s: choose that with --context; nothing was changed", saved.Server, saved.Context, now.Server)}
	}
	return nil
}

// differs says in what a plan that was made anew is not the saved one; the versions of objects may differ.
func differs(saved, now remedy.Plan) string {
	for i, was := range saved.Acts {
		is := now.Acts[i]
		if !slices.Equal(was.Remedies, is.Remedies) || len(was.Steps) != len(is.Steps) {
			return fmt.Sprintf("other steps for %s", is.Target)
		}
		for k, step := range was.Steps {
			other := is.Steps[k]
			if step.Verb != other.Verb || step.Ref != other.Ref || !slices.Equal(step.Finalizers, other.Finalizers) || !equalGrace(step.Grace, other.Grace) {
				return fmt.Sprintf("it was %q, and is %q", step.What, other.What)
			}
		}
		if remedy.Worse(was.Risk, is.Risk) != was.Risk {
			return fmt.Sprintf("the risk for %s was %s, and is %s", is.Target, was.Risk, is.Risk)
		}
	}
	return ""
}

func equalGrace(a, b *int64) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// savedPlan reads the plan that -f names.
func (o *fixOptions) savedPlan(w World) (remedy.Plan, error) {
	var in io.Reader = w.Streams.In
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return remedy.Plan{}, fmt.Errorf("plan: %w", err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return readPlan(in, o.file)
}

// readPlan reads a saved plan: a StuckPlan, or a StuckFix that holds one.
func readPlan(in io.Reader, name string) (remedy.Plan, error) {
	raw, err := io.ReadAll(io.LimitReader(in, maxPlan+1))
	switch {
	case err != nil:
		return remedy.Plan{}, fmt.Errorf("plan %s: %w", name, err)
	case len(raw) > maxPlan:
		return remedy.Plan{}, fmt.Errorf("plan %s: larger than %d MiB", name, maxPlan>>20)
	}
	if raw, err = yaml.YAMLToJSON(raw); err != nil {
		return remedy.Plan{}, fmt.Errorf("plan %s: neither JSON nor YAML: %w", name, err)
	}
	var doc struct {
		APIVersion string       `json:"apiVersion"`
		Kind       string       `json:"kind"`
		Run        string       `json:"run"`
		Plan       *remedy.Plan `json:"plan"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return remedy.Plan{}, fmt.Errorf("plan %s: %w", name, err)
	}
	if doc.APIVersion != remedy.APIVersion {
		return remedy.Plan{}, fmt.Errorf("plan %s: apiVersion is %q, and this version reads %s", name, doc.APIVersion, remedy.APIVersion)
	}
	var plan remedy.Plan
	switch {
	case doc.Kind == remedy.KindPlan:
		if err := json.Unmarshal(raw, &plan); err != nil {
			return remedy.Plan{}, fmt.Errorf("plan %s: %w", name, err)
		}
	case doc.Kind == report.KindFix && doc.Run != "":
		return remedy.Plan{}, fmt.Errorf("plan %s: it was carried out already, in run %s", name, doc.Run)
	case doc.Kind == report.KindFix && doc.Plan != nil:
		plan = *doc.Plan
	default:
		return remedy.Plan{}, fmt.Errorf("plan %s: it holds no plan (kind %q); `kubectl stuck fix pod NAME --force --dry-run=client -o json` makes one", name, doc.Kind)
	}
	return plan, checkPlan(plan, name)
}

// checkPlan refuses plans that this command never wrote.
func checkPlan(plan remedy.Plan, name string) error {
	if len(plan.Acts) == 0 {
		return fmt.Errorf("plan %s: it does nothing", name)
	}
	if plan.Undoes != "" {
		return fmt.Errorf("plan %s: it takes back run %s; `kubectl stuck undo %s` plans that anew", name, plan.Undoes, plan.Undoes)
	}
	if !plan.Asked.Acts() {
		return fmt.Errorf("plan %s: it does not say what was asked for", name)
	}
	seen := map[snapshot.Ref]bool{}
	for i, act := range plan.Acts {
		t := act.Target
		if t.Kind != snapshot.Pod || t.Name == "" || t.Namespace == "" || t.UID == "" {
			return fmt.Errorf("plan %s: acts[%d].target names no pod with its UID", name, i)
		}
		if seen[t] {
			return fmt.Errorf("plan %s: acts[%d].target is there twice", name, i)
		}
		seen[t] = true
	}
	return nil
}

// clusterOf names the cluster behind a picture. The ID tells clusters apart better than an address does; who may not read it goes by the address.
func clusterOf(ctx context.Context, r *reader, origin snapshot.Origin) remedy.Cluster {
	now := remedy.Cluster{Context: origin.Context, Server: origin.Server}
	if o, err := r.backend.Get(ctx, snapshot.Namespace, "", metav1.NamespaceSystem); err == nil {
		if m, ok := o.(metav1.Object); ok {
			now.ID = string(m.GetUID())
		}
	}
	return now
}
