// Command gen-picture prints docs/picture.svg: what the plugin prints about the recorded cluster, as a terminal shows it. It runs the
// command line in a world that is a terminal, so that the picture is what people see and not what somebody drew.
package main
