// Package guards holds each guard of `kubectl stuck fix` against the damage that it prevents, on a real control plane with real kubelets.
//
// A test first has the built plugin refuse, and sees that nothing has changed: not the object, not the containers, and no write in the API server's
// audit log. Then it does the same with the guard lifted, or with kubectl where nothing lifts it, and counts the damage: two live containers of one
// identity, work that was cut off, a container that nobody knows of. A guard without damage would be a guard without a reason.
package guards
