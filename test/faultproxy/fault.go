package faultproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault is one thing that goes wrong. Do returns what the client gets; nil cuts the connection.
type Fault struct {
	Name string
	Do   func(*Exchange) *Answer
}

// Late forwards a request after a while. The client may have left by then; the request is forwarded all the same.
func Late(by time.Duration) Fault {
	return Fault{"late by " + by.String(), func(x *Exchange) *Answer {
		time.Sleep(by)
		return x.Forward()
	}}
}

// AnswerLate forwards a request at once and keeps the answer back for a while.
func AnswerLate(by time.Duration) Fault {
	return Fault{"answer late by " + by.String(), func(x *Exchange) *Answer {
		a := x.Forward()
		time.Sleep(by)
		return a
	}}
}

// CutBefore cuts the connection; the API server never hears of the request.
func CutBefore() Fault {
	return Fault{"cut before", func(*Exchange) *Answer { return nil }}
}

// CutAfter cuts the connection when the API server has answered.
func CutAfter() Fault {
	return Fault{"cut after", func(x *Exchange) *Answer {
		x.Forward()
		return nil
	}}
}

// CutBody cuts the connection in the middle of the answer.
func CutBody() Fault {
	return Fault{"cut in the body", func(x *Exchange) *Answer {
		a := x.Forward()
		if a != nil {
			a.Half = true
		}
		return a
	}}
}

// Answers answers for the API server, which never hears of the request. A negative retryAfter sends no such header.
func Answers(code int, retryAfter time.Duration) Fault {
	return Fault{answerName(code, retryAfter), func(*Exchange) *Answer { return failure(code, retryAfter) }}
}

// AnswersAfter does what was asked and answers that it failed.
func AnswersAfter(code int) Fault {
	return Fault{fmt.Sprintf("%d after", code), func(x *Exchange) *Answer {
		x.Forward()
		return failure(code, -1)
	}}
}

func answerName(code int, retryAfter time.Duration) string {
	if retryAfter < 0 {
		return strconv.Itoa(code)
	}
	return fmt.Sprintf("%d retry after %s", code, retryAfter)
}

// failure is an answer as the API server words it.
func failure(code int, retryAfter time.Duration) *Answer {
	reasons := map[int]metav1.StatusReason{
		http.StatusUnauthorized: metav1.StatusReasonUnauthorized, http.StatusForbidden: metav1.StatusReasonForbidden,
		http.StatusConflict: metav1.StatusReasonConflict, http.StatusUnprocessableEntity: metav1.StatusReasonInvalid,
		http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests, http.StatusInternalServerError: metav1.StatusReasonInternalError,
		http.StatusServiceUnavailable: metav1.StatusReasonServiceUnavailable, http.StatusGatewayTimeout: metav1.StatusReasonTimeout,
	}
	st := metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code), Reason: reasons[code],
		Message: fmt.Sprintf("the test's own answer %d", code),
	}
	a := &Answer{Code: code, Header: http.Header{"Content-Type": {"application/json"}}}
	if retryAfter >= 0 {
		seconds := int32(retryAfter / time.Second)
		st.Details = &metav1.StatusDetails{RetryAfterSeconds: seconds}
		a.Header.Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	a.Body, _ = json.Marshal(st)
	return a
}

// garbage is what a captive portal or a broken balancer says, with 200.
func garbage() *Answer {
	return &Answer{Code: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>\x00\xff\x1b[2J log in first</html>")}
}

// Garbage answers nonsense with 200; the API server never hears of the request.
func Garbage() Fault {
	return Fault{"garbage", func(*Exchange) *Answer { return garbage() }}
}

// GarbageAfter does what was asked and answers nonsense, said to be JSON, with 200.
func GarbageAfter() Fault {
	return Fault{"garbage after", func(x *Exchange) *Answer {
		x.Forward()
		a := garbage()
		a.Header.Set("Content-Type", "application/json")
		a.Body = []byte(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":17,"uid":[`)
		return a
	}}
}

// Lie answers as if it had been done, and does nothing.
func Lie() Fault {
	return Fault{"lie", func(x *Exchange) *Answer { return x.ForwardAsDryRun() }}
}

// SignalBefore sends the client a signal when its request has arrived. One that kills takes the request with it; others leave it to be answered.
func SignalBefore(sig syscall.Signal) Fault {
	return Fault{sig.String() + " before", func(x *Exchange) *Answer {
		_ = x.proxy.Client().Signal(sig)
		if sig == syscall.SIGKILL {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // until the client has seen to it
		return x.Forward()
	}}
}

// SignalAfter sends it when the API server has done what was asked, before the client hears of that.
func SignalAfter(sig syscall.Signal) Fault {
	return Fault{sig.String() + " after", func(x *Exchange) *Answer {
		a := x.Forward()
		_ = x.proxy.Client().Signal(sig)
		if sig == syscall.SIGKILL {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
		return a
	}}
}

// World changes the cluster behind the client's back, then forwards the request.
func World(name string, change func(*Exchange)) Fault {
	return Fault{name, func(x *Exchange) *Answer {
		change(x)
		return x.Forward()
	}}
}
