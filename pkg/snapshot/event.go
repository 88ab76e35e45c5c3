package snapshot

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
)

// EventRecord is an event in one shape, whether it was read as core/v1 or as events.k8s.io/v1.
type EventRecord struct {
	Namespace string // of the event itself
	Name      string
	Regarding Ref
	Type      string // Normal or Warning
	Reason    string
	Message   string
	Component string // who reported it: kubelet, attachdetach-controller, …
	Host      string // the node it was reported from, where one is named
	Count     int32  // how often it was seen; at least 1
	First     time.Time
	Last      time.Time
}

// fromCore turns a core/v1 event into a record. The newer fields (eventTime, series, reporting*)
// stand in for the older ones where a client wrote only those (k8s.io/api/core/v1 Event).
func fromCore(e *corev1.Event) EventRecord {
	r := EventRecord{
		Namespace: e.Namespace, Name: e.Name,
		Regarding: Ref{Kind: Kind(e.InvolvedObject.Kind), Namespace: e.InvolvedObject.Namespace, Name: e.InvolvedObject.Name, UID: e.InvolvedObject.UID},
		Type:      e.Type, Reason: e.Reason, Message: e.Message,
		Component: firstNonEmpty(e.Source.Component, e.ReportingController),
		Host:      e.Source.Host,
		Count:     e.Count, First: e.FirstTimestamp.Time, Last: e.LastTimestamp.Time,
	}
	var seriesLast time.Time
	if e.Series != nil {
		r.Count = max(r.Count, e.Series.Count)
		seriesLast = e.Series.LastObservedTime.Time
	}
	r.settle(e.EventTime.Time, seriesLast, e.CreationTimestamp.Time)
	return r
}

// fromEvents turns an events.k8s.io/v1 event into a record.
func fromEvents(e *eventsv1.Event) EventRecord {
	r := EventRecord{
		Namespace: e.Namespace, Name: e.Name,
		Regarding: Ref{Kind: Kind(e.Regarding.Kind), Namespace: e.Regarding.Namespace, Name: e.Regarding.Name, UID: e.Regarding.UID},
		Type:      e.Type, Reason: e.Reason, Message: e.Note,
		Component: firstNonEmpty(e.DeprecatedSource.Component, e.ReportingController),
		Host:      e.DeprecatedSource.Host,
		Count:     e.DeprecatedCount, First: e.DeprecatedFirstTimestamp.Time, Last: e.DeprecatedLastTimestamp.Time,
	}
	var seriesLast time.Time
	if e.Series != nil {
		r.Count = max(r.Count, e.Series.Count)
		seriesLast = e.Series.LastObservedTime.Time
	}
	r.settle(e.EventTime.Time, seriesLast, e.CreationTimestamp.Time)
	return r
}

func (r *EventRecord) settle(eventTime, seriesLast, created time.Time) {
	if r.First.IsZero() {
		r.First = eventTime
	}
	if r.First.IsZero() {
		r.First = created
	}
	for _, t := range []time.Time{seriesLast, eventTime, r.First} {
		if t.After(r.Last) {
			r.Last = t
		}
	}
	r.Count = max(r.Count, 1)
}

func firstNonEmpty(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
