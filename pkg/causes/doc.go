// Package causes is the catalogue: what gets pods stuck, one value in one file for each, in a folder for each subject.
//
// A cause comes with its documentation as fields, with one fixture in which stuck pods must be blamed on it, and with a twin that looks alike and
// in which they must not. Its tests discover them: adding a cause means to add its file and that pair.
package causes
