// Package dump is a source.Backend over files, and the writer of such files.
//
// It reads what people save when a cluster is in trouble: the JSON or YAML that kubectl get prints (single
// objects, Lists of any mix of kinds, several documents in a row), directories of it, gzip and tar
// archives, kubectl cluster-info dump, must-gather trees, and the dumps that Write makes. What a file is
// shows in its content; its name only helps where the content cannot tell (see coverage). Logs, web pages
// and kinds that a snapshot cannot hold are passed over and counted.
//
// Files are untrusted. Nothing is unpacked to disk, nothing outside the named paths is followed, every size
// has a limit (see Limits), and what is broken is an error that names the file and the place. A file that ends in
// the middle is such an error: half a list of pods would pass for a healthy cluster.
//
// Open reads everything once, as a stream: a scanner finds where objects begin and end, a few fields of each go
// into an index, and the object itself stays where it is (plain JSON files) or is kept compressed in memory
// (YAML, archives, standard input). Objects are decoded in full only when the planner asks for them.
//
// Of ConfigMaps and Secrets nothing but metadata is ever kept, also where a file holds their data.
package dump
