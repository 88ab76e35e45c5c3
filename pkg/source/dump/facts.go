package dump

import (
	"bytes"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-stuck/kubectl-stuck/pkg/snapshot"
)

// entry is what the index keeps of one object.
type entry struct {
	kind       kindID
	group      group
	pod        podFacts
	namespace  string
	name       string
	version    string // resourceVersion
	labels     []label
	event      *eventFacts
	at         location
	newest     time.Time // newest timestamp in it, where it is newer than what was seen before
	rawKind    string    // kind and apiVersion as they stand there; only until they are resolved
	rawVersion string
}

// location says where an object's bytes are.
type location struct {
	file   *file
	offset int64 // in the file, or in the unpacked block
	place  int64 // byte offset or line in the input, for errors
	length int32
	block  int32 // index of the block in the pack; -1 for bytes that are read from the file
}

type label struct{ key, value string }

// podFacts is what the census needs of a pod.
type podFacts struct {
	node       string
	phase      string
	word       string // the STATUS word
	ready      int32
	containers int32
}

// eventFacts is what event field selectors ask for.
type eventFacts struct {
	kind, namespace, name, uid string
	reason, typ                string
}

// group tells apart the two APIs that serve events.
type group uint8

const (
	groupOwn    group = iota // the group that snapshot.Kinds names
	groupEvents              // events.k8s.io
)

// kindID is an index into kindTable.infos, or unknownKind.
type kindID int16

const unknownKind kindID = -1

// kindTable resolves kinds without searching.
type kindTable struct {
	infos []snapshot.Info
	short map[string]kindID    // by the names that files are given: resource, singular, abbreviation
	ids   map[[2]string]kindID // apiVersion, kind
	byK   map[snapshot.Kind]kindID
}

func newKindTable() *kindTable {
	t := &kindTable{infos: snapshot.Kinds(), ids: map[[2]string]kindID{}, byK: map[snapshot.Kind]kindID{}, short: map[string]kindID{}}
	for i, info := range t.infos {
		t.ids[[2]string{info.GVR.GroupVersion().String(), string(info.Kind)}] = kindID(i)
		t.byK[info.Kind] = kindID(i)
		t.short[info.GVR.Resource] = kindID(i)
		t.short[strings.ToLower(string(info.Kind))] = kindID(i)
	}
	for name, k := range shortNames() {
		t.short[name] = t.byK[k]
	}
	t.ids[[2]string{eventsAPI, string(snapshot.Event)}] = t.byK[snapshot.Event]
	return t
}

const eventsAPI = "events.k8s.io/v1"

// resolve returns the kind that apiVersion and kind name, if a snapshot can hold it.
func (t *kindTable) resolve(apiVersion, kind string) (kindID, group) {
	id, ok := t.ids[[2]string{apiVersion, kind}]
	if !ok {
		return unknownKind, groupOwn
	}
	if apiVersion == eventsAPI {
		return id, groupEvents
	}
	return id, groupOwn
}

// extractor reads the facts of objects. It belongs to one goroutine.
type extractor struct {
	kinds    *kindTable
	strings  map[string]string // one copy of each repeated string
	maxDepth int
	notAfter time.Time // timestamps later than this are of the future and do not count
	newest   time.Time
	newestB  []byte // the first 19 bytes of newest, to compare without parsing

	c   cursor
	pod corev1.Pod
}

func newExtractor(kinds *kindTable, maxDepth int, notAfter time.Time) *extractor {
	return &extractor{kinds: kinds, strings: map[string]string{}, maxDepth: maxDepth, notAfter: notAfter}
}

// intern returns s as a string, the same one for the same bytes.
func (x *extractor) intern(s []byte) string {
	if len(s) == 0 {
		return ""
	}
	if v, ok := x.strings[string(s)]; ok {
		return v
	}
	if len(x.strings) > 1<<16 || len(s) > 256 {
		return string(s)
	}
	v := string(s)
	x.strings[v] = v
	return v
}

// facts reads one object. An error is a syntax error, place is where it stands in data.
func (x *extractor) facts(data []byte) (e entry, place int, err error) {
	x.c = cursor{b: data, max: x.maxDepth}
	x.resetPod()
	c := &x.c
	var newest time.Time
	stamp := func() {
		if t, ok := x.stamp(c); ok && t.After(newest) {
			newest = t
		}
	}
	c.object(func(key []byte) {
		switch string(key) {
		case "kind":
			e.rawKind = x.intern(c.text())
		case "apiVersion":
			e.rawVersion = x.intern(c.text())
		case "metadata":
			x.metadata(&e, stamp)
		case "spec":
			x.spec(stamp)
		case "status":
			x.status(stamp)
		case "involvedObject", "regarding":
			x.event(&e)
			c.object(func(key []byte) {
				switch string(key) {
				case "kind":
					e.event.kind = x.intern(c.text())
				case "namespace":
					e.event.namespace = x.intern(c.text())
				case "name":
					e.event.name = x.intern(c.text())
				case "uid":
					e.event.uid = string(c.text())
				default:
					c.skip()
				}
			})
		case "reason":
			if s := c.text(); s != nil && e.rawKind == string(snapshot.Event) || e.event != nil {
				x.event(&e).reason = x.intern(s)
			}
		case "type":
			if s := c.text(); s != nil && e.rawKind == string(snapshot.Event) || e.event != nil {
				x.event(&e).typ = x.intern(s)
			}
		case "firstTimestamp", "lastTimestamp", "eventTime", "deprecatedFirstTimestamp", "deprecatedLastTimestamp":
			stamp()
		case "series":
			c.walk(func(key []byte) bool {
				if string(key) == "lastObservedTime" {
					stamp()
					return true
				}
				return false
			})
		default:
			c.skip()
		}
	})
	if c.err == nil {
		if c.depth != 0 || len(bytes.TrimSpace(c.b[c.i:])) > 0 {
			c.fail("more after the end of the object")
		}
	}
	if c.err != nil {
		return e, c.i, c.err
	}
	e.newest = newest
	s := snapshot.StatusOf(&x.pod)
	e.pod.node = x.pod.Spec.NodeName
	e.pod.phase = string(x.pod.Status.Phase)
	e.pod.word = x.intern([]byte(s.Word))
	e.pod.ready, e.pod.containers = int32(s.Ready), int32(s.Containers)
	return e, 0, nil
}

func (x *extractor) event(e *entry) *eventFacts {
	if e.event == nil {
		e.event = &eventFacts{}
	}
	return e.event
}

func (x *extractor) metadata(e *entry, stamp func()) {
	c := &x.c
	c.object(func(key []byte) {
		switch string(key) {
		case "name":
			e.name = string(c.text())
		case "namespace":
			e.namespace = x.intern(c.text())
		case "resourceVersion":
			e.version = string(c.text())
		case "creationTimestamp":
			stamp()
		case "deletionTimestamp":
			if s := c.text(); len(s) > 0 {
				x.pod.DeletionTimestamp = &metav1.Time{}
			}
		case "labels":
			e.labels = nil
			c.object(func(key []byte) {
				k := x.intern(key)
				e.labels = append(e.labels, label{k, x.intern(c.text())})
			})
		case "managedFields":
			c.array(func() {
				c.object(func(key []byte) {
					if string(key) == "time" {
						stamp()
						return
					}
					c.skip()
				})
			})
		default:
			c.skip()
		}
	})
}

func (x *extractor) spec(stamp func()) {
	c, p := &x.c, &x.pod
	c.object(func(key []byte) {
		switch string(key) {
		case "nodeName":
			p.Spec.NodeName = x.intern(c.text())
		case "renewTime", "acquireTime":
			stamp()
		case "containers":
			p.Spec.Containers = p.Spec.Containers[:0]
			c.array(func() {
				c.skip()
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{})
			})
		case "initContainers":
			p.Spec.InitContainers = p.Spec.InitContainers[:0]
			c.array(func() {
				var ic corev1.Container
				c.object(func(key []byte) {
					switch string(key) {
					case "name":
						ic.Name = x.intern(c.text())
					case "restartPolicy":
						if s := c.text(); s != nil {
							v := corev1.ContainerRestartPolicy(x.intern(s))
							ic.RestartPolicy = &v
						}
					default:
						c.skip()
					}
				})
				p.Spec.InitContainers = append(p.Spec.InitContainers, ic)
			})
		default:
			c.skip()
		}
	})
}

func (x *extractor) status(stamp func()) {
	c, p := &x.c, &x.pod
	c.object(func(key []byte) {
		switch string(key) {
		case "phase":
			p.Status.Phase = corev1.PodPhase(x.intern(c.text()))
		case "reason":
			p.Status.Reason = x.intern(c.text())
		case "conditions":
			p.Status.Conditions = p.Status.Conditions[:0]
			c.array(func() {
				var cond corev1.PodCondition
				c.object(func(key []byte) {
					switch string(key) {
					case "type":
						cond.Type = corev1.PodConditionType(x.intern(c.text()))
					case "status":
						cond.Status = corev1.ConditionStatus(x.intern(c.text()))
					case "reason":
						cond.Reason = x.intern(c.text())
					default:
						if isTimeKey(key) {
							stamp()
							return
						}
						c.skip()
					}
				})
				p.Status.Conditions = append(p.Status.Conditions, cond)
			})
		case "containerStatuses":
			p.Status.ContainerStatuses = x.containers(p.Status.ContainerStatuses[:0], stamp)
		case "initContainerStatuses":
			p.Status.InitContainerStatuses = x.containers(p.Status.InitContainerStatuses[:0], stamp)
		default:
			if isTimeKey(key) {
				stamp()
				return
			}
			c.walk(func(key []byte) bool {
				if isTimeKey(key) {
					stamp()
					return true
				}
				return false
			})
		}
	})
}

func (x *extractor) containers(out []corev1.ContainerStatus, stamp func()) []corev1.ContainerStatus {
	c := &x.c
	c.array(func() {
		var s corev1.ContainerStatus
		c.object(func(key []byte) {
			switch string(key) {
			case "name":
				s.Name = x.intern(c.text())
			case "ready":
				s.Ready = c.boolean()
			case "started":
				v := c.boolean()
				s.Started = &v
			case "restartCount":
				s.RestartCount = int32(c.integer())
			case "state":
				c.object(func(key []byte) {
					if c.err != nil || c.peek() != '{' {
						c.skip()
						return
					}
					switch string(key) {
					case "waiting":
						s.State.Waiting = &corev1.ContainerStateWaiting{}
						c.object(func(key []byte) {
							if string(key) == "reason" {
								s.State.Waiting.Reason = x.intern(c.text())
								return
							}
							c.skip()
						})
					case "running":
						s.State.Running = &corev1.ContainerStateRunning{}
						c.walk(func(key []byte) bool {
							if isTimeKey(key) {
								stamp()
								return true
							}
							return false
						})
					case "terminated":
						t := &corev1.ContainerStateTerminated{}
						s.State.Terminated = t
						c.object(func(key []byte) {
							switch string(key) {
							case "reason":
								t.Reason = x.intern(c.text())
							case "exitCode":
								t.ExitCode = int32(c.integer())
							case "signal":
								t.Signal = int32(c.integer())
							default:
								if isTimeKey(key) {
									stamp()
									return
								}
								c.skip()
							}
						})
					default:
						c.skip()
					}
				})
			default:
				c.skip()
			}
		})
		out = append(out, s)
	})
	return out
}

func (x *extractor) resetPod() {
	p := &x.pod
	x.pod = corev1.Pod{
		Spec: corev1.PodSpec{Containers: p.Spec.Containers[:0], InitContainers: p.Spec.InitContainers[:0]},
		Status: corev1.PodStatus{
			Conditions:            p.Status.Conditions[:0],
			ContainerStatuses:     p.Status.ContainerStatuses[:0],
			InitContainerStatuses: p.Status.InitContainerStatuses[:0],
		},
	}
}

// isTimeKey tells whether a field of a status tells when something happened. Built-in kinds have no field in their status
// that names a moment still to come.
func isTimeKey(key []byte) bool {
	return bytes.HasSuffix(key, []byte("Time")) || bytes.HasSuffix(key, []byte("At"))
}

// stamp consumes a timestamp and returns it where it is newer than any before.
func (x *extractor) stamp(c *cursor) (time.Time, bool) {
	s := c.text()
	if len(s) < len("2006-01-02T15:04:05Z") || s[len(s)-1] != 'Z' || bytes.Compare(s[:19], x.newestB) < 0 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(s))
	if err != nil || !t.After(x.newest) || !x.notAfter.IsZero() && t.After(x.notAfter) {
		return time.Time{}, false
	}
	return t, true
}

// accept notes the newest timestamp of an object that counts, so that older ones need no parsing.
func (x *extractor) accept(t time.Time) {
	if t.After(x.newest) {
		x.newest = t
		x.newestB = append(x.newestB[:0], t.UTC().Format("2006-01-02T15:04:05")...)
	}
}
