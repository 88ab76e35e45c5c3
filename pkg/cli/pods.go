package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/kubectl/pkg/util/templates"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/diagnose"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/render"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/report"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/source"
	"github.com/kubectl-stuck/kubectl-stuck/pkg/stuck"
)

// podsOptions are what `kubectl stuck pods` was asked.
type podsOptions struct {
	source        sourceFlags
	output        outputFlags
	names         []string
	allNamespaces bool
	labels        string
	fields        string
	nodes         []string
	states        []string
	olderThan     time.Duration
	hasOlderThan  bool
	watch         bool
	logs          logFlags // of explain

	render render.Options
	label  labels.Selector
	field  fields.Selector
}

func newPods(w World, config *genericclioptions.ConfigFlags) *cobra.Command {
	o := &podsOptions{}
	cmd := &cobra.Command{
		Use:     "pods [NAME...]",
		Aliases: []string{"pod", "po"},
		Short:   "List stuck pods by node, with the reach of the failure, its cause and the evidence",
		Long: templates.LongDesc(`
			List the pods that should have moved on and have not, grouped by node, the worst first.

			Each group begins with its reach: whether it is the pods' own failure, their node's, something that pods of
			several nodes share, or the cluster's; with the numbers on which that was decided. "undecided" is an answer
			too, and comes with what would decide it. Then the cause, its evidence, and the next command.

			A pod that is terminating counts as stuck 30s after its grace period, one that starts after 2m (1m if something
			was said to fail, 10m while an image is being pulled or an init container runs), one that cannot be scheduled
			after 1m, one that crashes after 5m. --older-than replaces all of these. Pods that are still within their time are counted as waiting.

			What is stuck without a pod to show it comes after the pods: workloads whose pods cannot be created, 1m after the first
			was refused, and namespaces that do not go, 2m after they were deleted. Where pods are chosen, by name, node, state or a
			selector, these are left out.

			Selectors limit which pods are shown. The reach is always decided on all the pods of their nodes, where the user may
			read them.`),
		Example: templates.Examples(`
			# What is stuck in all namespaces
			kubectl stuck pods -A

			# Only pods being deleted, in one namespace, and for longer than ten minutes
			kubectl stuck pods -n shop --state Terminating --older-than 10m

			# Only the pods of one node
			kubectl stuck pods -A --node worker-7

			# As a document for other programs; exit with 3 if something is stuck
			kubectl stuck pods -A -o json --exit-code

			# Keep looking
			kubectl stuck pods -A -w

			# From files instead of a cluster
			kubectl get pods,nodes,events,leases -A -o json > cluster.json
			kubectl stuck pods --from cluster.json`),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names = args
			o.hasOlderThan = cmd.Flags().Changed("older-than")
			if err := o.complete(w); err != nil {
				return err
			}
			return o.run(cmd.Context(), w, config)
		},
	}
	o.source.add(cmd)
	o.output.add(cmd)
	cmd.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "Look in all namespaces.")
	cmd.Flags().StringVarP(&o.labels, "selector", "l", "", "Show only pods that match this label selector.")
	cmd.Flags().StringVar(&o.fields, "field-selector", "", "Show only pods that match this field selector, e.g. spec.nodeName=worker-7.")
	cmd.Flags().StringSliceVar(&o.nodes, "node", nil, "Show only pods of these nodes.")
	cmd.Flags().StringSliceVar(&o.states, "state", nil, "Show only pods in these states: "+stateList()+".")
	cmd.Flags().DurationVar(&o.olderThan, "older-than", 0, "Count pods as stuck after this time, in place of each state's own.")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "Look again every few seconds until interrupted.")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// podKinds and nodeKinds are the words that kubectl takes before a slash.
func podKinds() []string { return []string{"pod", "pods", "po"} }

func nodeKinds() []string { return []string{"node", "nodes", "no"} }

// bareNames takes the kind off names like pod/cart-0, in place, and refuses names of another kind.
func bareNames(names, kinds []string) error {
	for i, n := range names {
		kind, name, ok := strings.Cut(n, "/")
		switch {
		case !ok:
			name = n
		case !slices.Contains(kinds, kind):
			return usagef("%q names no %s", n, kinds[0])
		}
		if name == "" {
			return usagef("%q names no %s", n, kinds[0])
		}
		names[i] = name
	}
	return nil
}

func stateNames() []string {
	var out []string
	for _, s := range stuck.States() {
		out = append(out, string(s))
	}
	return out
}

func stateList() string { return strings.Join(stateNames(), ", ") }

// complete checks the options, before anything is read.
func (o *podsOptions) complete(w World) error {
	if o.allNamespaces && len(o.names) > 0 {
		return usagef("pods are named within a namespace: give -n with %s, or leave -A away", strings.Join(o.names, " "))
	}
	if err := bareNames(o.names, podKinds()); err != nil {
		return err
	}
	if o.hasOlderThan && o.olderThan < 0 {
		return usagef("--older-than %s is negative", o.olderThan)
	}
	for i, s := range o.states {
		k := slices.IndexFunc(stuck.States(), func(k stuck.State) bool { return strings.EqualFold(string(k), s) })
		if k < 0 {
			return usagef("--state %q is none of %s", s, stateList())
		}
		o.states[i] = string(stuck.States()[k])
	}
	if err := checkSelectors(o.labels, o.fields); err != nil {
		return err
	}
	o.label, _ = labels.Parse(o.labels)
	o.field, _ = fields.ParseSelector(o.fields)
	for _, r := range o.field.Requirements() {
		if known := podFields(&corev1.Pod{}); !known.Has(r.Field) {
			return usagef("--field-selector: pods cannot be selected by %q; they can by %s", r.Field, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	if o.watch && len(o.source.from) > 0 {
		return usagef("--watch has nothing to wait for in files")
	}
	var err error
	o.render, err = o.output.options(w, render.Pods)
	return err
}

func (o *podsOptions) run(ctx context.Context, w World, config *genericclioptions.ConfigFlags) error {
	r, err := o.source.open(ctx, w, config)
	if err != nil {
		return err
	}
	if o.watch {
		return o.follow(ctx, w, r)
	}
	rep, err := o.look(ctx, w, r)
	if err != nil {
		return err
	}
	return o.output.print(w, rep, o.render)
}

// look takes a picture and makes the report.
func (o *podsOptions) look(ctx context.Context, w World, r *reader) (*report.Report, error) {
	namespace := r.namespace
	if o.allNamespaces {
		namespace = ""
	}
	causes := catalogue()
	s, err := r.load(ctx, w, source.Query{
		Namespace: namespace, Names: o.names, LabelSelector: o.labels, FieldSelector: o.fields,
		Objects: len(o.nodes)+len(o.states) == 0,
	}, causes)
	if err != nil {
		return nil, err
	}
	opts := stuck.Options{Named: func(p snapshot.Ref) bool { return p.Namespace == namespace && slices.Contains(o.names, p.Name) }}
	if o.hasOlderThan {
		opts.OlderThan = &o.olderThan
	}
	found := stuck.Find(s, opts)
	d := diagnose.Run(s, found, causes)
	for _, n := range o.names {
		if s.Has(snapshot.Pod, namespace, n) == snapshot.Absent {
			return nil, fmt.Errorf("pod %s/%s does not exist", namespace, n)
		}
	}
	logs, d, err := o.nodeLogs(ctx, w, r, s, d, causes, namespace)
	if err != nil {
		return nil, err
	}
	return report.Build(s, found, d, report.Options{
		Logs: logs,
		Asked: report.Asked{
			Namespace: namespace, Names: o.names, Nodes: o.nodes, LabelSelector: o.labels, FieldSelector: o.fields, States: o.states,
		},
		Select: func(p stuck.Pod) bool { return o.selects(namespace, p) },
	}), nil
}

// nodeLogs reads the logs of the nodes of the stuck pods that were named.
func (o *podsOptions) nodeLogs(ctx context.Context, w World, r *reader, s *snapshot.Snapshot, d diagnose.Diagnosis, causes []diagnose.Cause, namespace string) (map[string]*report.NodeLogs, diagnose.Diagnosis, error) {
	if !o.logs.asked() {
		return nil, d, nil
	}
	var pods []snapshot.Ref
	for _, n := range o.names {
		pods = append(pods, snapshot.Ref{Namespace: namespace, Name: n})
	}
	nodes := report.LoggedOn(&d, pods)
	if len(nodes) == 0 {
		fmt.Fprintf(w.Streams.ErrOut, "no log was read: %s is not stuck on any node\n", render.Clean(strings.Join(o.names, ", ")))
	}
	return o.logs.read(ctx, w, r, s, d, causes, nodes)
}

// selects tells whether a pod is among those asked for.
func (o *podsOptions) selects(namespace string, p stuck.Pod) bool {
	return (namespace == "" || p.Ref.Namespace == namespace) &&
		(len(o.names) == 0 || slices.Contains(o.names, p.Ref.Name)) &&
		(len(o.nodes) == 0 || slices.Contains(o.nodes, p.Node)) &&
		(len(o.states) == 0 || slices.Contains(o.states, string(p.State))) &&
		o.label.Matches(labels.Set(p.Object.Labels)) &&
		o.field.Matches(podFields(p.Object))
}

// podFields are the fields that an API server selects pods by (pkg/registry/core/pod/strategy.go ToSelectableFields).
func podFields(p *corev1.Pod) fields.Set {
	ip := p.Status.PodIP
	if ip == "" && len(p.Status.PodIPs) > 0 {
		ip = p.Status.PodIPs[0].IP
	}
	return fields.Set{
		"metadata.name":            p.Name,
		"metadata.namespace":       p.Namespace,
		"spec.nodeName":            p.Spec.NodeName,
		"spec.restartPolicy":       string(p.Spec.RestartPolicy),
		"spec.schedulerName":       p.Spec.SchedulerName,
		"spec.serviceAccountName":  p.Spec.ServiceAccountName,
		"spec.hostNetwork":         fmt.Sprint(p.Spec.HostNetwork),
		"status.phase":             string(p.Status.Phase),
		"status.podIP":             ip,
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
}
